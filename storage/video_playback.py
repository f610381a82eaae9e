"""What decides whether and how a video plays, as the edge and the jobs read it."""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec

from storage.database import Connection, read_row
from storage.subtitles import AS_JSON, Subtitles


class PlaybackRecord(msgspec.Struct, frozen=True):
    """What decides whether and how a video plays; `is_gone` also when its owner is deleted."""

    id: uuid.UUID
    owner_id: uuid.UUID
    status: str
    visibility: str
    access_version: int
    thumbnail_key: str | None
    has_preview: bool
    playable_at: datetime | None
    is_gone: bool
    subtitles: tuple[Subtitles, ...]
    version: int
    earlier: tuple[int, ...]
    """Versions that were replaced, and whose bytes are still there."""
    has_aac: bool
    """Of a recording: its Opus is there as AAC, too."""
    has_rungs: bool
    """Of a recording: its picture is there in smaller sizes, too."""
    playback_version: int
    """Rises with whatever here changes of a ready video (but `owner_version`), and tells edges."""
    owner_version: int
    """Of the owner's `access_version`: rises when they are deleted, and tells edges, too."""


async def find_playback(connection: Connection, video_id: uuid.UUID) -> PlaybackRecord | None:
    """Return what decides about playback, also of a deleted video."""
    row = await connection.fetchrow(
        f"""SELECT v.id, v.owner_id, v.status, v.visibility, v.access_version, v.thumbnail_key,
                  v.has_preview,
                  v.playable_at, {AS_JSON} AS subtitles,
                  v.version, ARRAY(
                      SELECT m.version FROM video_versions m
                       WHERE m.video_id = v.id AND m.state = 'replaced' ORDER BY m.version
                  ) AS earlier,
                  EXISTS (SELECT 1 FROM recordings r
                           WHERE r.video_id = v.id AND r.aac = 'made') AS has_aac,
                  EXISTS (SELECT 1 FROM recordings r
                           WHERE r.video_id = v.id AND r.rungs = 'made') AS has_rungs,
                  v.playback_version, u.access_version AS owner_version,
                  v.deleted_at IS NOT NULL OR u.deleted_at IS NOT NULL AS is_gone
             FROM videos v JOIN users u ON u.id = v.owner_id
            WHERE v.id = $1""",  # noqa: S608 - constants
        video_id,
    )
    return None if row is None else read_row(PlaybackRecord, row)
