"""A head that carries nothing and a worker that carries all: the head is killed under chat."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import aiohttp
import pytest

from tests.e2e.conftest import OPTIONS
from tests.e2e.load import (
    ChatLoad,
    Viewer,
    call,
    register,
    wait_for_in_flight,
)
from tests.e2e.test_kills import open_room
from tests.e2e.test_nodes import SECOND, await_more, check_nothing_lost, get_nodes, socket_at
from tests.product import Product, await_true

pytestmark = [pytest.mark.ray, pytest.mark.late, pytest.mark.timeout(300)]

BARE = {
    "http_replicas": "0",
    "hosts_count": "0",
    "edge_count": "0",
    "cluster_runners": "0",
    "cluster_media_workers": "0",
}
FULL = {
    "http_replicas": "1",
    "hosts_count": "2",
    "edge_count": "1",
    "cluster_runners": "1",
    "cluster_media_workers": "1",
}


@pytest.fixture(scope="module")
def head() -> Iterator[Product]:
    """Lend a head that carries nothing."""
    running = Product.start(**{**OPTIONS, **BARE})
    yield running
    running.stop()


@pytest.fixture(scope="module")
def worker(head: Product) -> Iterator[Product]:
    """Lend the node that carries everything."""
    address = f"http://{SECOND}:{head.settings.http.port}"
    member = head.prepare_member(**{**FULL, "http_public_url": address})
    member.join(head.invite("worker", SECOND))
    yield member
    member.stop()


async def test_the_head_carries_nothing(head: Product, worker: Product):
    names = {row["name"] for row in head.status()["parts"]}
    assert not [name for name in names if name.startswith(("host-", "edge-", "runner", "api"))]
    assert get_nodes(worker) == {head.settings.node_name: True, "worker": True}


def await_parts(product: Product, killed: dict[str, int]) -> None:
    """Wait until others than the killed processes do their work."""
    for part, pid in killed.items():
        product.await_new(part, pid)


async def test_chat_sockets_and_new_rooms_go_on_while_the_head_is_away(
    head: Product, worker: Product
):
    async with aiohttp.ClientSession() as session:
        room, _socket, people = await open_room(session, worker)
        newcomer = await register(session, worker.url)
    viewers = [Viewer(socket_at(worker), room, people[n]) for n in range(2)]
    for viewer in viewers:
        await viewer.start()
    load = ChatLoad(socket_at(worker), room, people)
    await load.start()
    killed = {part: head.pids(part)[0] for part in ("ray-control", "ray-node")}
    carried = {part: worker.pids(part) for part in ("host-0@worker", "edge-0@worker", "api")}
    caught = await wait_for_in_flight(load)
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    started = time.monotonic()
    coming = asyncio.create_task(asyncio.to_thread(await_parts, head, killed))
    await await_more(load, 50)
    async with aiohttp.ClientSession() as session:
        title = {"title": "while the head is away"}
        status, live = await call(
            session, "POST", f"{worker.url}/v1/live", json=title, headers=newcomer.headers
        )
        assert status == 201, live
        late = Viewer(socket_at(worker), live["id"], newcomer)
        await late.start()
        await late.stop()
        opened_s = time.monotonic() - started
    was_away = not coming.done()
    await coming
    ray_s = time.monotonic() - started
    await asyncio.to_thread(
        await_true, lambda: all(get_nodes(head).values()), "the head knows its nodes", timeout_s=60
    )
    back_s = time.monotonic() - started
    await await_more(load, 50)
    await load.stop()
    await check_nothing_lost(head, room, load, viewers)
    print(
        f"\nhead {killed}: {caught} in flight, {len(load.acknowledged)} acknowledged, "
        f"{load.failures} failures, a new room after {opened_s:.1f} s, "
        f"Ray back after {ray_s:.1f} s, its crew after {back_s:.1f} s"
    )
    assert caught >= 10
    assert was_away, "chat and new rooms go on before Ray is back"
    assert load.failures == 0
    assert [viewer.reconnects for viewer in viewers] == [0, 0]
    assert {part: worker.pids(part) for part in carried} == carried


async def test_a_head_that_was_stopped_and_started_finds_its_worker_again(
    head: Product, worker: Product
):
    stopped = await asyncio.to_thread(head.run, "down")
    assert stopped.returncode == 0, stopped.stdout
    await asyncio.to_thread(head.up)
    started = time.monotonic()

    def is_whole() -> bool:
        health = {part.health for part in worker.look().parts}
        return health == {"healthy"} and get_nodes(head).get("worker", False)

    await asyncio.to_thread(await_true, is_whole, "the worker is back", timeout_s=90)
    print(f"\nthe worker is back {time.monotonic() - started:.1f} s after the head")
    async with aiohttp.ClientSession() as session:
        room, socket_url, people = await open_room(session, worker)
    viewer = Viewer(socket_url, room, people[0])
    await viewer.start()
    await viewer.stop()
