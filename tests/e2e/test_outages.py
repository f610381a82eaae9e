"""What is away for a while or forgets everything, under chat: senders are told to try again, nobody
loses a line, and the rooms stay where they are.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import pytest
import redis.asyncio as redis

from tests.e2e.load import ChatLoad, Viewer, insist, register
from tests.e2e.test_kills import find_host, open_room
from tests.e2e.test_nodes import check_nothing_lost
from tests.product import Product

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]

OUTAGE_S = 20.0


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Keep processes from running: they neither answer nor refuse."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def test_chat_goes_on_after_twenty_seconds_without_postgresql(product: Product):
    async with aiohttp.ClientSession() as session:
        room, socket_url, people = await open_room(session, product)
    viewers = [Viewer(socket_url, room, people[number]) for number in range(2)]
    for viewer in viewers:
        await viewer.start()
    load = ChatLoad(socket_url, room, people)
    await load.start()
    await load.await_more(2 * len(people))
    host = await find_host(product, room)
    with stopped(product.pids("postgres")):
        stopped_s = time.monotonic()
        while not load.refused:
            assert time.monotonic() - stopped_s < OUTAGE_S, "nobody was told to try again"
            await asyncio.sleep(0.05)
        told_s = time.monotonic() - stopped_s
        await asyncio.sleep(OUTAGE_S - told_s)  # the length of the outage, not a wait for anything
        during = len(load.acknowledged)
    back_s = await load.await_more(5 * len(people))
    await load.stop()
    await check_nothing_lost(product, room, load, viewers)
    print(
        f"\nPostgreSQL stopped for {OUTAGE_S:g} s: senders told after {told_s:.1f} s, "
        f"{load.refused} refusals, {during} acknowledged before, {5 * len(people)} more lines "
        f"{back_s:.1f} s after"
    )
    assert await find_host(product, room) == host


async def test_a_cache_that_forgets_everything_disturbs_nobody(product: Product):
    async with aiohttp.ClientSession() as session:
        room, socket_url, people = await open_room(session, product)
        viewers = [Viewer(socket_url, room, people[number]) for number in range(2)]
        for viewer in viewers:
            await viewer.start()
        load = ChatLoad(socket_url, room, people)
        await load.start()
        await load.await_more(len(people))
        cache = redis.Redis.from_url(product.settings.cache.url, socket_timeout=10)
        before = load.failures  # the outage of the test before may still be felt at first
        for _ in range(3):
            await cache.flushall()
            await load.await_more(len(people))
            status, feed = await insist(
                session, "GET", f"{product.url}/v1/feed/home", headers=people[0].headers
            )
            assert status == 200, feed
        await cache.aclose()
        newcomer = await register(session, product.url)
        status, joined = await insist(
            session, "POST", f"{product.url}/v1/live/{room}/join", headers=newcomer.headers
        )
        assert status == 200, joined
        await load.stop()
        await check_nothing_lost(product, room, load, viewers)
    assert load.failures == before
    assert [viewer.reconnects for viewer in viewers] == [0, 0]
