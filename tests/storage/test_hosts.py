"""Leases: registering, renewing, lapsing, fencing."""

from __future__ import annotations

import pytest

from storage.database import Connection, Database
from storage.hosts import (
    announce_host,
    delete_hosts_of,
    drain_host,
    fence_expired_hosts,
    fence_host,
    fence_late_host,
    list_live_hosts,
    register_host,
    renew_host,
)

pytestmark = pytest.mark.db

LONG_S = 3600.0
"""A lease that no test outlives, however busy the machine."""


async def start_host(connection: Connection, host_id: str, ttl_s: float = LONG_S) -> int:
    incarnation = await register_host(connection, host_id, node="here", ttl_s=ttl_s)
    assert await announce_host(connection, host_id, incarnation, f"unix:/{host_id}")
    return incarnation


async def test_a_host_is_listed_once_it_announced_where_it_listens(database: Database) -> None:
    async with database.connection() as connection:
        incarnation = await register_host(connection, "host-0", node="here", ttl_s=LONG_S)
        assert await list_live_hosts(connection) == []
        await announce_host(connection, "host-0", incarnation, "unix:/x")
        assert [host.address for host in await list_live_hosts(connection)] == ["unix:/x"]


async def test_registering_again_ends_the_older_incarnation(database: Database) -> None:
    async with database.connection() as connection:
        first = await start_host(connection, "host-0")
        second = await start_host(connection, "host-0")
        assert second > first
        assert not await renew_host(connection, "host-0", first, 5)
        assert await renew_host(connection, "host-0", second, LONG_S)


async def test_a_fenced_host_cannot_renew(database: Database) -> None:
    async with database.connection() as connection:
        incarnation = await start_host(connection, "host-0")
        assert await fence_host(connection, "host-0", incarnation)
        assert not await fence_host(connection, "host-0", incarnation)
        assert not await renew_host(connection, "host-0", incarnation, 5)
        assert await list_live_hosts(connection) == []


async def test_a_host_of_a_forgotten_node_is_over_and_others_are_not(database: Database) -> None:
    async with database.connection() as connection:
        incarnation = await start_host(connection, "host-0")
        there = await register_host(connection, "host-0@b", node="b", ttl_s=5)
        assert await delete_hosts_of(connection, "b") == ["host-0@b"]
        assert await delete_hosts_of(connection, "b") == []
        assert not await renew_host(connection, "host-0@b", there, 5)
        assert await renew_host(connection, "host-0", incarnation, 5)
        assert await register_host(connection, "host-0@b", node="b", ttl_s=5) > there


async def test_a_lapsed_host_takes_no_placements_but_may_still_renew(database: Database) -> None:
    async with database.connection() as connection:
        incarnation = await start_host(connection, "host-0", ttl_s=0)
        assert await list_live_hosts(connection) == []
        assert await renew_host(connection, "host-0", incarnation, LONG_S)
        assert len(await list_live_hosts(connection)) == 1


async def test_a_draining_host_keeps_its_lease(database: Database) -> None:
    async with database.connection() as connection:
        incarnation = await start_host(connection, "host-0")
        assert await drain_host(connection, "host-0", incarnation)
        assert await list_live_hosts(connection) == []
        assert await renew_host(connection, "host-0", incarnation, 5)


async def test_only_lapsed_hosts_are_swept_and_none_before_another_was_steady_for_a_while(
    database: Database,
) -> None:
    async with database.connection() as connection:
        await start_host(connection, "lapsed", ttl_s=0)
        await start_host(connection, "alive")
        assert await fence_expired_hosts(connection, 86_400) == []
        assert await fence_expired_hosts(connection, 0) == ["lapsed"]


async def test_a_host_that_missed_renewals_may_be_fenced_and_one_that_renews_may_not(
    database: Database,
) -> None:
    async with database.connection() as connection:
        late = await start_host(connection, "late", ttl_s=0)
        alive = await start_host(connection, "alive")
        assert not await fence_late_host(connection, "late", late, left_s=60)
        await connection.execute(
            "UPDATE hosts SET steady_since = steady_since - interval '2 minutes'"
        )  # twice 60 s: so long must somebody have been steady
        assert not await fence_late_host(connection, "alive", alive, left_s=60)
        assert await fence_late_host(connection, "late", late, left_s=60)
        assert not await renew_host(connection, "late", late, 5)
        assert await fence_late_host(connection, "late", late, left_s=60)
        assert await renew_host(connection, "alive", alive, 5)


async def test_nobody_is_late_where_nobody_else_renews(database: Database) -> None:
    async with database.connection() as connection:
        incarnation = await start_host(connection, "host-0", ttl_s=0)
        assert not await fence_late_host(connection, "host-0", incarnation, left_s=0)
        assert await renew_host(connection, "host-0", incarnation, 5)
