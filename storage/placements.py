"""Which host owns which object: at most one row per object, replaced only over a fenced owner.

Edges and the API place and look up; hosts release on a planned move. An owner counts as gone when
its incarnation is fenced or replaced, never merely because its lease lapsed.
"""

from __future__ import annotations

import uuid

import msgspec

from storage.database import Connection, read_row
from storage.hosts import asking_again

ROOM = "room"
USER = "user"
FEED = "feed"
"""Placed under the reader's id."""


class Placement(msgspec.Struct, frozen=True):
    """Where an object lives; not `is_live`: its owner's incarnation is over, place it anew."""

    object_id: uuid.UUID
    host_id: str
    incarnation: int
    node: str
    address: str
    is_live: bool


async def find_placement(
    connection: Connection, kind: str, object_id: uuid.UUID
) -> Placement | None:
    """Return the present placement, or None when the object was never placed."""
    row = await connection.fetchrow(
        """
        SELECT p.object_id, p.host_id, p.incarnation, h.node, h.address,
               (h.incarnation = p.incarnation AND h.state <> 'fenced') AS is_live
        FROM placements p JOIN hosts h ON h.id = p.host_id
        WHERE p.kind = $1 AND p.object_id = $2
        """,
        kind,
        object_id,
    )
    return None if row is None else read_row(Placement, row)


async def place_object(
    connection: Connection, kind: str, object_id: uuid.UUID, host: tuple[str, int]
) -> Placement | None:
    """Place the object on `host` (id, incarnation) unless it has a living owner.

    Returns the placement that stands afterwards; None when the host takes none any more. Of two
    that race, both get the same answer. The owner that is replaced is the one that the statement
    saw at its beginning, and saw to be over (which is for good): whoever was placed since then,
    maybe on a host that began since then, is not looked at with old eyes.
    """
    with asking_again():
        row = await connection.fetchrow(
            """
            INSERT INTO placements AS p (kind, object_id, host_id, incarnation)
            SELECT $1, $2, h.id, h.incarnation FROM hosts h
            WHERE h.id = $3 AND h.incarnation = $4 AND h.state = 'live'
              AND h.expires_at > clock_timestamp()
            FOR SHARE OF h
            ON CONFLICT (kind, object_id) DO UPDATE
            SET host_id = excluded.host_id, incarnation = excluded.incarnation, placed_at = now()
            WHERE (p.host_id, p.incarnation) IN (
                SELECT q.host_id, q.incarnation FROM placements q
                WHERE q.kind = $1 AND q.object_id = $2 AND NOT EXISTS (
                    SELECT 1 FROM hosts o
                    WHERE o.id = q.host_id AND o.incarnation = q.incarnation
                      AND o.state <> 'fenced'))
            RETURNING p.object_id
            """,
            kind,
            object_id,
            *host,
        )
    standing = await find_placement(connection, kind, object_id)
    if row is None and (standing is None or not standing.is_live):
        return None
    return standing


async def move_object(
    connection: Connection,
    key: tuple[str, uuid.UUID],
    host: tuple[str, int],
    target: tuple[str, int],
) -> Placement | None:
    """Give an object (kind, id) that `host` (id, incarnation) stopped to `target`.

    Returns the placement that stands afterwards; None when the object is not the host's, or the
    target takes none.
    """
    with asking_again():
        row = await connection.fetchrow(
            """
            UPDATE placements p
            SET host_id = h.id, incarnation = h.incarnation, placed_at = now()
            FROM hosts h
            WHERE p.kind = $1 AND p.object_id = $2 AND p.host_id = $3 AND p.incarnation = $4
              AND h.id = $5 AND h.incarnation = $6 AND h.state = 'live'
              AND h.expires_at > clock_timestamp()
            RETURNING p.object_id, p.host_id, p.incarnation, h.node, h.address, true AS is_live
            """,
            *key,
            *host,
            *target,
        )
    return None if row is None else read_row(Placement, row)


async def release_placement(
    connection: Connection, kind: str, object_id: uuid.UUID, host: tuple[str, int]
) -> bool:
    """Give up one object that `host` (id, incarnation) stopped."""
    return (
        await connection.fetchval(
            "DELETE FROM placements WHERE kind = $1 AND object_id = $2 "
            "AND host_id = $3 AND incarnation = $4 RETURNING 1",
            kind,
            object_id,
            *host,
        )
        is not None
    )
