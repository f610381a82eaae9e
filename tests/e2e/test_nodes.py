"""Two nodes under chat: the second is killed and comes back, is drained, and leaves in order.

Both run on this machine, at 127.0.0.1 and 127.0.0.2, as two raylets in two homes. Whatever becomes
of the second, the first never refuses a request and keeps its processes.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg
import psutil
import pytest

from tests.e2e.load import Account, ChatLoad, Viewer, insist, register, wait_for_in_flight
from tests.e2e.node_live import NodeLive
from tests.e2e.test_kills import WRITERS, find_host, read_lines
from tests.e2e.test_video_kills import Upload, start_uploads, wait_until_ready
from tests.media.playlist_reading import Listing
from tests.product import Product, await_gone, await_true, is_running

pytestmark = [pytest.mark.ray, pytest.mark.late, pytest.mark.timeout(300)]

DEADLINE_S = 60
SECOND = "127.0.0.2"
ROOMS_MAX = 60
CARRIED = ("host-0@b", "host-1@b", "edge-0@b")
SMALL = {"http_replicas": "1"}  # and half of all hosts
OF_THE_HEAD = ("host-0", "host-1", "edge-0", "runner", "api")


@pytest.fixture(scope="module")
def head(product: Product) -> Product:
    """Lend the first node, which is the product that other tests use as well."""
    return product


@pytest.fixture(scope="module")
def second(head: Product) -> Iterator[Product]:
    """Lend the second node, joined to the first."""
    member = head.prepare_member(**SMALL)
    member.join(head.invite("b", SECOND))
    yield member
    member.stop()


@pytest.fixture(scope="module")
def people(head: Product) -> list[Account]:
    """Register the people who write, each of whom may open a room."""

    async def register_all() -> list[Account]:
        async with aiohttp.ClientSession() as session:
            return [await register(session, head.url) for _ in range(WRITERS)]

    return asyncio.run(register_all())


def get_nodes(product: Product) -> dict[str, bool]:
    """Return which nodes `status` shows, and whether each lives."""
    return {node["name"]: node["is_alive"] for node in product.look().facts["nodes"]}


def list_healthy(product: Product) -> set[str]:
    """Return the names of the parts that are well."""
    return {part.name for part in product.look().parts if part.health == "healthy"}


def count_media_slots(product: Product) -> int:
    """Return how many media tasks the runner begins at a time."""
    runner = product.find_part("runner")
    return int(runner.facts.get("media_slots", 0)) if runner else 0


async def open_rooms(head: Product, people: list[Account], *wanted: str) -> dict[str, str]:
    """Open rooms until each wanted node ("" is the head) has one; return them by node."""
    found: dict[str, str] = {}
    async with aiohttp.ClientSession() as session:
        for number in range(ROOMS_MAX):
            owner = people[number % len(people)]
            status, live = await insist(
                *(session, "POST", f"{head.url}/v1/live"),
                json={"title": "nodes"},
                headers=owner.headers,
            )
            assert status == 201, live
            viewer = Viewer(live["chat"]["socket"], live["id"], owner)
            await viewer.start()
            await viewer.stop()
            found[(await find_host(head, live["id"])).partition("@")[2]] = live["id"]
            if found.keys() >= set(wanted):
                return found
    raise AssertionError(f"every room was placed on {found.keys()}")


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


@dataclass
class Asked:
    """How the head's API answered while something happened elsewhere."""

    answers: int = 0
    failures: list[str] = field(default_factory=list)


@asynccontextmanager
async def head_undisturbed(head: Product) -> AsyncIterator[None]:
    """Ask the head's API over and over; fail when it refuses, or when one of its processes is new.

    Fresh connections, so that every replica is asked.
    """
    before = {part: set(head.pids(part)) for part in OF_THE_HEAD}
    asked = Asked()

    async def ask() -> None:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            while True:
                try:
                    async with session.get(
                        f"{head.url}/health", timeout=aiohttp.ClientTimeout(total=DEADLINE_S)
                    ) as answer:
                        asked.answers += 1
                        if answer.status != 200:
                            asked.failures.append(str(answer.status))
                except (aiohttp.ClientError, TimeoutError) as error:
                    asked.failures.append(repr(error))
                await asyncio.sleep(0.05)

    asking = asyncio.create_task(ask())
    yield
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    assert asked.failures == []
    assert asked.answers > 0
    assert {part: set(head.pids(part)) for part in OF_THE_HEAD} == before


