"""Waiting for a fact with a deadline, for tests that watch other tasks or processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from storage.cache import BUS_PREFIX, Cache
from storage.database import Database


async def wait_until(is_so: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Return as soon as `is_so()` holds; raises TimeoutError after `timeout_s` seconds."""
    async with asyncio.timeout(timeout_s):
        while not is_so():
            await asyncio.sleep(0.01)


async def wait_until_heard(database: Database, channel: str) -> None:
    """Return once somebody listens to the channel of this database's notices."""
    is_heard = "query LIKE 'LISTEN%' AND strpos(query, $1) > 0"
    await _wait_for_connection(database, is_heard, channel)


async def wait_until_blocked(database: Database) -> None:
    """Return once some statement in this database waits for somebody's lock."""
    await _wait_for_connection(database, "wait_event_type = 'Lock'")


async def wait_for_followers(cache: Cache, channel: str, count: int = 1) -> None:
    """Return once so many buses follow the channel."""
    async with asyncio.timeout(60):
        while (await cache.client.pubsub_numsub(BUS_PREFIX + channel))[0][1] != count:
            await asyncio.sleep(0.01)


async def _wait_for_connection(database: Database, condition: str, *values: str) -> None:
    there_is = (
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity"
        f" WHERE datname = current_database() AND {condition})"
    )
    async with asyncio.timeout(60), database.connection() as connection:
        while not await connection.fetchval(there_is, *values):
            await asyncio.sleep(0.01)
