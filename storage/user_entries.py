"""The durable channel of people: fenced writes by its host, reading, purging, what was seen.

Hosts alone write here, one autocommit statement per tick for all sessions of theirs, fenced as the
rooms' statement is (`storage/rooms.py`). The newest entry of a person is never purged: it keeps
the place in the sequence.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import orjson

from storage.database import (
    WRITE_TIMEOUT_S,
    Connection,
    naming_the_outcome,
    read_row,
    read_rows,
)
from storage.placements import USER, begin_with_owned


class UserChannel(msgspec.Struct, frozen=True):
    """What a host needs to run a session; `head` is the last number given, 0 before the first."""

    id: uuid.UUID
    epoch: uuid.UUID
    head: int
    placement: int
    """The number under which the host owns it."""


class UserEntry(msgspec.Struct, frozen=True):
    """One row of a person's durable channel; `event_id` makes a repeat recognisable."""

    user_id: uuid.UUID
    seq: int
    id: uuid.UUID
    kind: str
    event_id: uuid.UUID
    body: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class UserTickOutcome:
    """What became of a tick, person by person: entries are written whole or not at all.

    `repeated` maps (person, event id) that were already stored to their (entry id, seq).
    """

    fenced: frozenset[uuid.UUID] = frozenset()
    repeated: dict[tuple[uuid.UUID, uuid.UUID], tuple[uuid.UUID, int]] = field(default_factory=dict)


OWNED_CHANNEL = begin_with_owned(
    USER,
    """
SELECT u.id, u.channel_epoch AS epoch,
       coalesce((SELECT max(e.seq) FROM user_entries e WHERE e.user_id = u.id), 0) AS head,
       o.placement
FROM owned o JOIN users u ON u.id = o.object_id AND u.deleted_at IS NULL
""",
)
WRITE_USER_TICK = begin_with_owned(
    USER,
    """, given AS (
    SELECT * FROM unnest($3::uuid[], $4::bigint[], $5::uuid[], $6::text[], $7::uuid[],
                         $8::text[], $9::timestamptz[])
        AS g (user_id, seq, id, kind, event_id, body, created_at)
), repeated AS (
    SELECT e.user_id, e.event_id, e.id, e.seq
    FROM given g JOIN user_entries e USING (user_id, event_id)
), writable AS (
    SELECT object_id AS user_id FROM owned EXCEPT SELECT user_id FROM repeated
), written AS (
    INSERT INTO user_entries (user_id, seq, id, kind, event_id, body, created_at)
    SELECT g.user_id, g.seq, g.id, g.kind, g.event_id, g.body::jsonb, g.created_at
    FROM given g JOIN writable USING (user_id)
)
SELECT object_id AS user_id, NULL::uuid AS event_id, NULL::uuid AS id, NULL::bigint AS seq
FROM owned
UNION ALL SELECT user_id, event_id, id, seq FROM repeated
""",
    for_write=True,
)


async def write_user_tick(
    connection: Connection, host: tuple[str, int], entries: Sequence[UserEntry]
) -> UserTickOutcome:
    """Write one tick of `host` (id, incarnation) in one statement; call it outside a transaction.

    Raises WriteRefused or SequenceTaken when surely nothing was written, WriteOutcomeUnknown when
    nobody can say.
    """
    with naming_the_outcome():
        rows = await connection.fetch(
            WRITE_USER_TICK,
            *host,
            [entry.user_id for entry in entries],
            [entry.seq for entry in entries],
            [entry.id for entry in entries],
            [entry.kind for entry in entries],
            [entry.event_id for entry in entries],
            [orjson.dumps(entry.body).decode() for entry in entries],
            [entry.created_at for entry in entries],
            timeout=WRITE_TIMEOUT_S,
        )
    owned = {row["user_id"] for row in rows if row["id"] is None}
    return UserTickOutcome(
        fenced=frozenset(entry.user_id for entry in entries) - owned,
        repeated={
            (row["user_id"], row["event_id"]): (row["id"], row["seq"])
            for row in rows
            if row["id"] is not None
        },
    )


async def find_owned_channel(
    connection: Connection, host: tuple[str, int], user_id: uuid.UUID
) -> UserChannel | None:
    """Return the channel as `host` (id, incarnation) may run it; None: not placed there."""
    row = await connection.fetchrow(OWNED_CHANNEL, *host, [user_id])
    return None if row is None else read_row(UserChannel, row)


async def list_entries_after(
    connection: Connection, user_id: uuid.UUID, seq: int, limit: int
) -> list[UserEntry]:
    """Return what follows number `seq`, oldest first."""
    rows = await connection.fetch(
        "SELECT user_id, seq, id, kind, event_id, body, created_at FROM user_entries"
        " WHERE user_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        user_id,
        seq,
        limit,
    )
    return read_rows(UserEntry, rows)


async def list_newest_entries(
    connection: Connection, user_id: uuid.UUID, limit: int, *, before: int | None = None
) -> list[UserEntry]:
    """Return the last entries, or the last before a number, newest first."""
    rows = await connection.fetch(
        "SELECT user_id, seq, id, kind, event_id, body, created_at FROM user_entries"
        " WHERE user_id = $1 AND ($3::bigint IS NULL OR seq < $3) ORDER BY seq DESC LIMIT $2",
        user_id,
        limit,
        before,
    )
    return read_rows(UserEntry, rows)


async def count_unseen(connection: Connection, user_id: uuid.UUID, count_max: int) -> int:
    """Return how many entries the person has not seen, at most so many."""
    return int(
        await connection.fetchval(
            """
            SELECT count(*) FROM (
                SELECT 1 FROM user_entries e JOIN users u ON u.id = e.user_id
                WHERE e.user_id = $1 AND e.seq > u.seen_seq LIMIT $2
            ) AS unseen
            """,
            user_id,
            count_max,
        )
    )


async def mark_seen(connection: Connection, user_id: uuid.UUID, seq: int) -> int:
    """Note up to which entry the person has seen, and return it: never back, never ahead."""
    return int(
        await connection.fetchval(
            """
            UPDATE users u SET seen_seq = greatest(u.seen_seq, least($2, coalesce(
                (SELECT max(e.seq) FROM user_entries e WHERE e.user_id = u.id), 0)))
            WHERE u.id = $1 RETURNING u.seen_seq
            """,
            user_id,
            seq,
        )
    )


async def purge_entries(connection: Connection, *, keep_s: float, keep_max: int, limit: int) -> int:
    """Remove entries older than `keep_s` or beyond `keep_max` per person; return how many.

    At most `limit` at a time. The newest entry of each person stays.
    """
    return int(
        await connection.fetchval(
            """
            WITH heads AS (SELECT user_id, max(seq) AS head FROM user_entries GROUP BY user_id),
            past AS (
                SELECT e.user_id, e.seq FROM user_entries e JOIN heads h USING (user_id)
                WHERE e.seq < h.head
                  AND (e.created_at < clock_timestamp() - make_interval(secs => $1)
                       OR e.seq <= h.head - $2)
                LIMIT $3
            ), gone AS (
                DELETE FROM user_entries e USING past p
                WHERE e.user_id = p.user_id AND e.seq = p.seq RETURNING 1
            )
            SELECT count(*) FROM gone
            """,
            keep_s,
            keep_max,
            limit,
        )
    )
