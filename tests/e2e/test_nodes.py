"""Two nodes under chat: the second is killed and comes back, is drained, and leaves in order.

Both run on this machine, at 127.0.0.1 and 127.0.0.2, as two raylets in two homes.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator

import aiohttp
import asyncpg
import pytest

from tests.e2e.conftest import OPTIONS
from tests.e2e.load import Account, ChatLoad, Viewer, wait_for_in_flight
from tests.e2e.test_kills import find_host, open_room, read_lines
from tests.product import Product, await_gone, await_true, is_running

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

DEADLINE_S = 60
SECOND = "127.0.0.2"
ROOMS_MAX = 12
SMALL = {"http_replicas": "1", "database_api_pool": "4"}


@pytest.fixture(scope="module")
def head() -> Iterator[Product]:
    """Lend the product on the first node."""
    running = Product.start(**OPTIONS, **SMALL)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def second(head: Product) -> Iterator[Product]:
    """Lend the second node, joined to the first."""
    member = head.prepare_member()
    member.join(head.invite("b", SECOND))
    yield member
    member.stop()


def get_nodes(product: Product) -> dict[str, bool]:
    """Return which nodes `status` shows, and whether each lives."""
    return {node["name"]: node["is_alive"] for node in product.status()["facts"]["nodes"]}


def list_healthy(product: Product) -> set[str]:
    """Return the names of the parts that are well."""
    return {part["name"] for part in product.status()["parts"] if part["health"] == "healthy"}


async def open_rooms(head: Product) -> dict[str, tuple[str, list[Account]]]:
    """Open rooms until each node has one; return room and people by node ("" is the head)."""
    found: dict[str, tuple[str, list[Account]]] = {}
    rooms = 0
    async with aiohttp.ClientSession() as session:
        while found.keys() != {"", "b"}:
            rooms += 1
            assert rooms < ROOMS_MAX, f"every room was placed on {found.keys()}"
            room, socket_url, people = await open_room(session, head)
            viewer = Viewer(socket_url, room, people[0])
            await viewer.start()
            await viewer.stop()
            host = await find_host(head, room)
            found[host.partition("@")[2]] = (room, people)
    return found


def socket_at(product: Product) -> str:
    edge = product.settings.edge
    return f"ws://{edge.public_host}:{edge.port}/ws"


async def read_edges(head: Product) -> dict[str, str]:
    """Return the addresses of living edges by node."""
    connection = await asyncpg.connect(head.settings.database.url, timeout=10)
    try:
        rows = await connection.fetch("SELECT node, url FROM edges WHERE state = 'live'")
        return {row["node"]: row["url"] for row in rows}
    finally:
        await connection.close()


async def check_nothing_lost(
    product: Product, room: str, load: ChatLoad, viewers: list[Viewer]
) -> None:
    """Compare what was acknowledged with the rows and with what every socket received."""
    for viewer in viewers:
        await viewer.wait_for(set(load.acknowledged), DEADLINE_S)
        await viewer.stop()
    rows = await read_lines(product, room)
    texts = [text for _, text in rows]
    assert len(texts) == len(set(texts))
    assert {(offset, text) for text, offset in load.acknowledged.items()} <= set(rows)
    for viewer in viewers:
        assert viewer.reloads == 0
        assert viewer.offsets == sorted(set(viewer.offsets))
        assert viewer.texts == texts


async def await_more(load: ChatLoad, least: int) -> float:
    """Wait for so many further acknowledgements; return how long that took."""
    before, started = len(load.acknowledged), time.monotonic()
    async with asyncio.timeout(DEADLINE_S):
        while len(load.acknowledged) < before + least:
            await asyncio.sleep(0.02)
    return time.monotonic() - started


async def test_both_nodes_carry_rooms_and_edges_and_talk_over_tls(head: Product, second: Product):
    both = {head.settings.node_name: True, "b": True}
    await_true(lambda: get_nodes(head) == get_nodes(second) == both, "each lists both nodes")
    carried = {"host-0@b", "host-1@b", "edge-0@b", "api"}
    await_true(lambda: carried <= list_healthy(second), "the second node carries its part")
    assert (await read_edges(head)).keys() == {head.settings.node_name, "b"}
    rooms = await open_rooms(head)
    assert rooms.keys() == {"", "b"}
    for room, people in rooms.values():
        # One viewer at each edge: one of the two is away from the room's host.
        viewers = [
            Viewer(socket_at(node), room, people[n]) for n, node in enumerate((head, second))
        ]
        for viewer in viewers:
            await viewer.start()
        load = ChatLoad(socket_at(second), room, people)
        await load.start()
        await await_more(load, 50)
        await load.stop()
        await check_nothing_lost(head, room, load, viewers)


async def test_rooms_and_sockets_of_a_killed_node_move_within_seconds(
    head: Product, second: Product
):
    room, people = (await open_rooms(head))["b"]
    viewers = [
        Viewer(socket_at(head), room, people[0]),
        *(Viewer(socket_at(second), room, people[n], api_url=head.url) for n in range(1, 4)),
    ]
    for viewer in viewers:
        await viewer.start()
    load = ChatLoad(socket_at(head), room, people)
    await load.start()
    killed = second.pids("ray-node")[0]
    owner = second.pids(await find_host(head, room))[0]
    caught = await wait_for_in_flight(load)
    os.kill(killed, signal.SIGKILL)
    started = time.monotonic()
    async with asyncio.timeout(DEADLINE_S):
        while is_running(owner):  # the actors of a raylet end by themselves, a moment after it
            await asyncio.sleep(0.01)
    ended_s = time.monotonic() - started
    await await_more(load, 5 * len(people))
    took_s = time.monotonic() - started
    await load.stop()
    moved_to = await find_host(head, room)
    await check_nothing_lost(head, room, load, viewers)
    second.await_new("ray-node", killed)
    for part in ("host-0@b", "host-1@b", "edge-0@b"):
        second.await_new(part, 0)
    await_true(lambda: get_nodes(head).get("b", False), "the node is back", timeout_s=DEADLINE_S)
    print(
        f"\nraylet {killed}: {caught} in flight, {len(load.acknowledged)} acknowledged, "
        f"the room's host ended after {ended_s:.1f} s, {5 * len(people)} more lines after "
        f"{took_s:.1f} s on {moved_to}"
    )
    assert caught >= 10
    assert "@" not in moved_to


async def test_a_drained_node_hands_over_and_comes_back(head: Product, second: Product):
    room, people = (await open_rooms(head))["b"]
    viewer = Viewer(socket_at(second), room, people[0], api_url=head.url)
    await viewer.start()
    load = ChatLoad(socket_at(head), room, people)
    await load.start()
    await await_more(load, 50)
    drained = await asyncio.to_thread(head.run, "drain", "b")
    assert drained.returncode == 0, drained.stdout
    assert "edge-0@b: drained" in drained.stdout
    assert await await_more(load, 50) < DEADLINE_S
    await load.stop()
    await check_nothing_lost(head, room, load, [viewer])
    assert viewer.socket_url == socket_at(head)
    assert "@" not in await find_host(head, room)
    await_true(
        lambda: (row := second.find_part("host-0@b")) is not None and row.health == "drained",
        "status says that it is drained",
    )
    assert (await asyncio.to_thread(second.run, "drain", "b", "--undo")).returncode == 0
    for part in ("host-0@b", "host-1@b", "edge-0@b"):
        second.await_new(part, 0)


async def test_a_node_that_goes_down_leaves_in_order_and_no_request_fails(
    head: Product, second: Product
):
    room, people = (await open_rooms(head))["b"]
    load = ChatLoad(socket_at(head), room, people)
    await load.start()
    everything = second.list_processes()
    failures: list[str] = []
    asking = asyncio.create_task(ask_health(head.url, failures))
    went = await asyncio.to_thread(second.run, "down")
    assert went.returncode == 0, went.stdout
    await await_more(load, 50)
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    await load.stop()
    assert await_gone(everything, timeout_s=30) == []
    assert failures == []
    await check_nothing_lost(head, room, load, [])
    await_true(
        lambda: {part["health"] for part in head.status()["parts"]} == {"healthy"},
        "the head carries on with what is left",
    )
    await_true(lambda: not get_nodes(head)["b"], "the head knows that it left")


async def ask_health(url: str, failures: list[str]) -> None:
    """Ask for the API's health over and over; note what is not a good answer."""
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(
                    f"{url}/health", timeout=aiohttp.ClientTimeout(total=5)
                ) as answer:
                    if answer.status != 200:
                        failures.append(str(answer.status))
            except (aiohttp.ClientError, TimeoutError) as error:
                failures.append(repr(error))
            await asyncio.sleep(0.05)
