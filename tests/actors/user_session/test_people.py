"""Telling people: the real way and the tests' own keep the same promises."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator

import pytest

from actors.hosting.messages import API
from actors.job_runner.ports import People
from actors.user_session.client import UserClient
from kit.ids import make_id
from kit.settings import Settings
from storage.database import Database
from tests.actors.hosting.stage import run_host, run_host_client
from tests.actors.user_session.people import HeardPeople
from tests.storage.live_rows import create_user_row

pytestmark = pytest.mark.db


@contextlib.asynccontextmanager
async def open_people(kind: str, settings: Settings) -> AsyncIterator[People]:
    if kind == "in memory":
        yield HeardPeople()
        return
    async with run_host(settings), run_host_client(settings, name="runner", role=API) as hosts:
        yield UserClient(hosts)


@pytest.mark.parametrize("kind", ["in memory", "hosted"])
async def test_what_is_told_is_numbered_in_order_and_an_event_once(
    settings: Settings, database: Database, kind: str
) -> None:
    async with database.connection() as connection:
        ada = await create_user_row(connection, "ada")
        bob = await create_user_row(connection, "bob")
    events: list[uuid.UUID] = [make_id() for _ in range(3)]

    async with open_people(kind, settings) as people:

        async def tell(user_id: uuid.UUID, event_id: uuid.UUID) -> tuple[str, int]:
            stored = await people.deliver(user_id, event_id, "like", {"by": "x"})
            return stored.entry_id, stored.seq  # type: ignore[attr-defined]

        first = [await tell(ada, event_id) for event_id in events]
        assert [seq for _id, seq in first] == [1, 2, 3]
        assert [await tell(ada, event_id) for event_id in events] == first
        assert (await tell(bob, events[0]))[1] == 1
