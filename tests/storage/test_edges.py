"""Edges announce themselves, one incarnation per slot."""

from __future__ import annotations

import pytest

from storage.database import Database
from storage.edges import find_edge, list_live_edges, register_edge, renew_edge

pytestmark = pytest.mark.db

LONG_S = 3600.0
"""No test outlives it, however busy the machine."""


async def test_an_edge_is_listed_from_its_first_heartbeat_until_it_lapses(
    database: Database,
) -> None:
    async with database.connection() as connection:
        incarnation = await register_edge(
            connection, node="here", slot=0, url="http://e0", candidates=["127.0.0.1"]
        )
        assert await list_live_edges(connection) == []
        edge = ("here", 0, incarnation)
        assert await renew_edge(connection, edge, state="live", load=0.5, ttl_s=LONG_S)
        assert [entry.url for entry in await list_live_edges(connection)] == ["http://e0"]
        assert await renew_edge(connection, edge, state="live", load=0.5, ttl_s=-1)
        assert await list_live_edges(connection) == []
        assert await find_edge(connection, *edge) is None


async def test_the_least_loaded_edge_comes_first(database: Database) -> None:
    async with database.connection() as connection:
        for slot, load in enumerate((0.9, 0.1)):
            incarnation = await register_edge(
                connection, node="here", slot=slot, url=f"http://e{slot}", candidates=[]
            )
            edge = ("here", slot, incarnation)
            await renew_edge(connection, edge, state="live", load=load, ttl_s=LONG_S)
        assert [entry.slot for entry in await list_live_edges(connection)] == [1, 0]


async def test_an_edge_that_fell_silent_comes_after_a_busier_one(database: Database) -> None:
    async with database.connection() as connection:
        for slot, (load, left_s) in enumerate(((0.1, LONG_S), (0.8, 3 * LONG_S))):
            incarnation = await register_edge(
                connection, node="here", slot=slot, url=f"http://e{slot}", candidates=[]
            )
            edge = ("here", slot, incarnation)
            await renew_edge(connection, edge, state="live", load=load, ttl_s=left_s)
        ordered = await list_live_edges(connection, late_s=2 * LONG_S)
        assert [entry.slot for entry in ordered] == [1, 0]


async def test_a_replaced_edge_cannot_renew(database: Database) -> None:
    async with database.connection() as connection:
        first, second = [
            await register_edge(connection, node="here", slot=0, url="http://e0", candidates=[])
            for _ in range(2)
        ]
        assert not await renew_edge(
            connection, ("here", 0, first), state="live", load=0, ttl_s=LONG_S
        )
        assert await renew_edge(connection, ("here", 0, second), state="live", load=0, ttl_s=LONG_S)


async def test_a_draining_edge_is_found_but_not_handed_out(database: Database) -> None:
    async with database.connection() as connection:
        incarnation = await register_edge(
            connection, node="here", slot=0, url="http://e0", candidates=[]
        )
        edge = ("here", 0, incarnation)
        await renew_edge(connection, edge, state="draining", load=0, ttl_s=LONG_S)
        assert await list_live_edges(connection) == []
        assert await find_edge(connection, *edge) is not None
