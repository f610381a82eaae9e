"""Rows of `live_segments`: which segments of a live are stored. Only what is listed here exists.

The edge where a live comes in writes them, under the generation that the room granted its
publisher: a later generation closes the earlier ones, so that an edge which was taken for dead
lists nothing any more. Playback, recordings and clips read them.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from storage.database import Connection, read_row, read_rows


class StoredTrack(msgspec.Struct, frozen=True):
    """One track of a segment; times in ticks since the live's first moment."""

    init_name: str
    codec: str
    timescale: int
    start_ticks: int
    duration_ticks: int
    size_bytes: int
    width: int = 0
    height: int = 0
    channels: int = 0
    key_bytes: int = 0
    """From its beginning to the end of its first frame, a keyframe; 0: another, or sound."""
    is_slate: bool = False
    """It stands in for a publisher who was away; videos leave it out."""


class StoredSegment(msgspec.Struct, frozen=True):
    """One segment; without tracks it is a gap: the live was interrupted here."""

    live_id: uuid.UUID
    number: int
    origin_gen: int
    started_at: datetime
    duration_ms: int
    is_discontinuous: bool
    tracks: dict[str, StoredTrack]


class LiveOrigin(msgspec.Struct, frozen=True):
    """Where a live comes in, as its row says, and whether it runs."""

    status: str
    origin_gen: int
    origin: dict[str, str | int] | None
    is_listing: bool
    """It has ended, and its edge may list a last segment yet."""


@dataclass(frozen=True)
class SegmentRange:
    """Segments of one live from one number to another, both included."""

    live_id: uuid.UUID
    first: int
    last: int


COLUMNS = "live_id, number, origin_gen, started_at, duration_ms, is_discontinuous, tracks"
IS_SENT = "NOT tracks @? '$.*.is_slate ? (@ == true)'"
"""The segment is a publisher's, no slate."""
LISTING_S = 30
"""An edge that has not listed its last segment so long after the end does not live to do so."""


def make_live_prefix(live_id: uuid.UUID) -> str:
    """The folder of everything stored of a live."""
    return f"live/{live_id}"


def make_live_key(live_id: uuid.UUID, origin_gen: int, track: str, name: str) -> str:
    """Key of a segment or init segment of one track of one publisher."""
    return f"{make_live_prefix(live_id)}/{origin_gen}/{track}/{name}"


def make_segment_name(number: int) -> str:
    """A segment's name within its track."""
    return f"{number}.m4s"


async def open_origin(connection: Connection, live_id: uuid.UUID, session_id: str) -> int | None:
    """Take the generation granted to a publisher's session; None while there is none.

    In a transaction: no earlier publisher of the live can list a segment from its commit on.
    """
    origin_gen: int | None = await connection.fetchval(
        "SELECT origin_gen FROM lives "
        "WHERE id = $1 AND status = 'live' AND origin ->> 'session' = $2 AND deleted_at IS NULL",
        live_id,
        session_id,
    )
    if origin_gen is None:
        return None
    await connection.execute(
        "UPDATE live_origins SET closed_at = now() "
        "WHERE live_id = $1 AND origin_gen < $2 AND closed_at IS NULL",
        live_id,
        origin_gen,
    )
    await connection.execute(
        "INSERT INTO live_origins (live_id, origin_gen) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        live_id,
        origin_gen,
    )
    return origin_gen


async def close_origin(connection: Connection, live_id: uuid.UUID, origin_gen: int) -> None:
    """Say that a publisher's last segment is listed."""
    await connection.execute(
        "UPDATE live_origins SET closed_at = now() "
        "WHERE live_id = $1 AND origin_gen = $2 AND closed_at IS NULL",
        live_id,
        origin_gen,
    )


async def insert_segment(connection: Connection, segment: StoredSegment) -> bool:
    """List a segment whose bytes are stored; again changes nothing. False: not the origin."""
    done: str = await connection.execute(
        f"""
        WITH origin AS (
            SELECT live_id, origin_gen FROM live_origins
            WHERE live_id = $1 AND origin_gen = $3 AND closed_at IS NULL FOR SHARE
        )
        INSERT INTO live_segments ({COLUMNS})
        SELECT live_id, $2::integer, origin_gen,
               $4::timestamptz, $5::integer, $6::boolean, $7::jsonb
        FROM origin
        ON CONFLICT (live_id, number) DO UPDATE SET number = excluded.number
            WHERE live_segments.origin_gen = excluded.origin_gen
        """,  # noqa: S608 - constants
        segment.live_id,
        segment.number,
        segment.origin_gen,
        segment.started_at,
        segment.duration_ms,
        segment.is_discontinuous,
        msgspec.to_builtins(segment.tracks),
    )
    return done == "INSERT 0 1"


