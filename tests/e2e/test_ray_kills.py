"""Ray itself is killed on one node while at least ten lines are in flight.

Its control service may go and come without anybody noticing; its node takes every actor along, and
the supervisor brings them back.
"""

import asyncio
import os
import signal
import time

import aiohttp
import pytest

from tests.e2e.load import ChatLoad, Viewer, wait_for_in_flight
from tests.e2e.test_kills import find_host, open_room
from tests.e2e.test_nodes import DEADLINE_S, check_nothing_lost
from tests.product import Product, await_true, is_running

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]


async def begin(product: Product) -> tuple[str, ChatLoad, list[Viewer]]:
    """Open a room with two viewers and sixteen writers."""
    async with aiohttp.ClientSession() as session:
        room, socket_url, people = await open_room(session, product)
    viewers = [Viewer(socket_url, room, people[number]) for number in range(2)]
    for viewer in viewers:
        await viewer.start()
    load = ChatLoad(socket_url, room, people)
    await load.start()
    return room, load, viewers


async def test_chat_does_not_notice_the_death_of_rays_control_service(product: Product):
    room, load, viewers = await begin(product)
    killed = product.pids("ray-control")[0]
    caught = await wait_for_in_flight(load)
    os.kill(killed, signal.SIGKILL)
    started = time.monotonic()
    coming = asyncio.create_task(asyncio.to_thread(product.await_new, "ray-control", killed))
    await load.await_more(50)
    was_away = not coming.done()
    await coming
    took_s = time.monotonic() - started
    await load.await_more(50)
    await load.stop()
    await check_nothing_lost(product, room, load, viewers)
    print(
        f"\nray-control {killed}: {caught} in flight, {len(load.acknowledged)} acknowledged, "
        f"{load.failures} failures, back after {took_s:.1f} s"
    )
    assert caught >= 10
    assert was_away, "chat goes on before the control service is back"
    assert load.failures == 0
    assert [viewer.reconnects for viewer in viewers] == [0, 0]


async def test_a_killed_ray_node_brings_chat_and_sockets_back(product: Product):
    room, load, viewers = await begin(product)
    owner = product.pids(await find_host(product, room))[0]
    killed = product.pids("ray-node")[0]
    caught = await wait_for_in_flight(load)
    os.kill(killed, signal.SIGKILL)
    started = time.monotonic()
    async with asyncio.timeout(DEADLINE_S):
        while is_running(owner):
            await asyncio.sleep(0.01)
    await load.await_more(5 * len(load.people))
    took_s = time.monotonic() - started
    await load.stop()
    await check_nothing_lost(product, room, load, viewers)
    print(
        f"\nray-node {killed}: {caught} in flight, {len(load.acknowledged)} acknowledged, "
        f"{load.failures} failures, chat again after {took_s:.1f} s"
    )
    assert caught >= 10
    await asyncio.to_thread(
        await_true,
        lambda: {part.health for part in product.look().parts} == {"healthy"},
        "every part is back",
        timeout_s=DEADLINE_S,
    )
