"""Hosts and the rooms placed on them, as an operator looks at them. Reads alone."""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec

from storage.database import Connection, read_rows

RECENT_MAX = 1_000
"""Lines of one room that are looked at to count those of the last minute."""


class HostSurvey(msgspec.Struct, frozen=True):
    """One host; `lease_left_s` below 0: it has not renewed in time. `objects` by kind."""

    id: str
    node: str
    incarnation: int
    state: str
    lease_left_s: float
    started_at: datetime
    objects: dict[str, int]


class RoomSurvey(msgspec.Struct, frozen=True):
    """One placed room; `is_owned`: its host's incarnation still counts."""

    id: uuid.UUID
    title: str
    owner: str
    status: str
    host_id: str
    incarnation: int
    is_owned: bool
    placed_at: datetime
    epoch: uuid.UUID
    head: int
    viewers_peak: int
    messages_per_minute: int


async def list_hosts(connection: Connection) -> list[HostSurvey]:
    """Return every host this site has known, by name."""
    rows = await connection.fetch(
        """
        SELECT h.id, h.node, h.incarnation, h.state, h.started_at,
               extract(epoch FROM h.expires_at - clock_timestamp())::float8 AS lease_left_s,
               coalesce(p.objects, '{}') AS objects
        FROM hosts h LEFT JOIN LATERAL (
            SELECT jsonb_object_agg(kind, number) AS objects FROM (
                SELECT kind, count(*) AS number FROM placements
                WHERE host_id = h.id AND incarnation = h.incarnation GROUP BY kind) k
        ) p ON true
        ORDER BY h.id
        """
    )
    return read_rows(HostSurvey, rows)


async def list_placed_rooms(
    connection: Connection, *, host_id: str | None, before: uuid.UUID | None, limit: int
) -> list[RoomSurvey]:
    """Return placed rooms, the newest first; of one host when `host_id` is given."""
    rows = await connection.fetch(
        """
        SELECT l.id, l.title, u.username AS owner, l.status, p.host_id, p.incarnation, p.placed_at,
               (h.incarnation = p.incarnation AND h.state <> 'fenced') AS is_owned,
               l.epoch, l.viewers_peak,
               coalesce((SELECT max(m.seq) FROM room_messages m WHERE m.room_id = l.id), 0) AS head,
               (SELECT count(*) FROM (
                    SELECT m.created_at FROM room_messages m WHERE m.room_id = l.id
                    ORDER BY m.seq DESC LIMIT $4) recent
                WHERE recent.created_at > clock_timestamp() - interval '1 minute'
               ) AS messages_per_minute
        FROM placements p
        JOIN hosts h ON h.id = p.host_id
        JOIN lives l ON l.id = p.object_id AND l.deleted_at IS NULL
        JOIN users u ON u.id = l.owner_id
        WHERE p.kind = 'room' AND ($1::text IS NULL OR p.host_id = $1)
          AND ($2::uuid IS NULL OR l.id < $2)
        ORDER BY l.id DESC LIMIT $3
        """,
        host_id,
        before,
        limit,
        RECENT_MAX,
    )
    return read_rows(RoomSurvey, rows)