async def test_both_nodes_carry_rooms_and_edges_and_talk_over_tls(
    head: Product, second: Product, people: list[Account]
):
    both = {head.settings.node_name: True, "b": True}
    await_true(lambda: get_nodes(head) == get_nodes(second) == both, "each lists both nodes")
    carried = {*CARRIED, "api"}
    await_true(lambda: carried <= list_healthy(second), "the second node carries its part")
    assert (await read_edges(head)).keys() == {head.settings.node_name, "b"}
    await_true(lambda: count_media_slots(head) == 2, "the runner lends the slots of both nodes")
    rooms = await open_rooms(head, people, "", "b")
    for room in rooms.values():
        # One viewer at each edge: one of the two is away from the room's host.
        viewers = [
            Viewer(socket_at(node), room, people[n]) for n, node in enumerate((head, second))
        ]
        for viewer in viewers:
            await viewer.start()
        load = ChatLoad(socket_at(second), room, people)
        await load.start()
        await load.await_more(50)
        await load.stop()
        await check_nothing_lost(head, room, load, viewers)


async def test_a_node_that_joins_takes_its_share_of_the_pieces_of_videos(
    head: Product, second: Product, film: Path
):
    await_true(lambda: count_media_slots(head) == 2, "the runner lends the slots of both nodes")
    raylets = [psutil.Process(node.pids("ray-node")[0]) for node in (head, second)]
    seen: dict[int, set[str]] = {raylet.pid: set() for raylet in raylets}
    async with aiohttp.ClientSession() as session:
        # Each chunk takes a second or two: nobody who looks so often misses it.
        uploads = await send_films(session, head, film)
        async with asyncio.timeout(DEADLINE_S):
            while not all("chunk" in kinds for kinds in seen.values()):
                for raylet in raylets:
                    seen[raylet.pid] |= list_media_tasks(raylet)
                await asyncio.sleep(0.01)
        await wait_until_ready(session, head, uploads)


async def send_films(session: aiohttp.ClientSession, head: Product, film: Path) -> list[Upload]:
    """Upload enough that both nodes have something to encode."""
    uploads = await start_uploads(session, head, film, count=4)
    await asyncio.gather(*(upload.send(session) for upload in uploads))
    return uploads


async def await_encoding(raylet: psutil.Process) -> None:
    """Return while a worker of this node encodes."""
    async with asyncio.timeout(DEADLINE_S):
        while "chunk" not in list_media_tasks(raylet):
            await asyncio.sleep(0.01)


def list_media_tasks(raylet: psutil.Process) -> set[str]:
    """Return the kinds of media tasks that run below a raylet at this moment."""
    found = set()
    for process in raylet.children():
        with contextlib.suppress(psutil.Error):
            _, is_media, kind = " ".join(process.cmdline()).partition("ray::media:")
            found |= {kind.split()[0]} if is_media and kind.split() else set()
    return found


