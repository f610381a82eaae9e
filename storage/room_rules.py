"""Rows of a room's chat beyond its lines: rules, members, pins, and lines held for review.

They change only in the statement that writes the entries which tell of the change (`RULE_WRITES`,
a part of the fenced tick in `rooms.py`). Each such entry carries the whole new value, so the last
one of a batch wins. Hosts load them with a room; the API reads them.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import msgspec

from storage.database import Connection, read_row, read_rows

RULE_KINDS = frozenset(
    {"message_deleted", "message_held", "held_refused", "rules_changed", "member_changed"}
    | {"pins_changed"}
)
RULE_WRITES = """, rules AS (
    INSERT INTO room_rules (room_id, rules)
    SELECT DISTINCT ON (g.room_id) g.room_id, g.body::jsonb->'rules'
    FROM given g JOIN writable USING (room_id) WHERE g.kind = 'rules_changed'
    ORDER BY g.room_id, g.seq DESC
    ON CONFLICT (room_id) DO UPDATE SET rules = excluded.rules
), pins AS (
    INSERT INTO room_pins (room_id, pins)
    SELECT DISTINCT ON (g.room_id) g.room_id, g.body::jsonb->'pins'
    FROM given g JOIN writable USING (room_id)
    WHERE g.kind IN ('pins_changed', 'message_deleted') AND g.body::jsonb ? 'pins'
    ORDER BY g.room_id, g.seq DESC
    ON CONFLICT (room_id) DO UPDATE SET pins = excluded.pins
), members AS (
    INSERT INTO room_members
        (room_id, user_id, role, is_banned, timed_out_until, reason, changed_at)
    SELECT DISTINCT ON (g.room_id, m.user_id) g.room_id, m.user_id, g.body::jsonb->>'role',
           (g.body::jsonb->>'is_banned')::boolean,
           (g.body::jsonb->>'timed_out_until')::timestamptz, g.body::jsonb->>'reason', g.created_at
    FROM given g JOIN writable USING (room_id)
    CROSS JOIN LATERAL (SELECT (g.body::jsonb->'user'->>'id')::uuid AS user_id) m
    WHERE g.kind = 'member_changed'
    ORDER BY g.room_id, m.user_id, g.seq DESC
    ON CONFLICT (room_id, user_id) DO UPDATE SET
        role = excluded.role, is_banned = excluded.is_banned,
        timed_out_until = excluded.timed_out_until, reason = excluded.reason,
        changed_at = excluded.changed_at
), blanked AS (
    UPDATE room_messages m
    SET body = m.body - 'text' || CASE WHEN m.kind = 'chat_message'
                                       THEN '{"text": "", "deleted": true}'::jsonb
                                       ELSE '{}'::jsonb END
    FROM (
        SELECT g.room_id, coalesce(g.body::jsonb->>'message_id', g.body::jsonb->>'held_id')::uuid
                   AS message_id
        FROM given g JOIN writable USING (room_id)
        WHERE g.kind IN ('message_deleted', 'held_refused')
           OR (g.kind = 'chat_message' AND g.body::jsonb ? 'held_id')
    ) b
    WHERE m.room_id = b.room_id AND m.id = b.message_id
)
"""


class MemberRow(msgspec.Struct, frozen=True):
    """Somebody a room remembers, with the names shown."""

    user_id: uuid.UUID
    username: str
    display_name: str
    role: str
    is_banned: bool
    timed_out_until: datetime | None
    reason: str
    changed_at: datetime


class HeldRow(msgspec.Struct, frozen=True):
    """A line that waits for a moderator."""

    id: uuid.UUID
    body: dict[str, Any]
    created_at: datetime


class LineRow(msgspec.Struct, frozen=True):
    """A chat line as moderators point at it."""

    id: uuid.UUID
    seq: int
    body: dict[str, Any]
    created_at: datetime


def changes_rules(kind: str, body: dict[str, Any]) -> bool:
    """Tell whether an entry changes more than its own row."""
    return kind in RULE_KINDS or "held_id" in body


async def find_rules(connection: Connection, room_id: uuid.UUID) -> dict[str, Any]:
    """Return the room's rules as they were written; empty when they were never changed."""
    value = await connection.fetchval("SELECT rules FROM room_rules WHERE room_id = $1", room_id)
    return dict(value or {})


async def list_pins(connection: Connection, room_id: uuid.UUID) -> list[dict[str, Any]]:
    """Return what is pinned, as entries told it."""
    value = await connection.fetchval("SELECT pins FROM room_pins WHERE room_id = $1", room_id)
    return list(value or [])


async def list_members(
    connection: Connection, room_id: uuid.UUID, now: datetime, limit: int
) -> list[MemberRow]:
    """Return moderators and those who may not write, the latest change first."""
    rows = await connection.fetch(
        """
        SELECT m.user_id, u.username, u.display_name, m.role, m.is_banned,
               CASE WHEN m.timed_out_until > $2 THEN m.timed_out_until END AS timed_out_until,
               m.reason, m.changed_at
        FROM room_members m JOIN users u ON u.id = m.user_id AND u.deleted_at IS NULL
        WHERE m.room_id = $1 AND (m.role <> 'guest' OR m.is_banned OR m.timed_out_until > $2)
        ORDER BY m.changed_at DESC, m.user_id LIMIT $3
        """,
        room_id,
        now,
        limit,
    )
    return read_rows(MemberRow, rows)


async def find_member(
    connection: Connection, room_id: uuid.UUID, user_id: uuid.UUID
) -> MemberRow | None:
    """Return what a room remembers of a person."""
    row = await connection.fetchrow(
        "SELECT m.user_id, u.username, u.display_name, m.role, m.is_banned, m.timed_out_until,"
        " m.reason, m.changed_at FROM room_members m JOIN users u ON u.id = m.user_id"
        " WHERE m.room_id = $1 AND m.user_id = $2",
        room_id,
        user_id,
    )
    return None if row is None else read_row(MemberRow, row)


async def list_held(connection: Connection, room_id: uuid.UUID, limit: int) -> list[HeldRow]:
    """Return lines that wait for a moderator, the oldest first."""
    rows = await connection.fetch(
        "SELECT id, body, created_at FROM room_messages"
        " WHERE room_id = $1 AND kind = 'message_held' AND body ? 'text' ORDER BY seq LIMIT $2",
        room_id,
        limit,
    )
    return read_rows(HeldRow, rows)


async def find_line(
    connection: Connection, room_id: uuid.UUID, message_id: uuid.UUID
) -> LineRow | None:
    """Return a chat line of the room; None also when it was deleted."""
    row = await connection.fetchrow(
        "SELECT id, seq, body, created_at FROM room_messages"
        " WHERE room_id = $1 AND id = $2 AND kind = 'chat_message' AND NOT body ? 'deleted'",
        room_id,
        message_id,
    )
    return None if row is None else read_row(LineRow, row)
