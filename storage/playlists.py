"""Playlists and the videos in them, in their owner's order.

Whoever changes what is in a list locks its row first, so that two devices never give out one
place twice. Places are whole numbers from 0 without gaps, rewritten at each change.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import msgspec

from storage.database import Connection, read_row, read_rows
from storage.videos import COLUMNS, FROM_LIVING, VISIBLE_TO_VIEWER, Video

# $1 is the video that `has_video` asks about, NULL for none.
SELECT_PLAYLIST = """
    SELECT p.id, p.owner_id, p.kind, p.title, p.description, p.visibility, p.created_at,
           u.username AS owner_username, u.display_name AS owner_display_name,
           (SELECT count(*) FROM playlist_videos i WHERE i.playlist_id = p.id) AS videos,
           EXISTS (SELECT FROM playlist_videos i
                    WHERE i.playlist_id = p.id AND i.video_id = $1::uuid) AS has_video
      FROM playlists p JOIN users u ON u.id = p.owner_id AND u.deleted_at IS NULL
"""


class Playlist(msgspec.Struct, frozen=True):
    """A playlist with its owner's names."""

    id: uuid.UUID
    owner_id: uuid.UUID
    kind: str
    title: str
    description: str
    visibility: str
    created_at: datetime
    owner_username: str
    owner_display_name: str
    videos: int
    """How many are in it, also those that a reader may not see."""
    has_video: bool
    """Whether the video that was asked about is in it."""


class NewPlaylist(msgspec.Struct, frozen=True):
    """A playlist to be written."""

    id: uuid.UUID
    owner_id: uuid.UUID
    kind: str
    title: str
    description: str
    visibility: str
    created_at: datetime


class PlaylistChange(msgspec.Struct, frozen=True):
    """What changes about a playlist; None leaves it."""

    title: str | None
    description: str | None
    visibility: str | None


class PlaylistSlice(msgspec.Struct, frozen=True):
    """Which playlists of somebody: up to `limit` older than `before`, all or public ones."""

    limit: int
    before: uuid.UUID | None = None
    public_only: bool = False
    asked_video: uuid.UUID | None = None
    """The video that `has_video` is about."""


async def insert_playlist(connection: Connection, playlist: NewPlaylist) -> None:
    """Write a playlist; a second one to watch later is left out."""
    await connection.execute(
        "INSERT INTO playlists (id, owner_id, kind, title, description, visibility, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)"
        " ON CONFLICT (owner_id) WHERE kind = 'watch_later' DO NOTHING",
        playlist.id,
        playlist.owner_id,
        playlist.kind,
        playlist.title,
        playlist.description,
        playlist.visibility,
        playlist.created_at,
    )


async def find_playlist(
    connection: Connection, playlist_id: uuid.UUID, asked_video: uuid.UUID | None = None
) -> Playlist | None:
    """Return the playlist, None when there is none."""
    row = await connection.fetchrow(SELECT_PLAYLIST + " WHERE p.id = $2", asked_video, playlist_id)
    return None if row is None else read_row(Playlist, row)


async def find_watch_later(connection: Connection, owner_id: uuid.UUID) -> Playlist | None:
    """Return what somebody keeps to watch later, None when they have no such list yet."""
    row = await connection.fetchrow(
        SELECT_PLAYLIST + " WHERE p.owner_id = $2 AND p.kind = 'watch_later'", None, owner_id
    )
    return None if row is None else read_row(Playlist, row)


async def list_playlists(
    connection: Connection, owner_id: uuid.UUID, part: PlaylistSlice
) -> list[Playlist]:
    """Return somebody's playlists, newest first."""
    rows = await connection.fetch(
        SELECT_PLAYLIST + " WHERE p.owner_id = $2 AND (NOT $3 OR p.visibility = 'public')"
        " AND ($4::uuid IS NULL OR p.id < $4) ORDER BY p.id DESC LIMIT $5",
        part.asked_video,
        owner_id,
        part.public_only,
        part.before,
        part.limit,
    )
    return read_rows(Playlist, rows)


async def count_playlists(connection: Connection, owner_id: uuid.UUID) -> int:
    """Return how many playlists somebody has."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM playlists WHERE owner_id = $1", owner_id
    )
    return count


async def change_playlist(
    connection: Connection, playlist_id: uuid.UUID, change: PlaylistChange
) -> None:
    """Change what is not None."""
    await connection.execute(
        """UPDATE playlists SET title = coalesce($2::text, title),
                  description = coalesce($3::text, description),
                  visibility = coalesce($4::text, visibility)
            WHERE id = $1""",
        playlist_id,
        change.title,
        change.description,
        change.visibility,
    )


async def delete_playlist(connection: Connection, playlist_id: uuid.UUID) -> None:
    """Remove a playlist; its videos stay."""
    await connection.execute("DELETE FROM playlists WHERE id = $1", playlist_id)


async def lock_order(connection: Connection, playlist_id: uuid.UUID) -> list[uuid.UUID]:
    """Lock a playlist until the transaction ends and return its videos in order."""
    await connection.execute("SELECT FROM playlists WHERE id = $1 FOR UPDATE", playlist_id)
    rows = await connection.fetch(
        "SELECT video_id FROM playlist_videos WHERE playlist_id = $1 ORDER BY position",
        playlist_id,
    )
    return [row["video_id"] for row in rows]


async def write_order(
    connection: Connection, playlist_id: uuid.UUID, video_ids: Sequence[uuid.UUID]
) -> None:
    """Make these, in this order, all that is in the playlist."""
    await connection.execute(
        "DELETE FROM playlist_videos WHERE playlist_id = $1 AND video_id <> ALL($2)",
        playlist_id,
        list(video_ids),
    )
    await connection.execute(
        """INSERT INTO playlist_videos (playlist_id, video_id, position)
           SELECT $1, id, place - 1 FROM unnest($2::uuid[]) WITH ORDINALITY AS o (id, place)
           ON CONFLICT (playlist_id, video_id) DO UPDATE SET position = excluded.position""",
        playlist_id,
        list(video_ids),
    )


class PlacedVideo(msgspec.Struct, frozen=True):
    """A video and its place in a playlist."""

    position: int
    video: Video


async def list_placed(
    connection: Connection,
    viewer_id: uuid.UUID | None,
    playlist_id: uuid.UUID,
    *,
    after: int,
    limit: int,
) -> list[PlacedVideo]:
    """Return the videos of a playlist that the viewer may see, in order, behind place `after`."""
    rows = await connection.fetch(
        f"""SELECT {COLUMNS}, i.position
              FROM {FROM_LIVING} JOIN playlist_videos i ON i.video_id = v.id
             WHERE i.playlist_id = $2 AND v.deleted_at IS NULL AND {VISIBLE_TO_VIEWER}
               AND i.position > $3
             ORDER BY i.position LIMIT $4""",  # noqa: S608 - constants
        viewer_id,
        playlist_id,
        after,
        limit,
    )
    return [PlacedVideo(row["position"], read_row(Video, row)) for row in rows]
