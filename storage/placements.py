"""Which host owns which object: at most one row per object, replaced only over a fenced owner.

Edges and the API place and look up; hosts move and give up. An owner counts as gone when its
incarnation is fenced or replaced, never merely because its lease lapsed. Each act of placing has a
number, which whoever moves or gives up names. Every statement that asks who owns says it by
`begin_with_owned`.
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
KINDS = frozenset({ROOM, USER, FEED})
OWNED = """
    SELECT p.object_id, p.number AS placement
    FROM hosts h JOIN placements p ON p.host_id = h.id AND p.incarnation = h.incarnation
    WHERE h.id = $1 AND h.incarnation = $2 AND h.state <> 'fenced'
      AND p.kind = :kind AND p.object_id = ANY($3::uuid[])
"""


def begin_with_owned(kind: str, rest: str, *, for_write: bool = False) -> str:
    """Return a statement that begins WITH the table `owned (object_id, placement)`.

    Of the objects `$3` (uuid[]) of a kind it has those that the host `$1` of incarnation `$2` owns.
    `for_write` keeps the host's row share-locked until the commit: a fence waits for the write.
    """
    assert kind in KINDS, "kinds of objects are named here"
    owned = OWNED.replace(":kind", f"'{kind}'")
    lock = "FOR SHARE OF h" if for_write else ""
    return f"WITH owned AS ({owned}{lock}){rest}"


class Placement(msgspec.Struct, frozen=True):
    """Where an object lives; not `is_live`: its owner's incarnation is over, place it anew."""

    object_id: uuid.UUID
    host_id: str
    incarnation: int
    node: str
    address: str
    is_live: bool
    number: int
    """Of this act of placing; the next one of the object has another."""


async def find_placement(
    connection: Connection, kind: str, object_id: uuid.UUID
) -> Placement | None:
    """Return the present placement, or None when the object was never placed."""
    row = await connection.fetchrow(
        """
        SELECT p.object_id, p.host_id, p.incarnation, h.node, h.address,
               (h.incarnation = p.incarnation AND h.state <> 'fenced') AS is_live, p.number
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
            SET host_id = excluded.host_id, incarnation = excluded.incarnation,
                number = excluded.number, placed_at = now()
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
    number: int,
    target: tuple[str, int],
) -> Placement | None:
    """Give an object (kind, id) that `host` (id, incarnation) stopped to `target`.

    Returns the placement that stands afterwards; None when the object is not the host's any more
    under this number, or the target takes none.
    """
    with asking_again():
        row = await connection.fetchrow(
            """
            UPDATE placements p
            SET host_id = h.id, incarnation = h.incarnation,
                number = nextval('placement_numbers'), placed_at = now()
            FROM hosts h
            WHERE p.kind = $1 AND p.object_id = $2 AND p.host_id = $3 AND p.incarnation = $4
              AND p.number = $5 AND h.id = $6 AND h.incarnation = $7 AND h.state = 'live'
              AND h.expires_at > clock_timestamp()
            RETURNING p.object_id, p.host_id, p.incarnation, h.node, h.address, true AS is_live,
                      p.number
            """,
            *key,
            *host,
            number,
            *target,
        )
    return None if row is None else read_row(Placement, row)


async def renumber_placement(
    connection: Connection, kind: str, object_id: uuid.UUID, host: tuple[str, int]
) -> int | None:
    """Give an object of the host's another number; None: it is not the host's.

    Whatever was asked under the former number, and is executed only now, finds nothing.
    """
    with asking_again():
        number: int | None = await connection.fetchval(
            "UPDATE placements SET number = nextval('placement_numbers') WHERE kind = $1 "
            "AND object_id = $2 AND host_id = $3 AND incarnation = $4 RETURNING number",
            kind,
            object_id,
            *host,
        )
    return number


async def release_placement(
    connection: Connection, key: tuple[str, uuid.UUID], host: tuple[str, int], number: int
) -> bool:
    """Give up one object (kind, id) that `host` stopped; False: not its any more by this number."""
    with asking_again():
        return (
            await connection.fetchval(
                "DELETE FROM placements WHERE kind = $1 AND object_id = $2 "
                "AND host_id = $3 AND incarnation = $4 AND number = $5 RETURNING 1",
                *key,
                *host,
                number,
            )
            is not None
        )
