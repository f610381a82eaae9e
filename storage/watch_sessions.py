"""Watching as players tell it, by session, and summed up by day.

A beacon changes one session; a job counts a day again from its sessions (`sum_up_day`), so that a
beacon or a job that comes twice changes nothing. Sessions are removed days later, the sums stay.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime

import msgspec

from storage.database import Connection, read_row, read_rows

PARTS = 100
KEPT_DAYS = 3
REMOVED_AT_ONCE = 5_000


class Beacon(msgspec.Struct, frozen=True):
    """What a player told of itself so far, after the rules were applied."""

    session: uuid.UUID
    video_id: uuid.UUID
    viewer: bytes
    now: datetime
    watched_ms: int
    parts: str
    """A hundred digits 0 and 1: which hundredths were played."""
    source: str
    device: str
    start_ms: int | None
    stalls: int
    stalled_ms: int
    switches: int
    country: str | None
    """Two letters (ISO 3166-1); None: not known, or not yet."""


class WatchSession(msgspec.Struct, frozen=True):
    """A session as told so far: what decides whether it is a view, and what it may tell next."""

    started_at: datetime
    last_at: datetime
    watched_ms: int
    parts: str
    """As `Beacon` has them."""
    stalled_ms: int
    counted_at: datetime | None


class VideoDay(msgspec.Struct, frozen=True):
    """A video's numbers of one day."""

    day: date
    views: int
    sessions: int
    watched_ms: int
    retention: list[int]
    sources: Mapping[str, int]
    devices: Mapping[str, int]
    countries: Mapping[str, int]
    """Sessions by country; those of unknown ones are in none."""
    starts: int
    start_ms: int
    stalls: int
    stalled_ms: int
    switches: int
    likes: int = 0
    """Given on that day, and not taken back; so are comments."""
    comments: int = 0
    shares: int = 0


async def find_session(
    connection: Connection, video_id: uuid.UUID, session: uuid.UUID
) -> WatchSession | None:
    """Return a session as told so far, locked until the transaction ends; None: it is new."""
    row = await connection.fetchrow(
        "SELECT started_at, last_at, watched_ms, parts::text AS parts, stalled_ms, counted_at"
        " FROM watch_sessions"
        " WHERE video_id = $1 AND id = $2 FOR UPDATE",
        video_id,
        session,
    )
    return None if row is None else read_row(WatchSession, row)


async def note_beacon(connection: Connection, beacon: Beacon) -> None:
    """Write a session, or bring it up to date; nothing ever becomes less."""
    await connection.execute(
        """INSERT INTO watch_sessions AS s (id, video_id, day, viewer, started_at, last_at,
                  watched_ms, parts, source, device, start_ms, stalls, stalled_ms, switches,
                  country)
           VALUES ($1, $2, ($4 AT TIME ZONE 'UTC')::date, $3, $4, $4, $5, $6::text::bit(100), $7,
                   $8, $9, $10, $11, $12, $13)
           ON CONFLICT (video_id, id) DO UPDATE
              SET last_at = $4, watched_ms = greatest(s.watched_ms, $5),
                  parts = s.parts | $6::text::bit(100), start_ms = coalesce(s.start_ms, $9),
                  stalls = greatest(s.stalls, $10), stalled_ms = greatest(s.stalled_ms, $11),
                  switches = greatest(s.switches, $12),
                  country = coalesce(s.country, $13)""",
        beacon.session,
        beacon.video_id,
        beacon.viewer,
        beacon.now,
        beacon.watched_ms,
        beacon.parts,
        beacon.source,
        beacon.device,
        beacon.start_ms,
        beacon.stalls,
        beacon.stalled_ms,
        beacon.switches,
        beacon.country,
    )


