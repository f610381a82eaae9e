"""Deleted videos that their owner may have back, or give up for good, until their bytes are gone.

The videos feature's rules and its purge call it. Only what a person deleted themselves is in their
trash: what a moderator took away is not theirs to bring back.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import msgspec

from storage.database import Connection, read_row, read_rows

MARGIN_S = 60
"""So long before its bytes go is a video restored no more: its purge may read the row by then."""
# Of owner $1. An upload that was given up had not become a video.
IN_TRASH = """v.owner_id = $1 AND v.deleted_at IS NOT NULL AND v.deleted_by = v.owner_id
    AND v.status <> 'uploading'"""
IS_RESTORABLE = f"""(NOT v.is_final AND v.purge_at > clock_timestamp() + interval '{MARGIN_S} s'
    AND NOT EXISTS (SELECT FROM recordings r JOIN lives l ON l.id = r.live_id
                     WHERE r.video_id = v.id AND r.is_whole AND l.takedown_reason IS NOT NULL))"""
SELECT_TRASH = f"""SELECT v.id, v.title, v.duration_ms, v.deleted_at, v.purge_at, v.is_final,
    {IS_RESTORABLE} AS is_restorable,
    coalesce(v.source_bytes, u.size_bytes, 0)::bigint AS size_bytes
    FROM videos v LEFT JOIN uploads u ON u.video_id = v.id AND u.state = 'finished'
    WHERE {IN_TRASH}"""  # noqa: S608 - constants

Moment = tuple[datetime, uuid.UUID]


class TrashedVideo(msgspec.Struct, frozen=True):
    """A deleted video, as its owner sees it."""

    id: uuid.UUID
    title: str
    duration_ms: int | None
    deleted_at: datetime
    purge_at: datetime
    """When its bytes go."""
    is_final: bool
    """Its owner gave it up for good: that is about to happen."""
    is_restorable: bool
    size_bytes: int
    """So much of the quota it takes."""


async def list_trash(
    connection: Connection, owner_id: uuid.UUID, *, before: Moment | None, limit: int
) -> list[TrashedVideo]:
    """Return a person's deleted videos, last deleted first."""
    rows = await connection.fetch(
        f"""{SELECT_TRASH}
               AND ($2::timestamptz IS NULL OR (v.deleted_at, v.id) < ($2, $3::uuid))
             ORDER BY v.deleted_at DESC, v.id DESC LIMIT $4""",
        owner_id,
        *(before or (None, None)),
        limit,
    )
    return read_rows(TrashedVideo, rows)


async def find_trashed(
    connection: Connection, owner_id: uuid.UUID, video_id: uuid.UUID
) -> TrashedVideo | None:
    """Return one of a person's deleted videos."""
    row = await connection.fetchrow(f"{SELECT_TRASH} AND v.id = $2", owner_id, video_id)
    return None if row is None else read_row(TrashedVideo, row)


async def restore_video(connection: Connection, owner_id: uuid.UUID, video_id: uuid.UUID) -> bool:
    """Have a deleted video back; one that was in work waits again. False when it cannot be."""
    result = await connection.execute(
        f"""UPDATE videos v
               SET deleted_at = NULL, deleted_by = NULL, purge_at = NULL, updated_at = now(),
                   status = CASE WHEN v.status = 'processing' THEN 'queued' ELSE v.status END
             WHERE {IN_TRASH} AND v.id = $2 AND {IS_RESTORABLE}""",  # noqa: S608 - constants
        owner_id,
        video_id,
    )
    return result == "UPDATE 1"


async def give_up_video(
    connection: Connection, owner_id: uuid.UUID, video_id: uuid.UUID, *, stopped_after_s: float
) -> bool:
    """Have a deleted video's bytes go now, or so long after its deletion; False: not in the trash.

    By then whatever still worked on it has ended.
    """
    result = await connection.execute(
        f"""UPDATE videos v
               SET is_final = true, updated_at = now(),
                   purge_at = least(v.purge_at, greatest(now(), v.deleted_at + $3))
             WHERE {IN_TRASH} AND v.id = $2""",  # noqa: S608 - constants
        owner_id,
        video_id,
        timedelta(seconds=stopped_after_s),
    )
    return result == "UPDATE 1"


async def is_purge_due(connection: Connection, video_id: uuid.UUID, until: datetime | None) -> bool:
    """Whether a video is deleted, and its bytes stay no longer than until that time."""
    found: bool = await connection.fetchval(
        """SELECT EXISTS (SELECT FROM videos WHERE id = $1 AND deleted_at IS NOT NULL
              AND ($2::timestamptz IS NULL OR purge_at IS NULL OR purge_at <= $2))""",
        video_id,
        until,
    )
    return found


async def find_left_s(connection: Connection, purge_at: datetime) -> float:
    """Return the seconds until a time by the database's clock, whose jobs are let go by it."""
    left_s: float = await connection.fetchval(
        "SELECT greatest(extract(epoch FROM $1::timestamptz - now()), 0)::float8", purge_at
    )
    return left_s
