"""Edges as the rest of the product sees them: address, incarnation, load, alive until when.

Each edge writes its own row from its heartbeat; the API hands out addresses from here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from storage.database import Connection, read_row, read_rows

LATE_S = 2.5
"""An edge whose row lapses sooner has missed its last beats: it is the last to be handed out."""


class EdgeEntry(msgspec.Struct, frozen=True):
    """One living edge; `load` is 0 (idle) to 1 (takes no more); `is_late`: it missed beats."""

    node: str
    slot: int
    incarnation: int
    url: str
    load: float
    candidates: list[Any] = []
    is_late: bool = False


async def register_edge(
    connection: Connection, *, node: str, slot: int, url: str, candidates: list[str]
) -> int:
    """Write the edge's row under a fresh incarnation and return that; it is not yet handed out."""
    incarnation: int = await connection.fetchval(
        """
        INSERT INTO edges (node, slot, incarnation, state, url, candidates, load, expires_at)
        VALUES ($1, $2, nextval('incarnations'), 'gone', $3, $4, 0, clock_timestamp())
        ON CONFLICT (node, slot) DO UPDATE SET
            incarnation = nextval('incarnations'), state = 'gone', url = excluded.url,
            candidates = excluded.candidates, load = 0, expires_at = excluded.expires_at
        RETURNING incarnation
        """,
        node,
        slot,
        url,
        candidates,
    )
    return incarnation


async def renew_edge(
    connection: Connection, edge: tuple[str, int, int], *, state: str, load: float, ttl_s: float
) -> bool:
    """Write a heartbeat of `edge` (node, slot, incarnation); False: another one took the slot."""
    return (
        await connection.fetchval(
            """
            UPDATE edges SET state = $4, load = $5,
                   expires_at = clock_timestamp() + make_interval(secs => $6)
            WHERE node = $1 AND slot = $2 AND incarnation = $3 RETURNING 1
            """,
            *edge,
            state,
            load,
            ttl_s,
        )
        is not None
    )


async def list_live_edges(connection: Connection, *, late_s: float = LATE_S) -> list[EdgeEntry]:
    """Return the edges that admit clients, the least loaded first, those that fell silent last."""
    rows = await connection.fetch(
        "SELECT node, slot, incarnation, url, load, candidates, "
        "expires_at < clock_timestamp() + make_interval(secs => $1) AS is_late FROM edges "
        "WHERE state = 'live' AND expires_at > clock_timestamp() "
        "ORDER BY is_late, load, node, slot",
        late_s,
    )
    return read_rows(EdgeEntry, rows)


async def find_edge(
    connection: Connection, node: str, slot: int, incarnation: int
) -> EdgeEntry | None:
    """Return this very edge while it is alive (also when it drains), else None."""
    row = await connection.fetchrow(
        "SELECT node, slot, incarnation, url, load, candidates FROM edges "
        "WHERE node = $1 AND slot = $2 AND incarnation = $3 "
        "AND state <> 'gone' AND expires_at > clock_timestamp()",
        node,
        slot,
        incarnation,
    )
    return None if row is None else read_row(EdgeEntry, row)
