"""What readers of feeds were shown: fenced writes by the host of their ranker, the newest kept.

Hosts alone write here, one autocommit statement per tick for all rankers of theirs, fenced as the
rooms' statement is (`storage/rooms.py`). The same statement removes what is beyond the bound; the
newest row of a reader always stays: it keeps the place in the sequence.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import msgspec

from storage.database import (
    WRITE_TIMEOUT_S,
    Connection,
    naming_the_outcome,
    read_rows,
)
from storage.placements import FEED, begin_with_owned


class ShownPosts(msgspec.Struct, frozen=True):
    """Posts that a reader was shown for the first time, as one numbered row."""

    user_id: uuid.UUID
    seq: int
    id: uuid.UUID
    posts: list[uuid.UUID]
    created_at: datetime


OWNED_RANKER = begin_with_owned(
    FEED,
    """
SELECT o.placement FROM owned o JOIN users u ON u.id = o.object_id AND u.deleted_at IS NULL
""",
)
WRITE_SHOWN_TICK = begin_with_owned(
    FEED,
    """, given AS (
    SELECT user_id, seq, id, posts::uuid[] AS posts, created_at
    FROM unnest($3::uuid[], $4::bigint[], $5::uuid[], $6::text[], $7::timestamptz[])
        AS g (user_id, seq, id, posts, created_at)
    JOIN owned ON owned.object_id = g.user_id
), written AS (
    INSERT INTO feed_shown (user_id, seq, id, posts, created_at) SELECT * FROM given
), forgotten AS (
    DELETE FROM feed_shown f
    USING (SELECT user_id, max(seq) AS head FROM given GROUP BY user_id) g
    WHERE f.user_id = g.user_id AND f.seq <= g.head - $8
)
SELECT object_id AS user_id FROM owned
""",
    for_write=True,
)


async def write_shown_tick(
    connection: Connection, host: tuple[str, int], rows: Sequence[ShownPosts], *, keep_max: int
) -> frozenset[uuid.UUID]:
    """Write one tick of `host` (id, incarnation); return the readers that are not the host's.

    Call it outside a transaction. Raises WriteRefused or SequenceTaken when surely nothing was
    written, WriteOutcomeUnknown when nobody can say.
    """
    with naming_the_outcome():
        owned = await connection.fetch(
            WRITE_SHOWN_TICK,
            *host,
            [row.user_id for row in rows],
            [row.seq for row in rows],
            [row.id for row in rows],
            ["{" + ",".join(map(str, row.posts)) + "}" for row in rows],
            [row.created_at for row in rows],
            keep_max,
            timeout=WRITE_TIMEOUT_S,
        )
    return frozenset(row.user_id for row in rows) - {row["user_id"] for row in owned}


async def find_owned_ranker(
    connection: Connection, host: tuple[str, int], user_id: uuid.UUID
) -> int | None:
    """Return under which number `host` (id, incarnation) owns the ranker of a reader that exists.

    None: it is not placed there.
    """
    placement: int | None = await connection.fetchval(OWNED_RANKER, *host, [user_id])
    return placement


async def list_newest_shown(
    connection: Connection, user_id: uuid.UUID, limit: int
) -> list[ShownPosts]:
    """Return the last rows of a reader, newest first."""
    rows = await connection.fetch(
        "SELECT user_id, seq, id, posts, created_at FROM feed_shown"
        " WHERE user_id = $1 ORDER BY seq DESC LIMIT $2",
        user_id,
        limit,
    )
    return read_rows(ShownPosts, rows)


async def list_shown_after(
    connection: Connection, user_id: uuid.UUID, seq: int, limit: int
) -> list[ShownPosts]:
    """Return what follows number `seq`, oldest first."""
    rows = await connection.fetch(
        "SELECT user_id, seq, id, posts, created_at FROM feed_shown"
        " WHERE user_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        user_id,
        seq,
        limit,
    )
    return read_rows(ShownPosts, rows)
