"""Leases of room hosts: who is alive, under which incarnation, and the fence that ends one.

Hosts renew their own row; edges, the API and other hosts fence. Every expiry is judged by the
database's clock. Fencing is always safe: durable writes take a share lock on this row, so a fence
waits for a write in flight and refuses every later one.

A missed renewal may be the database's fault: it was away, or silent. So nobody is late unless some
host has renewed steadily for a while, which a silence interrupts for all of them alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import msgspec

from storage.database import LOST_CONNECTION, Connection, DatabaseBusy, read_rows

LATE_S = 2.5
"""A lease that ends sooner was not renewed for two periods or more, of the usual five seconds."""


class HostEntry(msgspec.Struct, frozen=True):
    """One living host; `address` is where its links are accepted, `objects` its placements."""

    id: str
    incarnation: int
    node: str
    address: str
    objects: int = 0


@contextmanager
def asking_again() -> Iterator[None]:
    """Raise DatabaseBusy for whatever PostgreSQL refuses, a lock not got in time for instance.

    For statements about leases and placements, which their callers repeat until they are answered.
    """
    try:
        yield
    except (*LOST_CONNECTION, asyncpg.PostgresError) as error:
        raise DatabaseBusy(retry_after_s=1) from error


async def register_host(connection: Connection, host_id: str, *, node: str, ttl_s: float) -> int:
    """Give the host a fresh lease and return its incarnation; an older one of it is fenced."""
    with asking_again():
        incarnation: int = await connection.fetchval(
            """
            INSERT INTO hosts (id, incarnation, state, node, address, expires_at)
            VALUES ($1, nextval('incarnations'), 'draining', $2, '',
                    clock_timestamp() + make_interval(secs => $3))
            ON CONFLICT (id) DO UPDATE SET
                incarnation = nextval('incarnations'), state = 'draining', node = excluded.node,
                address = '', expires_at = excluded.expires_at, started_at = now(),
                steady_since = clock_timestamp()
            RETURNING incarnation
            """,
            host_id,
            node,
            ttl_s,
        )
    return incarnation


async def announce_host(
    connection: Connection, host_id: str, incarnation: int, address: str
) -> bool:
    """Open the host for placements at `address`, now that it listens there."""
    return await _touch(
        connection,
        "UPDATE hosts SET state = 'live', address = $3 "
        "WHERE id = $1 AND incarnation = $2 AND state <> 'fenced' RETURNING 1",
        host_id,
        incarnation,
        address,
    )


async def renew_host(connection: Connection, host_id: str, incarnation: int, ttl_s: float) -> bool:
    """Extend the lease, even a lapsed one nobody fenced; False: this incarnation is over.

    Waits for the host's own writes in flight, whose share lock this update conflicts with. A
    renewal with less than half of the lease left is a gap: the host is steady from now on only.
    """
    return await _touch(
        connection,
        """
        UPDATE hosts SET
            expires_at = clock_timestamp() + make_interval(secs => $3),
            steady_since = CASE
                WHEN expires_at < clock_timestamp() + make_interval(secs => $3 / 2)
                THEN clock_timestamp() ELSE steady_since END
        WHERE id = $1 AND incarnation = $2 AND state <> 'fenced' RETURNING 1
        """,
        host_id,
        incarnation,
        ttl_s,
    )


async def drain_host(connection: Connection, host_id: str, incarnation: int) -> bool:
    """Take the host out of placement; it keeps what it owns."""
    return await _touch(
        connection,
        "UPDATE hosts SET state = 'draining' "
        "WHERE id = $1 AND incarnation = $2 AND state = 'live' RETURNING 1",
        host_id,
        incarnation,
    )


async def fence_host(connection: Connection, host_id: str, incarnation: int) -> bool:
    """End this incarnation: none of its writes lands afterwards. True when it was not yet over."""
    return await _touch(
        connection,
        "UPDATE hosts SET state = 'fenced' "
        "WHERE id = $1 AND incarnation = $2 AND state <> 'fenced' RETURNING 1",
        host_id,
        incarnation,
    )


async def fence_late_host(
    connection: Connection, host_id: str, incarnation: int, *, left_s: float = LATE_S
) -> bool:
    """End this incarnation if it has missed renewals; True when it is over, by us or before.

    For whoever cannot reach the host and does not know on whose side the fault is. As with expiry,
    another host must have renewed meanwhile, and steadily for twice as long.
    """
    with asking_again():
        is_alive: bool = await connection.fetchval(
            """
            WITH fenced AS (
                UPDATE hosts SET state = 'fenced'
                WHERE id = $1 AND incarnation = $2 AND state <> 'fenced'
                  AND expires_at < clock_timestamp() + make_interval(secs => $3)
                  AND EXISTS (
                    SELECT 1 FROM hosts steady WHERE steady.state <> 'fenced'
                    AND steady.expires_at >= clock_timestamp() + make_interval(secs => $3)
                    AND steady.steady_since <= clock_timestamp() - make_interval(secs => 2 * $3))
                RETURNING id)
            SELECT EXISTS (
                SELECT 1 FROM hosts h WHERE h.id = $1 AND h.incarnation = $2
                AND h.state <> 'fenced' AND NOT EXISTS (SELECT 1 FROM fenced))
            """,
            host_id,
            incarnation,
            left_s,
        )
    return not is_alive


async def fence_expired_hosts(connection: Connection, ttl_s: float) -> list[str]:
    """Fence hosts whose lease lapsed; return their ids.

    For one TTL after PostgreSQL was away or silent nobody is: no host has been steady for so long.
    """
    with asking_again():
        rows = await connection.fetch(
            """
            UPDATE hosts SET state = 'fenced'
            WHERE state <> 'fenced' AND expires_at < clock_timestamp()
              AND EXISTS (
                SELECT 1 FROM hosts steady WHERE steady.state <> 'fenced'
                AND steady.expires_at > clock_timestamp()
                AND steady.steady_since <= clock_timestamp() - make_interval(secs => $1))
            RETURNING id
            """,
            ttl_s,
        )
    return [row["id"] for row in rows]


async def list_live_hosts(connection: Connection) -> list[HostEntry]:
    """Return the hosts that take placements, the emptiest first."""
    rows = await connection.fetch(
        """
        SELECT h.id, h.incarnation, h.node, h.address, count(p.object_id) AS objects
        FROM hosts h
        LEFT JOIN placements p ON p.host_id = h.id AND p.incarnation = h.incarnation
        WHERE h.state = 'live' AND h.expires_at > clock_timestamp()
        GROUP BY h.id ORDER BY objects, h.id
        """
    )
    return read_rows(HostEntry, rows)


async def _touch(connection: Connection, statement: str, *values: object) -> bool:
    with asking_again():
        return await connection.fetchval(statement, *values) is not None


async def delete_hosts_of(connection: Connection, node: str) -> list[str]:
    """Forget the hosts of a node for good, with their placements; returns their ids.

    As safe as a fence: a write needs its host's row, and one in flight is waited for.
    """
    with asking_again():
        rows = await connection.fetch("DELETE FROM hosts WHERE node = $1 RETURNING id", node)
    return [row["id"] for row in rows]
