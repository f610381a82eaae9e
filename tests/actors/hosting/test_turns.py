"""A kind that others must not wait for takes turns at the pool; the others do not."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from actors.hosting.core import ObjectKey
from actors.hosting.postgres import PostgresStore
from actors.live_room.kind import ROOM_KIND
from actors.user_session.kind import USER_KIND
from storage.database import Database, DatabaseBusy
from storage.placements import ROOM, USER

pytestmark = pytest.mark.unit


class SlowDatabase:
    """Lends connections that answer when told to, and counts how many are out."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.lent = 0

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[SlowDatabase]:
        self.lent += 1
        try:
            yield self
        finally:
            self.lent -= 1

    async def fetchrow(self, *_words: Any) -> None:
        await self.answer.wait()


def make_store(
    database: SlowDatabase, connections_max: int | None = 1, turn_wait_max_s: float = 60.0
) -> PostgresStore:
    store = dataclasses.replace(USER_KIND.store, connections_max=connections_max)
    kinds = (ROOM_KIND, dataclasses.replace(USER_KIND, store=store))
    return PostgresStore(cast(Database, database), kinds, turn_wait_max_s=turn_wait_max_s)


def find(store: PostgresStore, kind: str) -> asyncio.Task[Any]:
    return asyncio.create_task(store.find_placement(ObjectKey(kind, uuid.uuid4())))


async def run_all() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("connections_max", "lent"), [(1, 4), (2, 5), (None, 6)])
async def test_a_kind_holds_no_more_connections_than_it_may(
    connections_max: int | None, lent: int
) -> None:
    database = SlowDatabase()
    store = make_store(database, connections_max)
    asking = [find(store, kind) for kind in (USER, USER, USER, ROOM, ROOM, ROOM)]
    await run_all()
    assert database.lent == lent
    database.answer.set()
    assert await asyncio.gather(*asking) == [None] * 6
    assert database.lent == 0


async def test_who_waits_too_long_for_a_turn_is_told_to_come_back() -> None:
    database = SlowDatabase()
    store = make_store(database, turn_wait_max_s=0.0)
    first, second = find(store, USER), find(store, USER)
    with pytest.raises(DatabaseBusy):
        await second
    first.cancel()
    await asyncio.wait([first])
    database.answer.set()
    assert await find(store, USER) is None
