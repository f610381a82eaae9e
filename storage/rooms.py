"""The durable channel of rooms: fenced writes by their host, and reading what was written.

Room hosts alone write here, one autocommit statement per tick for all their rooms: it takes a
share lock on the host's own row and joins the placements, so a fenced or displaced host writes
nothing. The API and the hosts read.
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
from storage.placements import ROOM, begin_with_owned
from storage.room_rules import RULE_WRITES, changes_rules

Sender = tuple[uuid.UUID, uuid.UUID, str]
"""Room, user and client_id: what makes a chat line the same one when it is sent again."""


class RoomRecord(msgspec.Struct, frozen=True):
    """What a host needs to run a room; `head` is the last number given, 0 before the first."""

    id: uuid.UUID
    owner_id: uuid.UUID
    status: str
    epoch: uuid.UUID
    origin: dict[str, Any] | None
    origin_gen: int
    viewers_peak: int
    head: int
    placement: int
    """The number under which the host owns it."""


class RoomMessage(msgspec.Struct, frozen=True):
    """One row of the durable channel."""

    room_id: uuid.UUID
    seq: int
    id: uuid.UUID
    kind: str
    user_id: uuid.UUID | None
    client_id: str | None
    body: dict[str, Any]
    created_at: datetime


class StatusChange(msgspec.Struct, frozen=True):
    """What a state message changes in its `lives` row, and the event that tells of it."""

    room_id: uuid.UUID
    status: str
    origin: dict[str, Any] | None
    origin_gen: int
    viewers_peak: int
    at: datetime
    event_id: uuid.UUID | None = None
    event_name: str | None = None


@dataclass(frozen=True)
class TickOutcome:
    """What became of a tick, room by room: a room is written whole or not at all.

    `repeated` maps senders that were already stored to their (message id, seq, kind); their rooms,
    like the `fenced` ones, were left untouched.
    """

    fenced: frozenset[uuid.UUID] = frozenset()
    repeated: dict[Sender, tuple[uuid.UUID, int, str]] = field(default_factory=dict)


TICK = begin_with_owned(
    ROOM,
    """, given AS (
    SELECT * FROM unnest($3::uuid[], $4::bigint[], $5::uuid[], $6::text[], $7::uuid[],
                         $8::text[], $9::text[], $10::timestamptz[])
        AS g (room_id, seq, id, kind, user_id, client_id, body, created_at)
), repeated AS (
    SELECT m.room_id, m.user_id, m.client_id, m.id, m.seq, m.kind
    FROM given g JOIN room_messages m USING (room_id, user_id, client_id)
), writable AS (
    SELECT object_id AS room_id FROM owned EXCEPT SELECT room_id FROM repeated
), written AS (
    INSERT INTO room_messages (room_id, seq, id, kind, user_id, client_id, body, created_at)
    SELECT g.room_id, g.seq, g.id, g.kind, g.user_id, g.client_id, g.body::jsonb, g.created_at
    FROM given g JOIN writable USING (room_id)
), changes AS (
    SELECT c.* FROM jsonb_to_recordset($11::jsonb) AS c (
        room_id uuid, status text, origin jsonb, origin_gen bigint, viewers_peak integer,
        at timestamptz, event_id uuid, event_name text)
    JOIN writable USING (room_id)
), changed AS (
    UPDATE lives l SET
        status = c.status, origin = c.origin, origin_gen = c.origin_gen,
        viewers_peak = greatest(l.viewers_peak, c.viewers_peak),
        started_at = CASE WHEN c.status = 'live' THEN coalesce(l.started_at, c.at)
                          ELSE l.started_at END,
        ended_at = CASE WHEN c.status = 'ended' THEN c.at ELSE l.ended_at END
    FROM (SELECT DISTINCT ON (room_id) * FROM changes ORDER BY room_id, at DESC) c
    WHERE l.id = c.room_id
), told AS (
    INSERT INTO events (id, name, subject_id, actor_id, data)
    SELECT c.event_id, c.event_name, l.id, l.owner_id, jsonb_build_object('title', l.title)
    FROM changes c JOIN lives l ON l.id = c.room_id WHERE c.event_id IS NOT NULL
)
""",
    for_write=True,
)
ANSWER = """
SELECT object_id AS room_id, NULL::uuid AS user_id, NULL AS client_id, NULL::uuid AS id,
       NULL::bigint AS seq, NULL AS kind
FROM owned
UNION ALL SELECT room_id, user_id, client_id, id, seq, kind FROM repeated
"""
OWNED_ROOM = begin_with_owned(
    ROOM,
    """
