"""PostgreSQL keeps the contract that the simulated server is held to."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from actors.hosting.core import HostRef, ObjectKey
from actors.hosting.entries import Batch
from actors.hosting.postgres import PostgresStore
from actors.live_room.kind import ROOM_KIND
from storage.database import Database
from storage.placements import ROOM
from tests.actors.hosting.sim.store_contract import CASES
from tests.actors.hosting.sim.store_stage import StoreStage
from tests.storage.live_rows import create_room_row, create_user_row
from tests.storage.waiting import wait_until_blocked

pytestmark = pytest.mark.db


class RealStage:
    """PostgreSQL with a person in it."""

    def __init__(self, database: Database, user_id: uuid.UUID) -> None:
        self._database = database
        self.store = PostgresStore(database, [ROOM_KIND])
        self.user_id = user_id

    async def make_room(self) -> ObjectKey:
        async with self._database.connection() as connection:
            return ObjectKey(ROOM, await create_room_row(connection, self.user_id))

    async def pass_time(self, seconds: float) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE hosts SET expires_at = expires_at - make_interval(secs => $1),"
                " steady_since = steady_since - make_interval(secs => $1)",
                seconds,
            )

    async def wait_until_blocked(self) -> None:
        await wait_until_blocked(self._database)

    @asynccontextmanager
    async def hold_write(
        self, host: HostRef, batches: Mapping[uuid.UUID, Batch]
    ) -> AsyncIterator[None]:
        async with self._database.connection() as connection:
            block = connection.transaction()
            await block.start()
            # A lock waited for in vain takes longer than an idle transaction may stand open.
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await ROOM_KIND.store.write(connection, host, batches)
            yield
            await block.commit()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_postgresql_keeps_the_contract(
    case: Callable[[StoreStage], Awaitable[None]], database: Database
) -> None:
    async with database.connection() as connection:
        user_id = await create_user_row(connection, "ada")
    await case(RealStage(database, user_id))
