"""Two edges on one node: both are handed out, and the death of one moves its 500 sockets."""

import asyncio
import os
import resource
import signal
import time
from collections import Counter

import aiohttp
import pytest

from tests.e2e.load import ChatLoad, Viewer, insist, register, wait_for_in_flight
from tests.e2e.test_kills import open_room, read_lines
from tests.e2e.test_nodes import list_healthy
from tests.product import Product, await_true

pytestmark = [pytest.mark.ray, pytest.mark.late, pytest.mark.timeout(240)]

SOCKETS = 500
SOCKETS_PER_PERSON = 50
DEADLINE_S = 60


@pytest.fixture(scope="module", autouse=True)
def enough_files() -> None:
    """Make room for both ends' sockets in this process."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))


async def find_handed_out(product: Product, room: str) -> str:
    """Return the socket address that `join` gives now."""
    async with aiohttp.ClientSession() as session:
        status, body = await insist(session, "POST", f"{product.url}/v1/live/{room}/join")
        assert status == 200, body
        return str(body["chat"]["socket"])


def socket_of(product: Product, slot: int) -> str:
    edge = product.settings.edge
    return f"ws://{edge.public_host}:{edge.port + 10 * slot}/ws"


def test_status_and_doctor_know_both_edges(product: Product):
    await_true(lambda: {"edge-0", "edge-1"} <= list_healthy(product), "both edges are well")
    status = product.status()
    ports = [product.settings.edge.port + 10 * slot for slot in range(2)]
    assert status["edge_urls"] == [f"http://127.0.0.1:{port}" for port in ports]
    said = product.run("doctor").stdout
    for port in ports:
        assert f"Port {port}/tcp" in said


async def test_500_sockets_move_to_the_other_edge_when_theirs_is_killed(product: Product):
    async with aiohttp.ClientSession() as session:
        room, _socket, people = await open_room(session, product)
        audience = [
            await register(session, product.url) for _ in range(SOCKETS // SOCKETS_PER_PERSON)
        ]
    viewers = [
        Viewer(socket_of(product, 0), room, audience[number // SOCKETS_PER_PERSON])
        for number in range(SOCKETS)
    ]
    for first in range(0, SOCKETS, 50):
        await asyncio.gather(*(viewer.start() for viewer in viewers[first : first + 50]))
    for viewer in viewers:
        viewer.api_url = product.url  # from now on, each asks where to go
    other = socket_of(product, 1)
    async with asyncio.timeout(DEADLINE_S):
        while await find_handed_out(product, room) != other:
            await asyncio.sleep(0.2)  # edge 0 says once in five seconds how full it is
    load = ChatLoad(other, room, people)
    await load.start()
    killed = product.pids("edge-0")[0]
    caught = await wait_for_in_flight(load)
    os.kill(killed, signal.SIGKILL)
    started = time.monotonic()
    async with asyncio.timeout(DEADLINE_S):
        while any(viewer.is_subscribed and not viewer.reconnects for viewer in viewers):
            await asyncio.sleep(0.01)
        while not all(viewer.is_subscribed for viewer in viewers):
            await asyncio.sleep(0.01)
    took_s = time.monotonic() - started
    await load.stop()
    for viewer in viewers:
        await viewer.wait_for(set(load.acknowledged), DEADLINE_S)
        await viewer.stop()
    rows = await read_lines(product, room)
    print(
        f"edge-0 {killed}: {caught} in flight, {len(load.acknowledged)} acknowledged, "
        f"{SOCKETS} sockets back after {took_s:.1f} s"
    )
    # A late one may be sent to edge 0 again: by then it lives anew.
    places = Counter(viewer.socket_url for viewer in viewers)
    assert places[other] + places[socket_of(product, 0)] == SOCKETS
    assert places[other] > 0
    texts = [text for _, text in rows]
    assert len(texts) == len(set(texts))
    assert {(offset, text) for text, offset in load.acknowledged.items()} <= set(rows)
    for viewer in viewers:
        assert viewer.reloads == 0
        assert viewer.offsets == sorted(set(viewer.offsets))
        assert viewer.texts == texts
