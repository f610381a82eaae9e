"""One owner: placing, racing, replacing only over a fenced owner."""

from __future__ import annotations

import asyncio

import pytest

from kit.ids import make_id
from storage.database import Database
from storage.hosts import fence_host, register_host, renew_host
from storage.placements import (
    ROOM,
    find_placement,
    move_object,
    place_object,
    release_placement,
    renumber_placement,
)
from tests.storage.test_hosts import start_host

pytestmark = pytest.mark.db


async def wait_until_it_waits(database: Database, pid: int) -> None:
    """Return once the statement of this connection waits for somebody's lock."""
    async with database.connection() as connection, asyncio.timeout(60):
        while not await connection.fetchval("SELECT cardinality(pg_blocking_pids($1))", pid):
            await asyncio.sleep(0.005)


async def test_two_who_race_for_an_object_agree_on_one_owner(database: Database) -> None:
    async with database.connection() as connection:
        hosts = [("a", await start_host(connection, "a")), ("b", await start_host(connection, "b"))]
    room_id = make_id()

    async def place(host: tuple[str, int]) -> str:
        async with database.connection() as connection:
            placement = await place_object(connection, ROOM, room_id, host)
            assert placement is not None
            return placement.host_id

    owners = await asyncio.gather(*(place(host) for host in hosts * 3))
    assert len(set(owners)) == 1


async def test_a_living_owner_is_not_replaced_and_a_fenced_one_is(database: Database) -> None:
    room_id = make_id()
    async with database.connection() as connection:
        a = ("a", await start_host(connection, "a"))
        b = ("b", await start_host(connection, "b"))
        await place_object(connection, ROOM, room_id, a)
        kept = await place_object(connection, ROOM, room_id, b)
        assert kept is not None
        assert kept.host_id == "a"
        await fence_host(connection, *a)
        assert not (await find_placement(connection, ROOM, room_id)).is_live
        moved = await place_object(connection, ROOM, room_id, b)
        assert moved is not None
        assert (moved.host_id, moved.is_live) == ("b", True)


async def test_a_lapsed_owner_is_kept_until_somebody_fences_it(database: Database) -> None:
    room_id = make_id()
    async with database.connection() as connection:
        a = ("a", await start_host(connection, "a"))
        b = ("b", await start_host(connection, "b"))
        await place_object(connection, ROOM, room_id, a)
        await renew_host(connection, *a, -10)
        kept = await place_object(connection, ROOM, room_id, b)
        assert kept is not None
        assert kept.host_id == "a"


async def test_a_restarted_host_does_not_own_what_its_former_incarnation_owned(
    database: Database,
) -> None:
    room_id = make_id()
    async with database.connection() as connection:
        await place_object(connection, ROOM, room_id, ("a", await start_host(connection, "a")))
        await register_host(connection, "a", node="here", ttl_s=60)
        placement = await find_placement(connection, ROOM, room_id)
        assert placement is not None
        assert not placement.is_live


async def test_nothing_is_placed_on_a_fenced_host(database: Database) -> None:
    async with database.connection() as connection:
        a = ("a", await start_host(connection, "a"))
        await fence_host(connection, *a)
        assert await place_object(connection, ROOM, make_id(), a) is None


async def test_released_objects_can_be_placed_elsewhere(database: Database) -> None:
    room_id = make_id()
    async with database.connection() as connection:
        a = ("a", await start_host(connection, "a"))
        b = ("b", await start_host(connection, "b"))
        placed = await place_object(connection, ROOM, room_id, a)
        assert placed is not None
        assert not await release_placement(connection, (ROOM, room_id), b, placed.number)
        assert await release_placement(connection, (ROOM, room_id), a, placed.number)
        moved = await place_object(connection, ROOM, room_id, b)
        assert moved is not None
        assert moved.host_id == "b"


async def test_only_the_owner_moves_an_object_and_only_to_a_living_host(
    database: Database,
) -> None:
    key = (ROOM, make_id())
    async with database.connection() as connection:
        a = ("a", await start_host(connection, "a"))
        b = ("b", await start_host(connection, "b"))
        c = ("c", await start_host(connection, "c"))
        await fence_host(connection, *c)
        placed = await place_object(connection, *key, a)
        assert placed is not None
        assert await move_object(connection, key, b, placed.number, a) is None
        assert await move_object(connection, key, a, placed.number, c) is None
        moved = await move_object(connection, key, a, placed.number, b)
        assert moved == await find_placement(connection, *key)
        assert moved is not None
        assert (moved.host_id, moved.incarnation, moved.is_live) == (*b, True)
        assert await move_object(connection, key, a, placed.number, b) is None


async def test_a_statement_that_waited_gives_up_nothing_that_was_placed_meanwhile(
    database: Database,
) -> None:
    """It is executed after its sender gave it up, when the same host owns the object again."""
    key = (ROOM, make_id())
    async with database.connection() as late, database.connection() as other:
        a = ("a", await start_host(other, "a"))
        first = await place_object(other, *key, a)
        assert first is not None
        pid = await late.fetchval("SELECT pg_backend_pid()")
        async with other.transaction():
            await other.execute("SELECT FROM placements WHERE object_id = $1 FOR UPDATE", key[1])
            releasing = asyncio.create_task(release_placement(late, key, a, first.number))
            await wait_until_it_waits(database, pid)
            assert await renumber_placement(other, *key, a) != first.number
        assert not await releasing
        standing = await find_placement(other, *key)
    assert standing is not None
    assert (standing.host_id, standing.is_live) == ("a", True)


async def test_an_owner_that_began_while_somebody_waited_to_place_is_not_replaced(
    database: Database,
) -> None:
    """Whoever waits sees the row of its owner as of before: that host was not there yet."""
    room_id = make_id()
    async with database.connection() as waiting, database.connection() as other:
        a = ("a", await start_host(other, "a"))
        b = ("b", await start_host(other, "b"))
        await place_object(other, ROOM, room_id, a)
        await fence_host(other, *a)
        async with other.transaction():
            await other.execute("SELECT FROM placements WHERE object_id = $1 FOR UPDATE", room_id)
            pid = await waiting.fetchval("SELECT pg_backend_pid()")
            placing = asyncio.create_task(place_object(waiting, ROOM, room_id, b))
            await wait_until_it_waits(database, pid)
            async with database.connection() as third:
                fresh = ("a", await start_host(third, "a"))
            placed = await place_object(other, ROOM, room_id, fresh)
            assert placed is not None
            assert (placed.host_id, placed.incarnation) == fresh
        standing = await placing
    assert standing is not None
    assert (standing.host_id, standing.incarnation) == fresh
