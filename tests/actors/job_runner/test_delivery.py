"""Outbox events reach their listeners: soon, at least once, and through failures."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from actors.job_runner.delivery import Delivery
from actors.job_runner.ports import JobPorts, Listener
from kit.errors import Unavailable
from kit.events import Event, EventName
from kit.ids import make_id
from kit.settings import Settings
from storage.database import Database, PoolOptions
from storage.events import EVENTS_CHANNEL, append_event
from storage.objects import ObjectStore
from tests.actors.job_runner.runner_world import make_ports
from tests.storage.gate import Gate
from tests.storage.waiting import wait_until, wait_until_heard

pytestmark = pytest.mark.db


@dataclass
class Heard:
    """Collects events; refuses the first `refusals` of them."""

    events: list[Event] = field(default_factory=list)
    refusals: int = 0
    tries: int = 0

    async def handle(self, _ports: JobPorts, event: Event) -> None:
        self.tries += 1
        if self.tries <= self.refusals:
            raise Unavailable
        self.events.append(event)

    def listener(self, *names: EventName) -> Listener:
        return Listener(frozenset(names), self.handle)


@pytest.fixture
def ports(settings: Settings, database: Database, objects: ObjectStore) -> JobPorts:
    return make_ports(settings, database, objects)


@asynccontextmanager
async def deliver(
    ports: JobPorts, listeners: dict[str, Listener], *, poll_s: float = 0.2
) -> AsyncIterator[Delivery]:
    delivery = Delivery(ports, listeners, poll_s)
    task = asyncio.create_task(delivery.run())
    await wait_until(lambda: len(delivery.wakes) == len(listeners))
    yield delivery
    delivery.stop()
    async with asyncio.timeout(60):
        await task


async def append(database: Database, name: EventName) -> uuid.UUID:
    async with database.transaction() as connection:
        return await append_event(connection, name, subject_id=make_id(), data={"n": 1})


async def test_each_listener_gets_the_events_it_asked_for(ports: JobPorts):
    videos, all_of_them = Heard(), Heard()
    listeners = {
        "videos": videos.listener(EventName.VIDEO_UPLOADED),
        "all": all_of_them.listener(EventName.VIDEO_UPLOADED, EventName.POST_CREATED),
    }
    async with deliver(ports, listeners):
        first = await append(ports.database, EventName.VIDEO_UPLOADED)
        second = await append(ports.database, EventName.POST_CREATED)
        await append(ports.database, EventName.USER_CREATED)
        await wait_until(lambda: len(all_of_them.events) == 2)
        await wait_until(lambda: len(videos.events) == 1)
    assert [event.id for event in videos.events] == [first]
    assert {event.id for event in all_of_them.events} == {first, second}
    assert videos.events[0].data == {"n": 1}


async def test_a_notice_wakes_the_loop_long_before_its_poll(ports: JobPorts):
    heard = Heard()
    listeners = {"slow": heard.listener(EventName.POST_LIKED)}
    async with deliver(ports, listeners, poll_s=3600):
        await wait_until_heard(ports.database, EVENTS_CHANNEL)
        await append(ports.database, EventName.POST_LIKED)
        await wait_until(lambda: len(heard.events) == 1)
    assert heard.tries == 1


async def test_a_failed_delivery_comes_again(ports: JobPorts):
    heard = Heard(refusals=1)
    async with deliver(ports, {"shaky": heard.listener(EventName.POST_LIKED)}) as delivery:
        await append(ports.database, EventName.POST_LIKED)
        await wait_until(lambda: len(heard.events) == 1)
        await wait_until(lambda: delivery.delivered == 1)
    assert heard.tries == 2
    assert delivery.failed == 1


async def test_events_written_while_nobody_delivered_are_delivered_later(ports: JobPorts):
    heard = Heard()
    listeners = {"late": heard.listener(EventName.POST_LIKED)}
    async with deliver(ports, listeners):
        pass
    await append(ports.database, EventName.POST_LIKED)
    async with deliver(ports, listeners):
        await wait_until(lambda: len(heard.events) == 1)
    async with deliver(ports, listeners):
        await asyncio.sleep(0.4)
    assert heard.tries == 1


async def test_delivery_goes_on_after_an_outage(
    settings: Settings, database: Database, database_dsn: str, objects: ObjectStore
):
    gate = Gate(database_dsn)
    await gate.open()
    behind = Database(gate.dsn, PoolOptions(size=2, wait_s=0.5))
    await behind.open()
    heard = Heard()
    listeners = {"through": heard.listener(EventName.POST_LIKED)}
    async with deliver(make_ports(settings, behind, objects), listeners):
        await append(database, EventName.POST_LIKED)
        await wait_until(lambda: len(heard.events) == 1)
        await gate.shut()
        await append(database, EventName.POST_LIKED)
        await asyncio.sleep(0.5)
        assert len(heard.events) == 1
        await gate.open()
        await wait_until(lambda: len(heard.events) == 2)
    await behind.close()
    await gate.shut()
