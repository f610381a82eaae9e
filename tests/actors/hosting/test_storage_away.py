"""Hosts while PostgreSQL is away, and when nobody knows whether a write was stored."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator

import pytest

from actors.hosting.core import ObjectKey
from actors.hosting.directory import Directory, HostsAway
from actors.hosting.followed import RequestFailed
from actors.hosting.postgres import PostgresStore
from kit.clock import SystemClock
from kit.errors import Unavailable
from kit.setting_sections import DatabaseSettings, LimitSettings
from kit.settings import Settings
from serve_apps.hosting import KINDS
from storage.database import Database, PoolOptions
from storage.hosts import list_live_hosts
from storage.placements import ROOM
from tests.actors.hosting.stage import NODE, Heard, make_speaker, run_client, run_host
from tests.actors.hosting.test_host import Cast, read_rows
from tests.storage.gate import Gate
from tests.storage.live_rows import create_room_row, create_user_row
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db


@pytest.fixture
async def cable(database_dsn: str) -> AsyncIterator[Gate]:
    lent = Gate(database_dsn)
    await lent.open()
    yield lent
    await lent.shut()


@pytest.fixture
def cabled(settings: Settings, cable: Gate) -> Settings:
    return dataclasses.replace(
        settings,
        database=DatabaseSettings(url=cable.dsn, wait_s=2.0),
        limits=LimitSettings(chat_per_10_s_max=100_000),
    )


@pytest.fixture
async def cast(database: Database) -> Cast:
    async with database.connection() as connection:
        user_id = await create_user_row(connection, "ada")
        return Cast(user_id, await create_room_row(connection, user_id))


async def test_lines_are_refused_while_storage_is_away_and_typing_is_not(
    cabled: Settings, cable: Gate, database: Database, cast: Cast
) -> None:
    heard = Heard()
    async with run_host(cabled) as host, run_client(cabled, heard) as client:
        client.open_room(cast.room_id)
        await cast.say(client, "before")
        await cable.shut()
        with contextlib.suppress(TimeoutError, RequestFailed):
            await asyncio.wait_for(cast.say(client, "lost"), 0.5)
        with pytest.raises(RequestFailed) as refused:
            await cast.say(client, "refused")
        assert refused.value.refusal.code == "storage_away"
        assert refused.value.refusal.retryable
        client.send_typing(cast.room_id, make_speaker(cast.user_id))
        await wait_until(lambda: any(kind == "typing" for kind, _ in heard.shown))
        await cable.open()
        await _say_until_stored(cast, client, "after")
        await wait_until(lambda: host.describe()["health"] == "ok")
        async with database.connection() as connection:
            (entry,) = await list_live_hosts(connection)
        assert entry.incarnation == host.incarnation
    names = [name for name, _ in await read_rows(database, cast.room_id)]
    assert names[0] == "before"
    assert "refused" not in names
    assert heard.seqs(cast.room_id) == list(range(1, len(names) + 1))


async def _say_until_stored(cast: Cast, client: object, name: str) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await cast.say(client, name)  # type: ignore[arg-type]
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return


async def test_senders_hear_of_a_silent_database_within_its_deadline_and_repeat_once(
    cabled: Settings, cable: Gate, database: Database, cast: Cast
) -> None:
    """They were held until the deadline of their request, and heard that nobody had answered."""
    heard = Heard()
    async with run_host(cabled), run_client(cabled, heard) as client:
        client.open_room(cast.room_id)
        await cast.say(client, "before")
        cable.carries.clear()
        first = asyncio.create_task(cast.say(client, "out"))
        await wait_until(lambda: b"line out" in cable.held)
        second = asyncio.create_task(cast.say(client, "behind"))
        answers = await asyncio.gather(first, second, return_exceptions=True)
        refusals = [answer.refusal for answer in answers if isinstance(answer, RequestFailed)]
        assert [refusal.code for refusal in refusals] == ["write_outcome_unknown", "storage_away"]
        assert all(refusal.retryable for refusal in refusals)
        with pytest.raises(RequestFailed, match="Nothing can be saved"):
            await cast.say(client, "later")
        cable.carries.set()
        for name in ("out", "behind"):
            await _say_until_stored(cast, client, name)
    names = [name for name, _ in await read_rows(database, cast.room_id)]
    assert names == ["before", "out", "behind"]
    assert heard.seqs(cast.room_id) == [1, 2, 3]


async def test_connections_that_die_while_writing_lose_and_double_nothing(
    cabled: Settings, cable: Gate, database: Database, cast: Cast
) -> None:
    heard, acknowledged, stop = Heard(), {}, False
    async with run_host(cabled), run_client(cabled, heard) as client:
        client.open_room(cast.room_id)
        await cast.say(client, "first")

        async def write(writer: int) -> None:
            number = 0
            while not stop:
                name = f"{writer}-{number}"
                try:
                    acknowledged[name] = (await cast.say(client, name)).seq
                except Unavailable as error:
                    if isinstance(error, RequestFailed) and not error.refusal.retryable:
                        raise
                    await asyncio.sleep(0.02)
                else:
                    number += 1

        writers = [asyncio.create_task(write(n)) for n in range(12)]
        for _ in range(5):
            count = len(acknowledged)
            await wait_until(lambda count=count: len(acknowledged) > count + 12)
            await cable.shut()
            await asyncio.sleep(0.05)
            await cable.open()
        count = len(acknowledged)
        await wait_until(lambda: len(acknowledged) > count + 12)
        stop = True
        await asyncio.gather(*writers)
        rows = dict(await read_rows(database, cast.room_id))
        await wait_until(lambda: len(heard.seqs(cast.room_id)) >= len(rows))
    del rows["first"]
    assert rows == acknowledged
    assert heard.seqs(cast.room_id) == list(range(1, len(rows) + 2))


async def test_a_directory_without_hosts_says_so_and_may_be_asked_again(
    settings: Settings, database: Database
) -> None:
    lent = Database(settings.database.url, PoolOptions(size=1))
    await lent.open()
    directory = Directory(PostgresStore(lent, KINDS), SystemClock(), NODE)
    with pytest.raises(HostsAway) as refused:
        await directory.get_owner(ObjectKey(ROOM, uuid.uuid4()))
    assert refused.value.retryable
    await lent.close()