async def count_view(
    connection: Connection, beacon: Beacon, viewers: Sequence[bytes], since: datetime
) -> bool:
    """Make the session a view unless the viewer had one since then; says whether it became one.

    `viewers` are the viewer's hashes of the days since then, the oldest first; a view has that of
    the day it was counted on.
    """
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(encode(viewer, 'hex'), 0))"
        " FROM unnest($1::bytea[]) AS viewer",
        viewers,
    )
    result = await connection.execute(
        """UPDATE watch_sessions SET counted_at = $3, viewer = $4
            WHERE video_id = $1 AND id = $2 AND counted_at IS NULL AND NOT EXISTS (
                SELECT FROM watch_sessions o WHERE o.video_id = $1 AND o.viewer = ANY($5::bytea[])
                   AND o.counted_at > $6)""",
        beacon.video_id,
        beacon.session,
        beacon.now,
        beacon.viewer,
        viewers,
        since,
    )
    return result == "UPDATE 1"


async def sum_up_day(connection: Connection, video_id: uuid.UUID, day: date) -> None:
    """Count a day again from its sessions, and the video's views from its days."""
    await connection.execute(
        """WITH told AS (SELECT * FROM watch_sessions WHERE video_id = $1 AND day = $2)
           INSERT INTO video_days AS d (video_id, day, views, sessions, watched_ms, retention,
                  sources, devices, countries, starts, start_ms, stalls, stalled_ms, switches)
           SELECT $1, $2, count(counted_at), count(*), coalesce(sum(watched_ms), 0),
                  (SELECT array_agg(n ORDER BY part) FROM (
                      SELECT part, coalesce(sum(get_bit(parts, part)), 0) AS n
                        FROM generate_series(0, 99) part LEFT JOIN told ON true
                       GROUP BY part) p),
                  (SELECT coalesce(jsonb_object_agg(source, n), '{}') FROM (
                      SELECT source, count(*) AS n FROM told GROUP BY source) p),
                  (SELECT coalesce(jsonb_object_agg(device, n), '{}') FROM (
                      SELECT device, count(*) AS n FROM told GROUP BY device) p),
                  (SELECT coalesce(jsonb_object_agg(country, n), '{}') FROM (
                      SELECT country, count(*) AS n FROM told WHERE country IS NOT NULL
                       GROUP BY country) p),
                  count(start_ms), coalesce(sum(start_ms), 0), coalesce(sum(stalls), 0),
                  coalesce(sum(stalled_ms), 0), coalesce(sum(switches), 0)
             FROM told HAVING count(*) > 0
           ON CONFLICT (video_id, day) DO UPDATE
              SET views = excluded.views, sessions = excluded.sessions,
                  watched_ms = excluded.watched_ms, retention = excluded.retention,
                  sources = excluded.sources, devices = excluded.devices,
                  countries = excluded.countries,
                  starts = excluded.starts, start_ms = excluded.start_ms,
                  stalls = excluded.stalls, stalled_ms = excluded.stalled_ms,
                  switches = excluded.switches""",
        video_id,
        day,
    )
    await connection.execute(
        "UPDATE videos SET views = coalesce((SELECT sum(views) FROM video_days"
        " WHERE video_id = $1), 0) WHERE id = $1",
        video_id,
    )


async def remove_old_sessions(connection: Connection, before: date) -> None:
    """Remove sessions of days before; some at a time."""
    await connection.execute(
        "DELETE FROM watch_sessions WHERE ctid = ANY(ARRAY("
        " SELECT ctid FROM watch_sessions WHERE day < $1 LIMIT $2))",
        before,
        REMOVED_AT_ONCE,
    )


async def list_days(connection: Connection, video_id: uuid.UUID, since: date) -> list[VideoDay]:
    """Return a video's days from `since` on, oldest first; days without any are left out."""
    rows = await connection.fetch(
        "SELECT day, views, sessions, watched_ms, retention, sources, devices, countries,"
        " starts, start_ms,"
        " stalls, stalled_ms, switches, likes, comments, shares FROM video_days"
        " WHERE video_id = $1 AND day >= $2 ORDER BY day",
        video_id,
        since,
    )
    return read_rows(VideoDay, rows)


async def count_watching(connection: Connection, video_id: uuid.UUID, since: datetime) -> int:
    """Return how many sessions were told of since then."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM watch_sessions WHERE video_id = $1 AND last_at > $2",
        video_id,
        since,
    )
    return count
