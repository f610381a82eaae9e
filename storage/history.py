"""What people watched and how far they came: one row per person and video, the newest kept.

The history feature calls it. A list leaves out what its reader may no longer see; such a row stays
until it is removed, cleared or pushed out by newer ones.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

import msgspec

from storage.database import Connection, Row, read_row
from storage.videos import COLUMNS, FROM_LIVING, VISIBLE_TO_VIEWER, Video

ROWS_MAX = 1_000
"""Of one person; the oldest goes when one more comes."""


class Watched(msgspec.Struct, frozen=True):
    """How far a person came in a video."""

    video_id: uuid.UUID
    position_ms: int
    is_finished: bool
    watched_at: datetime


@dataclass(frozen=True)
class WatchedVideo:
    """A video in somebody's history."""

    video: Video
    watched: Watched


@dataclass(frozen=True)
class HistorySlice:
    """Which part of a history: up to `limit` rows older than (watched_before, id_before)."""

    limit: int
    watched_before: datetime | None = None
    id_before: uuid.UUID | None = None
    unfinished_only: bool = False


async def note_position(
    connection: Connection, user_id: uuid.UUID, watched: Watched, *, keep_max: int = ROWS_MAX
) -> bool:
    """Remember how far somebody came, and forget what is beyond the bound.

    False, and nothing is written, while the person paused their history.
    """
    noted = await connection.fetchval(
        """INSERT INTO history (user_id, video_id, position_ms, is_finished, watched_at)
           SELECT id, $2, $3, $4, $5 FROM users
            WHERE id = $1 AND history_paused_at IS NULL AND deleted_at IS NULL
           ON CONFLICT (user_id, video_id) DO UPDATE
              SET position_ms = $3, is_finished = $4, watched_at = $5
           RETURNING xmax = 0""",
        user_id,
        watched.video_id,
        watched.position_ms,
        watched.is_finished,
        watched.watched_at,
    )
    if noted:
        await connection.execute(
            """DELETE FROM history WHERE user_id = $1 AND video_id IN (
                   SELECT video_id FROM history WHERE user_id = $1
                    ORDER BY watched_at DESC, video_id DESC OFFSET $2)""",
            user_id,
            keep_max,
        )
    return noted is not None


async def find_watched(
    connection: Connection, user_id: uuid.UUID, video_id: uuid.UUID
) -> Watched | None:
    """Return how far somebody came in a video, None when nothing is remembered."""
    row = await connection.fetchrow(
        "SELECT video_id, position_ms, is_finished, watched_at FROM history"
        " WHERE user_id = $1 AND video_id = $2",
        user_id,
        video_id,
    )
    return None if row is None else read_row(Watched, row)


async def list_watched(
    connection: Connection, user_id: uuid.UUID, part: HistorySlice
) -> list[WatchedVideo]:
    """Return what somebody watched and may still see, last watched first."""
    rows = await connection.fetch(
        f"""SELECT {COLUMNS}, h.video_id, h.position_ms, h.is_finished, h.watched_at
              FROM {FROM_LIVING} JOIN history h ON h.video_id = v.id
             WHERE h.user_id = $1 AND v.deleted_at IS NULL AND {VISIBLE_TO_VIEWER}
               AND ($2::timestamptz IS NULL OR (h.watched_at, h.video_id) < ($2, $3::uuid))
               AND NOT ($4 AND (h.is_finished OR h.position_ms = 0))
             ORDER BY h.watched_at DESC, h.video_id DESC LIMIT $5""",  # noqa: S608 - constants
        user_id,
        part.watched_before,
        part.id_before,
        part.unfinished_only,
        part.limit,
    )
    return [_read_entry(row) for row in rows]


async def forget_video(connection: Connection, user_id: uuid.UUID, video_id: uuid.UUID) -> None:
    """Take a video out of somebody's history."""
    await connection.execute(
        "DELETE FROM history WHERE user_id = $1 AND video_id = $2", user_id, video_id
    )


async def clear_history(connection: Connection, user_id: uuid.UUID) -> None:
    """Forget everything that somebody watched."""
    await connection.execute("DELETE FROM history WHERE user_id = $1", user_id)


async def pause_history(
    connection: Connection, user_id: uuid.UUID, now: datetime, *, is_paused: bool
) -> None:
    """Remember nothing new from now on, or again everything."""
    await connection.execute(
        "UPDATE users SET history_paused_at = CASE WHEN $3 THEN coalesce(history_paused_at, $2) END"
        " WHERE id = $1",
        user_id,
        now,
        is_paused,
    )


async def is_history_paused(connection: Connection, user_id: uuid.UUID) -> bool:
    """Say whether somebody's history remembers nothing new."""
    paused = await connection.fetchval(
        "SELECT history_paused_at IS NOT NULL FROM users WHERE id = $1", user_id
    )
    return bool(paused)


def _read_entry(row: Row) -> WatchedVideo:
    return WatchedVideo(read_row(Video, row), read_row(Watched, row))
