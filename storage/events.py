"""The outbox: events written in the transaction of their change, one delivery per listener.

Features append; the job runner claims, hands over and marks. A claim is a lease: a runner that
dies leaves its deliveries to be claimed again when the lease ends, so listeners hear each event
at least once, in no promised order.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from kit.events import Event, EventName
from kit.ids import make_id
from storage.database import Connection, Row

EVENTS_CHANNEL = "events"
LEASE_S = 60.0
ATTEMPTS_MAX = 12
BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 600.0
ERROR_CHARS_MAX = 500


async def append_event(
    connection: Connection,
    name: EventName,
    *,
    subject_id: uuid.UUID,
    actor_id: uuid.UUID | None = None,
    data: Mapping[str, Any] | None = None,
) -> uuid.UUID:
    """Write an event; a trigger adds its deliveries and wakes the runners at commit."""
    event_id = make_id()
    await connection.execute(
        "INSERT INTO events (id, name, subject_id, actor_id, data) VALUES ($1, $2, $3, $4, $5)",
        event_id,
        str(name),
        subject_id,
        actor_id,
        dict(data or {}),
    )
    return event_id


async def register_listeners(
    connection: Connection, listeners: Mapping[str, frozenset[EventName]]
) -> None:
    """Make the table of listeners say this, and only this; call it in a transaction.

    Events written before a listener was registered are not delivered to it.
    """
    wanted = [(name, str(event)) for name, events in listeners.items() for event in sorted(events)]
    names, events = [name for name, _ in wanted], [event for _, event in wanted]
    await connection.execute(
        "INSERT INTO event_listeners (name, event) SELECT * FROM unnest($1::text[], $2::text[])"
        " ON CONFLICT DO NOTHING",
        names,
        events,
    )
    await connection.execute(
        "DELETE FROM event_listeners WHERE (name, event) NOT IN"
        " (SELECT * FROM unnest($1::text[], $2::text[]))",
        names,
        events,
    )


async def claim_deliveries(
    connection: Connection, listener: str, limit: int, *, lease_s: float = LEASE_S
) -> list[Event]:
    """Lease due deliveries, oldest event first; commit before handling them.

    Each claim counts as an attempt, so an event that kills its runner ends up held as well.
    """
    rows = await connection.fetch(
        """
        WITH due AS (
            SELECT event_id, listener FROM event_deliveries
            WHERE listener = $1 AND delivered_at IS NULL AND held_at IS NULL
              AND not_before <= clock_timestamp()
            ORDER BY event_id LIMIT $2 FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE event_deliveries d SET
                attempts = d.attempts + 1,
                not_before = clock_timestamp() + $3 * interval '1 second',
                held_at = CASE WHEN d.attempts >= $4 THEN clock_timestamp() END
            FROM due WHERE d.event_id = due.event_id AND d.listener = due.listener
            RETURNING d.event_id, d.held_at
        )
        SELECT e.id, e.name, e.subject_id, e.actor_id, e.data, e.created_at
        FROM claimed c JOIN events e ON e.id = c.event_id
        WHERE c.held_at IS NULL ORDER BY e.id
        """,
        listener,
        limit,
        lease_s,
        ATTEMPTS_MAX,
    )
    return [_read_event(row) for row in rows]


async def mark_delivered(connection: Connection, listener: str, event_id: uuid.UUID) -> None:
    """Record that the listener has handled the event."""
    await connection.execute(
        "UPDATE event_deliveries SET delivered_at = clock_timestamp(), error = NULL"
        " WHERE event_id = $2 AND listener = $1",
        listener,
        event_id,
    )


async def mark_failed(
    connection: Connection, listener: str, event_id: uuid.UUID, *, error: str
) -> bool:
    """Put the delivery off with a growing pause; True when it is held instead, for an operator."""
    held = await connection.fetchval(
        """
        UPDATE event_deliveries SET
            error = $3,
            held_at = CASE WHEN attempts >= $4 THEN clock_timestamp() END,
            not_before = clock_timestamp()
                + least($5 * 2 ^ least(attempts - 1, 30), $6) * interval '1 second'
        WHERE event_id = $2 AND listener = $1 AND delivered_at IS NULL
        RETURNING held_at IS NOT NULL
        """,
        listener,
        event_id,
        error[:ERROR_CHARS_MAX],
        ATTEMPTS_MAX,
        BACKOFF_FIRST_S,
        BACKOFF_MAX_S,
    )
    return bool(held)


async def has_undelivered(
    connection: Connection, subject_id: uuid.UUID, name: EventName, listener: str
) -> bool:
    """Say whether a listener has not handled an event of this name about something yet."""
    found: bool = await connection.fetchval(
        """SELECT EXISTS (SELECT 1 FROM event_deliveries d JOIN events e ON e.id = d.event_id
                           WHERE d.listener = $3 AND d.delivered_at IS NULL
                             AND e.subject_id = $1 AND e.name = $2)""",
        subject_id,
        str(name),
        listener,
    )
    return found


async def purge_delivered(connection: Connection, older_than_s: float, limit: int = 5_000) -> int:
    """Forget old events that every listener has handled; return how many, at most `limit`."""
    status = await connection.execute(
        """
        DELETE FROM events WHERE id IN (
            SELECT e.id FROM events e
            WHERE e.created_at < clock_timestamp() - $1 * interval '1 second'
              AND NOT EXISTS (SELECT FROM event_deliveries d
                              WHERE d.event_id = e.id AND d.delivered_at IS NULL)
            ORDER BY e.created_at LIMIT $2)
        """,
        older_than_s,
        limit,
    )
    return int(status.split()[-1])


def _read_event(row: Row) -> Event:
    return Event(
        id=row["id"],
        name=EventName(row["name"]),
        subject_id=row["subject_id"],
        actor_id=row["actor_id"],
        data=row["data"],
        created_at=row["created_at"],
    )
