"""Rows of `live_samples` and `live_visitors`: how a live went, ten seconds a row, and who came.

Room hosts write them beside their ticks, fenced like these; a sample may be lost. The API reads
them while a live runs and afterwards.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from storage.database import WRITE_TIMEOUT_S, Connection, read_rows
from storage.placements import ROOM, begin_with_owned


class LiveSample(msgspec.Struct, frozen=True):
    """How a live went for a moment that ended `at`; what nobody measured is None."""

    live_id: uuid.UUID
    at: datetime
    span_ms: int
    viewers: int
    """The most at once."""
    webrtc: int
    hls: int
    chat: int
    """How many watched by each way when it ended."""
    watched_webrtc_ms: int
    watched_hls_ms: int
    """Time watched, of everybody together."""
    lines: int
    players: int = 0
    """How many said how watching went; the following is of these."""
    suffering: int = 0
    freezes: int = 0
    stalled_ms: int = 0
    played_ms: int = 0
    lost: int = 0
    received: int = 0
    latency_ms: int | None = None
    latency_p95_ms: int | None = None
    join_p95_ms: int | None = None
    bitrate_bps: int | None = None
    """What came in, and the following of it."""
    frames_per_s: float | None = None
    keyframe_ms: int | None = None
    packets_lost: int | None = None
    packets_received: int | None = None


class Visitors(msgspec.Struct, frozen=True):
    """Who came to a live while one host ran it, as the room packs them."""

    live_id: uuid.UUID
    part: uuid.UUID
    marks: bytes


FIELDS = ", ".join(LiveSample.__struct_fields__)
WRITE = begin_with_owned(
    ROOM,
    f""", sampled AS (
    INSERT INTO live_samples ({FIELDS})
    SELECT {FIELDS} FROM jsonb_populate_recordset(NULL::live_samples, $4::jsonb) given
    JOIN owned ON owned.object_id = given.live_id
    ON CONFLICT DO NOTHING
)
INSERT INTO live_visitors (live_id, part, marks)
SELECT given.live_id, given.part, given.marks
FROM unnest($5::uuid[], $6::uuid[], $7::bytea[]) AS given (live_id, part, marks)
JOIN owned ON owned.object_id = given.live_id
ON CONFLICT (live_id, part) DO UPDATE SET marks = excluded.marks
""",  # noqa: S608 - constants
    for_write=True,
)


async def write_samples(
    connection: Connection,
    host: tuple[str, int],
    samples: Sequence[LiveSample],
    visitors: Sequence[Visitors],
) -> None:
    """Write what `host` (id, incarnation) noted of rooms that it owns; others are left out."""
    await connection.execute(
        WRITE,
        *host,
        list({row.live_id for row in samples} | {row.live_id for row in visitors}),
        msgspec.to_builtins(samples),
        [row.live_id for row in visitors],
        [row.part for row in visitors],
        [row.marks for row in visitors],
        timeout=WRITE_TIMEOUT_S,
    )


async def find_sample_span(
    connection: Connection, live_id: uuid.UUID
) -> tuple[datetime, datetime] | None:
    """Return when the first and the last sample of a live ended; None: there are none."""
    row = await connection.fetchrow(
        "SELECT min(at) AS first, max(at) AS last FROM live_samples WHERE live_id = $1", live_id
    )
    return None if row is None or row["first"] is None else (row["first"], row["last"])


async def list_samples(
    connection: Connection, live_id: uuid.UUID, first: datetime, step: timedelta
) -> list[LiveSample]:
    """Return a live's samples, those within a step as one, oldest first.

    Of counts the largest, of sums the sum, of measures the mean; delays are the worst.
    """
    rows = await connection.fetch(
        """
        SELECT live_id, max(at) AS at, sum(span_ms)::bigint AS span_ms, max(viewers) AS viewers,
               max(webrtc) AS webrtc, max(hls) AS hls, max(chat) AS chat,
               sum(watched_webrtc_ms)::bigint AS watched_webrtc_ms,
               sum(watched_hls_ms)::bigint AS watched_hls_ms, sum(lines)::bigint AS lines,
               sum(players)::bigint AS players, sum(suffering)::bigint AS suffering,
               sum(freezes)::bigint AS freezes, sum(stalled_ms)::bigint AS stalled_ms,
               sum(played_ms)::bigint AS played_ms, sum(lost)::bigint AS lost,
               sum(received)::bigint AS received, avg(latency_ms)::integer AS latency_ms,
               max(latency_p95_ms) AS latency_p95_ms, max(join_p95_ms) AS join_p95_ms,
               avg(bitrate_bps)::integer AS bitrate_bps, avg(frames_per_s) AS frames_per_s,
               max(keyframe_ms) AS keyframe_ms, sum(packets_lost)::bigint AS packets_lost,
               sum(packets_received)::bigint AS packets_received
        FROM live_samples WHERE live_id = $1
        GROUP BY live_id, date_bin($3, at, $2) ORDER BY at
        """,
        live_id,
        first,
        step,
    )
    return read_rows(LiveSample, rows)


async def list_visitors(connection: Connection, live_id: uuid.UUID) -> list[bytes]:
    """Return the marks of who came to a live, by host."""
    rows = await connection.fetch("SELECT marks FROM live_visitors WHERE live_id = $1", live_id)
    return [row["marks"] for row in rows]