async def list_segments(connection: Connection, wanted: SegmentRange) -> Sequence[StoredSegment]:
    """Return what was listed of a range, slates included, oldest first."""
    return await _list(connection, wanted, "TRUE")


async def list_sent_segments(
    connection: Connection, wanted: SegmentRange
) -> Sequence[StoredSegment]:
    """Return what publishers sent of a range, oldest first: what a video is made of."""
    return await _list(connection, wanted, IS_SENT)


async def _list(
    connection: Connection, wanted: SegmentRange, condition: str
) -> Sequence[StoredSegment]:
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM live_segments "  # noqa: S608 - constants
        f"WHERE live_id = $1 AND number BETWEEN $2 AND $3 AND {condition} ORDER BY number",
        wanted.live_id,
        wanted.first,
        wanted.last,
    )
    return read_rows(StoredSegment, rows)


async def list_newest_segments(
    connection: Connection, live_id: uuid.UUID, limit: int
) -> Sequence[StoredSegment]:
    """Return the newest segments that a publisher sent, oldest first."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM live_segments "  # noqa: S608 - constants
        f"WHERE live_id = $1 AND {IS_SENT} ORDER BY number DESC LIMIT $2",
        live_id,
        limit,
    )
    return read_rows(StoredSegment, rows[::-1])


async def find_origin(connection: Connection, live_id: uuid.UUID) -> LiveOrigin | None:
    """Return where a live comes in; None when there is no such live, or it is deleted."""
    row = await connection.fetchrow(
        f"""
        SELECT l.status, l.origin_gen, l.origin,
               l.status = 'ended'
               AND coalesce(l.ended_at > now() - interval '{LISTING_S} seconds', false)
               AND EXISTS (SELECT 1 FROM live_origins o
                           WHERE o.live_id = l.id AND o.closed_at IS NULL) AS is_listing
        FROM lives l WHERE l.id = $1 AND l.deleted_at IS NULL
        """,  # noqa: S608 - a constant
        live_id,
    )
    return None if row is None else read_row(LiveOrigin, row)


async def hold_segments(connection: Connection, live_id: uuid.UUID) -> None:
    """Have no segment of the live be given up until the transaction ends."""
    await connection.execute(
        "SELECT 1 FROM live_origins WHERE live_id = $1 ORDER BY origin_gen FOR SHARE", live_id
    )


async def lock_segments(connection: Connection, live_id: uuid.UUID) -> None:
    """Have nothing be made of the live's segments until the transaction ends."""
    await connection.execute(
        "SELECT 1 FROM live_origins WHERE live_id = $1 ORDER BY origin_gen FOR UPDATE", live_id
    )


async def give_up_segments(
    connection: Connection, live_id: uuid.UUID, numbers: Sequence[int]
) -> None:
    """Make segments gaps: no video is made of them any more, and their bytes may go.

    Slates stay what they are: no video names them.
    """
    await connection.execute(
        f"""UPDATE live_segments SET tracks = '{{}}'
             WHERE live_id = $1 AND number = ANY($2) AND {IS_SENT}""",  # noqa: S608 - a constant
        live_id,
        list(numbers),
    )


async def delete_segments(
    connection: Connection, live_id: uuid.UUID, numbers: Sequence[int]
) -> bool:
    """Forget segments, whose bytes are the caller's to remove; False: some of the live are left."""
    await connection.execute(
        "DELETE FROM live_segments WHERE live_id = $1 AND number = ANY($2)", live_id, list(numbers)
    )
    done: str = await connection.execute(
        "DELETE FROM live_origins WHERE live_id = $1 "
        "AND NOT EXISTS (SELECT 1 FROM live_segments WHERE live_id = $1)",
        live_id,
    )
    return done != "DELETE 0"