async def test_rooms_sockets_lives_and_videos_of_a_killed_node_move_and_the_head_notices_nothing(
    head: Product, second: Product, people: list[Account], film: Path
):
    room = (await open_rooms(head, people, "b"))["b"]
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
    async with aiohttp.ClientSession() as session, head_undisturbed(head):
        live = NodeLive(session, head, second, people[1])
        await live.begin()
        uploads = await send_films(session, head, film)
        await await_encoding(psutil.Process(killed))
        caught = await wait_for_in_flight(load)
        os.kill(killed, signal.SIGKILL)
        started = time.monotonic()
        async with asyncio.timeout(DEADLINE_S):
            while is_running(owner):  # the actors of a raylet end by themselves, a moment after it
                await asyncio.sleep(0.01)
        ended_s = time.monotonic() - started
        listing = await live.go_on()
        live_s = time.monotonic() - started
        await load.await_more(5 * len(people))
        took_s = time.monotonic() - started
        await load.stop()
        moved_to = await find_host(head, room)
        await check_nothing_lost(head, room, load, viewers)
        for part, before in (("ray-node", killed), *((part, 0) for part in (*CARRIED, "api"))):
            await asyncio.to_thread(second.await_new, part, before)
        back_s = time.monotonic() - started
        await asyncio.to_thread(
            *(await_true, lambda: get_nodes(head).get("b", False), "the node is back"),
            timeout_s=DEADLINE_S,
        )
        await wait_until_ready(session, head, uploads)
        recording = await live.end()
    check_one_recording(live.kept, listing, recording)
    print(
        f"\nraylet {killed}: {caught} in flight, {len(load.acknowledged)} acknowledged, "
        f"the room's host ended after {ended_s:.1f} s, {5 * len(people)} more lines after "
        f"{took_s:.1f} s on {moved_to}, the live listed anew after {live_s:.1f} s, "
        f"the node was whole again after {back_s:.1f} s"
    )
    assert caught >= 10
    assert "@" not in moved_to


def check_one_recording(kept: list[str], listing: Listing, recording: Listing) -> None:
    """What was listed at the killed node stays, the gap is marked, and both are one recording."""
    assert [segment.address for segment in listing.segments][: len(kept)] == kept
    resumed = next(s for s in listing.segments if s.address.startswith("2/") and not s.is_gap)
    assert resumed.is_discontinuous
    assert any(segment.is_gap for segment in listing.segments)
    assert sum(segment.is_discontinuous for segment in recording.segments) == 1
    assert len(recording.segments) >= len(kept) + 2


async def test_a_drained_node_hands_over_and_comes_back(
    head: Product, second: Product, people: list[Account]
):
    room = (await open_rooms(head, people, "b"))["b"]
    viewer = Viewer(socket_at(second), room, people[0], api_url=head.url)
    await viewer.start()
    load = ChatLoad(socket_at(head), room, people)
    await load.start()
    await load.await_more(50)
    drained = await asyncio.to_thread(head.run, "drain", "b")
    assert drained.returncode == 0, drained.stdout
    assert "edge-0@b: drained" in drained.stdout
    await load.await_more(50)
    await load.stop()
    await check_nothing_lost(head, room, load, [viewer])
    assert viewer.socket_url == socket_at(head)
    assert "@" not in await find_host(head, room)
    await asyncio.to_thread(
        await_true,
        lambda: (row := second.find_part("host-0@b")) is not None and row.health == "drained",
        "status says that it is drained",
    )
    assert (await asyncio.to_thread(second.run, "drain", "b", "--undo")).returncode == 0
    for part in CARRIED:
        await asyncio.to_thread(second.await_new, part, 0)


async def test_a_node_that_goes_down_leaves_in_order_and_can_be_forgotten(
    head: Product, second: Product, people: list[Account]
):
    room = (await open_rooms(head, people, "b"))["b"]
    load = ChatLoad(socket_at(head), room, people)
    await load.start()
    living = await asyncio.to_thread(head.run, "forget", "b")
    assert living.returncode != 0
    assert "b is alive" in living.stdout + living.stderr
    everything = second.list_processes()
    async with head_undisturbed(head):
        went = await asyncio.to_thread(second.run, "down")
        assert went.returncode == 0, went.stdout
        await load.await_more(50)
    await load.stop()
    assert await_gone(everything) == []
    await check_nothing_lost(head, room, load, [])
    await_true(
        lambda: {part.health for part in head.look().parts} == {"healthy"},
        "the head carries on with what is left",
    )
    await_true(lambda: not get_nodes(head)["b"], "the head knows that it left")
    await_true(lambda: count_media_slots(head) == 1, "the runner lends those of the head alone")
    forgotten = await asyncio.to_thread(head.run, "forget", "b")
    assert forgotten.returncode == 0, forgotten.stdout + forgotten.stderr
    assert "host-0@b: gone" in forgotten.stdout
    await_true(lambda: "b" not in get_nodes(head), "the head does not list it any more")
    again = await asyncio.to_thread(head.run, "forget", "b")
    assert "There is no b" in again.stdout + again.stderr
