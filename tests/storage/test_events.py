"""The outbox: written with its change, leased to one runner at a time, retried, held, forgotten."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import pytest

from kit.events import EventName
from storage import events
from storage.database import Database
from storage.events import (
    append_event,
    claim_deliveries,
    mark_delivered,
    mark_failed,
    purge_delivered,
    register_listeners,
)

pytestmark = pytest.mark.db

LISTENER = "test.listener"


@pytest.fixture(autouse=True)
async def listener(database: Database):
    async with database.transaction() as connection:
        await register_listeners(
            connection,
            {LISTENER: frozenset({EventName.POST_LIKED}), "other": frozenset(EventName)},
        )


async def write(database: Database, name: EventName = EventName.POST_LIKED) -> uuid.UUID:
    async with database.transaction() as connection:
        return await append_event(
            connection, name, subject_id=uuid.uuid4(), data={"nested": {"a": [1, None]}}
        )


async def claim(database: Database, lease_s: float = 60.0, limit: int = 10) -> list[uuid.UUID]:
    async with database.transaction() as connection:
        found = await claim_deliveries(connection, LISTENER, limit, lease_s=lease_s)
    return [event.id for event in found]


async def test_an_event_comes_back_as_it_was_written(database: Database):
    event_id = await write(database)
    async with database.transaction() as connection:
        [event] = await claim_deliveries(connection, LISTENER, 10)
    assert (event.id, event.name, event.actor_id) == (event_id, EventName.POST_LIKED, None)
    assert event.data == {"nested": {"a": [1, None]}}
    assert event.created_at.tzinfo is not None


async def test_a_listener_hears_what_it_asked_for_and_only_once_it_asked(database: Database):
    await write(database, EventName.POST_CREATED)
    assert await claim(database) == []
    async with database.transaction() as connection:
        await register_listeners(connection, {"late": frozenset({EventName.POST_LIKED})})
    await write(database)
    assert await claim(database) == []
    async with database.transaction() as connection:
        assert len(await claim_deliveries(connection, "late", 10)) == 1


async def test_a_rolled_back_change_leaves_no_event(database: Database):
    async def change() -> None:
        async with database.transaction() as connection:
            await append_event(connection, EventName.POST_LIKED, subject_id=uuid.uuid4())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change()
    assert await claim(database) == []


async def test_writing_an_event_wakes_listeners_at_commit(database: Database):
    woken = asyncio.Event()
    stop = await database.listen(events.EVENTS_CHANNEL, lambda _payload: woken.set())
    await write(database)
    async with asyncio.timeout(60):
        await woken.wait()
    await stop()


async def test_two_runners_never_hold_the_same_delivery(database: Database):
    written = {await write(database) for _ in range(20)}
    claims = await asyncio.gather(*(claim(database, limit=6) for _ in range(4)))
    got = [event_id for found in claims for event_id in found]
    assert len(got) == len(set(got))
    rest = await claim(database, limit=100)
    assert {*got, *rest} == written


async def test_a_runner_that_died_leaves_its_deliveries_to_the_next(database: Database):
    event_id = await write(database)
    assert await claim(database, lease_s=0.0) == [event_id]
    assert await claim(database) == [event_id]
    assert await claim(database) == []


async def test_delivered_is_delivered(database: Database):
    event_id = await write(database)
    await claim(database, lease_s=0.0)
    async with database.transaction() as connection:
        await mark_delivered(connection, LISTENER, event_id)
        assert not await mark_failed(connection, LISTENER, event_id, error="too late")
    assert await claim(database) == []


async def test_a_failure_waits_and_keeps_its_reason(database: Database):
    event_id = await write(database)
    await claim(database)
    async with database.connection() as connection:
        before = await connection.fetchval("SELECT clock_timestamp()")
        assert not await mark_failed(connection, LISTENER, event_id, error="x" * 900)
        row = await connection.fetchrow(
            "SELECT error, not_before, clock_timestamp() AS now"
            " FROM event_deliveries WHERE listener = $1",
            LISTENER,
        )
        assert row is not None
        pause = timedelta(seconds=events.BACKOFF_FIRST_S)
        assert len(row["error"]) == 500
        assert before + pause <= row["not_before"] <= row["now"] + pause
        later = "UPDATE event_deliveries SET not_before = not_before + $1::interval"
        await connection.execute(later, timedelta(hours=1))
        assert await claim(database) == []
        await connection.execute(later, timedelta(hours=-2))
    assert await claim(database) == [event_id]


async def test_what_fails_again_and_again_is_held(database: Database):
    event_id = await write(database)
    held = []
    for _ in range(events.ATTEMPTS_MAX):
        async with database.transaction() as connection:
            await connection.execute("UPDATE event_deliveries SET not_before = now()")
            assert [e.id for e in await claim_deliveries(connection, LISTENER, 1)] == [event_id]
            held.append(await mark_failed(connection, LISTENER, event_id, error="no"))
    assert held == [False] * (events.ATTEMPTS_MAX - 1) + [True]


async def test_an_event_that_kills_its_runner_is_held_too(database: Database):
    event_id = await write(database)
    claims = [await claim(database, lease_s=0.0) for _ in range(events.ATTEMPTS_MAX + 2)]
    assert claims == [[event_id]] * events.ATTEMPTS_MAX + [[], []]


async def test_only_what_everyone_has_handled_is_forgotten(database: Database):
    handled, pending = await write(database), await write(database)
    async with database.transaction() as connection:
        for name in (LISTENER, "other"):
            await mark_delivered(connection, name, handled)
        await mark_delivered(connection, LISTENER, pending)
        assert await purge_delivered(connection, older_than_s=3600) == 0
        assert await purge_delivered(connection, older_than_s=-1) == 1
        left = await connection.fetch("SELECT id FROM events")
    assert [row["id"] for row in left] == [pending]
