"""Rows of `recordings`: videos that are segments of a live, all of them or a clip.

The live feature writes them, playback asks which segments a video is. The video's own row is one
like any other; its bytes are the live's.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Sequence

import msgspec

from storage.database import Connection, read_rows
from storage.live_segments import COLUMNS, IS_SENT, SegmentRange, StoredSegment

PROCESS_RECORDED_JOB = "videos.process_recorded"
"""Makes what a recording lacks; queued with its row, handled by the videos feature. Apart from
uploads: recordings play already and need seconds, and wait for no long transcode."""


MAKE_AAC_JOB = "videos.make_aac"
"""Makes AAC of a recording's Opus; queued with its row where there is some, and apart from the
rest: a long live takes minutes, and its recording is whole without."""

MAKE_RUNGS_JOB = "videos.make_rungs"
"""Makes a recording's picture smaller; queued with its row where the site wants that."""

PURGE_SEGMENTS_JOB = "live.purge_segments"
"""Removes segments of a live that no video needs; handled by the live feature."""


class Further(enum.StrEnum):
    """What is made of a recording that plays: the column that says how far it is."""

    AAC = "aac"
    RUNGS = "rungs"


class RecordedVideo(msgspec.Struct, frozen=True):
    """A video to be made of a live's segments; it plays at once and waits for what else it has."""

    id: uuid.UUID
    owner_id: uuid.UUID
    title: str
    visibility: str
    duration_ms: int
    width: int
    height: int
    is_whole: bool
    makes_aac: bool
    """Some of its sound is Opus."""
    ladder: tuple[str, ...] = ()
    """Smaller pictures to be made of it, such as 480p."""


async def insert_recording(
    connection: Connection, video: RecordedVideo, segments: SegmentRange
) -> bool:
    """Write the video and which segments it is, in a transaction; False when it is there.

    Lists show it at once; those it is for were told of the live. All of a live counts against its
    owner's quota, and later what is made of it; a clip of it takes nothing more.
    """
    done: str = await connection.execute(
        f"""INSERT INTO videos (id, owner_id, title, visibility, status, progress, duration_ms,
                  width, height, playable_at, published_at, source_bytes)
           VALUES ($1, $2, $3, $4, 'queued', 0, $5, $6, $7, now(),
                   CASE WHEN $4 IN ('public', 'followers', 'subscribers')
                        THEN now() END,
                   CASE WHEN $8::boolean THEN (
                       SELECT sum((track.value->>'size_bytes')::bigint)
                         FROM live_segments s, jsonb_each(s.tracks) AS track
                        WHERE s.live_id = $9 AND s.number BETWEEN $10 AND $11 AND {IS_SENT}) END)
           ON CONFLICT (id) DO NOTHING""",  # noqa: S608 - constants
        video.id,
        video.owner_id,
        video.title,
        video.visibility,
        video.duration_ms,
        video.width,
        video.height,
        video.is_whole,
        segments.live_id,
        segments.first,
        segments.last,
    )
    if done != "INSERT 0 1":
        return False
    await connection.execute(
        "INSERT INTO recordings "
        "(video_id, live_id, first_number, last_number, is_whole, aac, rungs) "
        "VALUES ($1, $2, $3, $4, $5, CASE WHEN $6::boolean THEN 'making' END, "
        "        CASE WHEN $7::boolean THEN 'making' END)",
        video.id,
        segments.live_id,
        segments.first,
        segments.last,
        video.is_whole,
        video.makes_aac,
        bool(video.ladder),
    )
    return True


async def find_recording(connection: Connection, video_id: uuid.UUID) -> SegmentRange | None:
    """Return which segments a video is; None for one that was uploaded."""
    row = await connection.fetchrow(
        "SELECT live_id, first_number, last_number FROM recordings WHERE video_id = $1", video_id
    )
    if row is None:
        return None
    return SegmentRange(row["live_id"], row["first_number"], row["last_number"])


async def is_making(connection: Connection, video_id: uuid.UUID, what: Further) -> bool:
    """Say whether a recording that still exists waits for it."""
    found: bool = await connection.fetchval(
        f"""SELECT EXISTS (SELECT 1 FROM recordings r JOIN videos v ON v.id = r.video_id
                            WHERE r.video_id = $1 AND r.{what} = 'making'
                              AND v.deleted_at IS NULL)""",  # noqa: S608 - a column
        video_id,
    )
    return found


async def is_left_out(connection: Connection, video_id: uuid.UUID, what: Further) -> bool:
    """Say whether there will be none of it."""
    found: bool = await connection.fetchval(
        f"SELECT EXISTS (SELECT 1 FROM recordings WHERE video_id = $1 AND {what} = 'left_out')",  # noqa: S608 - a column
        video_id,
    )
    return found


async def finish_making(
    connection: Connection, video_id: uuid.UUID, what: Further, size_bytes: int
) -> bool:
    """Note that all of it is made, and count its bytes. False: it was not in work."""
    done: str = await connection.execute(
        f"""WITH made AS (UPDATE recordings SET {what} = 'made'
                          WHERE video_id = $1 AND {what} = 'making' RETURNING video_id)
           UPDATE videos SET source_bytes = coalesce(source_bytes, 0) + $2, updated_at = now()
             FROM made WHERE id = made.video_id""",  # noqa: S608 - a column
        video_id,
        size_bytes,
    )
    return done == "UPDATE 1"


async def leave_out(connection: Connection, video_id: uuid.UUID, what: Further) -> bool:
    """Note that there will be none; False when it was not in work."""
    done: str = await connection.execute(
        f"UPDATE recordings SET {what} = 'left_out' "  # noqa: S608 - a column
        f"WHERE video_id = $1 AND {what} = 'making'",
        video_id,
    )
    return done == "UPDATE 1"


async def is_over(connection: Connection, live_id: uuid.UUID) -> bool:
    """Say whether a live adds no segments any more."""
    over: bool = await connection.fetchval(
        "SELECT NOT EXISTS (SELECT 1 FROM lives WHERE id = $1 AND status <> 'ended' "
        "                   AND deleted_at IS NULL)",
        live_id,
    )
    return over


async def list_unneeded(
    connection: Connection, live_id: uuid.UUID, *, deleted_for_s: float
) -> Sequence[StoredSegment]:
    """Return the segments of a live that no video names, or only such as are deleted for good.

    `deleted_for_s` is how long those stay whose deletion did not say so. None names a slate.
    """
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM live_segments s "  # noqa: S608 - constants
        f"WHERE s.live_id = $1 AND NOT ({IS_SENT} AND EXISTS (SELECT 1 FROM recordings r "
        "JOIN videos v ON v.id = r.video_id "
        "WHERE r.live_id = $1 AND s.number BETWEEN r.first_number AND r.last_number "
        "AND (v.deleted_at IS NULL "
        "OR coalesce(v.purge_at, v.deleted_at + make_interval(secs => $2)) > now())))",
        live_id,
        deleted_for_s,
    )
    return read_rows(StoredSegment, rows)