SELECT l.id, l.owner_id, l.status, l.epoch, l.origin, l.origin_gen, l.viewers_peak,
       coalesce((SELECT max(m.seq) FROM room_messages m WHERE m.room_id = l.id), 0) AS head,
       o.placement
FROM owned o JOIN lives l ON l.id = o.object_id AND l.deleted_at IS NULL
""",
)
LINES_ALONE = TICK + ANSWER
LINES_AND_RULES = TICK + RULE_WRITES + ANSWER
"""Only ticks in which a moderator did something pay for the second statement."""


async def write_tick(
    connection: Connection,
    host: tuple[str, int],
    messages: Sequence[RoomMessage],
    changes: Sequence[StatusChange] = (),
) -> TickOutcome:
    """Write one tick of `host` (id, incarnation) in one statement; call it outside a transaction.

    At most one status change per room, with its message among `messages`. Raises WriteRefused or
    SequenceTaken when surely nothing was written, WriteOutcomeUnknown when nobody can say.
    """
    has_rules = any(changes_rules(message.kind, message.body) for message in messages)
    with naming_the_outcome():
        rows = await connection.fetch(
            LINES_AND_RULES if has_rules else LINES_ALONE,
            *host,
            [message.room_id for message in messages],
            [message.seq for message in messages],
            [message.id for message in messages],
            [message.kind for message in messages],
            [message.user_id for message in messages],
            [message.client_id for message in messages],
            [orjson.dumps(message.body).decode() for message in messages],
            [message.created_at for message in messages],
            [msgspec.to_builtins(change) for change in changes],
            timeout=WRITE_TIMEOUT_S,
        )
    owned = {row["room_id"] for row in rows if row["id"] is None}
    return TickOutcome(
        fenced=frozenset(message.room_id for message in messages) - owned,
        repeated={
            (row["room_id"], row["user_id"], row["client_id"]): (
                row["id"],
                row["seq"],
                row["kind"],
            )
            for row in rows
            if row["id"] is not None
        },
    )


async def find_owned_room(
    connection: Connection, host: tuple[str, int], room_id: uuid.UUID
) -> RoomRecord | None:
    """Return the room as `host` (id, incarnation) may run it; None: not placed there."""
    row = await connection.fetchrow(OWNED_ROOM, *host, [room_id])
    return None if row is None else read_row(RoomRecord, row)


async def list_messages_after(
    connection: Connection, room_id: uuid.UUID, seq: int, limit: int
) -> list[RoomMessage]:
    """Return what follows number `seq`, oldest first."""
    rows = await connection.fetch(
        "SELECT room_id, seq, id, kind, user_id, client_id, body, created_at "
        "FROM room_messages WHERE room_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        room_id,
        seq,
        limit,
    )
    return read_rows(RoomMessage, rows)


async def list_messages_before(
    connection: Connection, room_id: uuid.UUID, seq: int | None, limit: int
) -> list[RoomMessage]:
    """Return what precedes number `seq` (None: the end), newest first."""
    rows = await connection.fetch(
        "SELECT room_id, seq, id, kind, user_id, client_id, body, created_at "
        "FROM room_messages WHERE room_id = $1 AND ($2::bigint IS NULL OR seq < $2) "
        "ORDER BY seq DESC LIMIT $3",
        room_id,
        seq,
        limit,
    )
    return read_rows(RoomMessage, rows)


async def is_line_known(connection: Connection, sender: Sender, since: datetime) -> bool:
    """Tell whether somebody sent something under this id lately."""
    return bool(
        await connection.fetchval(
            "SELECT true FROM room_messages WHERE room_id = $1 AND user_id = $2"
            " AND client_id = $3 AND created_at > $4",
            *sender,
            since,
        )
    )


async def list_unowned_rooms(connection: Connection, limit: int) -> list[uuid.UUID]:
    """Return rooms on air that no living host owns: somebody must watch over their end."""
    rows = await connection.fetch(
        """
        SELECT l.id FROM lives l
        LEFT JOIN placements p ON p.kind = 'room' AND p.object_id = l.id
        LEFT JOIN hosts h ON h.id = p.host_id AND h.incarnation = p.incarnation
                         AND h.state <> 'fenced'
        WHERE l.status IN ('live', 'interrupted') AND l.deleted_at IS NULL AND h.id IS NULL
        LIMIT $1
        """,
        limit,
    )
    return [row["id"] for row in rows]
