"""Kills a host under writing rooms, PostgreSQL, and an edge under 500 sockets; takes the time.

One product with two hosts and two edges stands for all rounds; what was killed is back before the
next round. The clock starts at the kill. Everything acknowledged is compared with the rows.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import aiohttp
import asyncpg

from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from tests.e2e.load import Account, ChatLoad, Viewer, call, register, wait_for_in_flight
from tests.product import Product

ROOMS, ROOMS_SHORT = 20, 6
SOCKETS, SOCKETS_SHORT = 500, 20
SOCKETS_PER_PERSON = 50
FILES = 8192
DEADLINE_S = 60.0
LOOK_EVERY_S = 0.01
BACK = "back_s"


@dataclass
class Scene:
    """The running product, its rooms, and who is in them."""

    product: Product
    people: list[Account]
    rooms: list[str] = field(default_factory=list)
    viewers: list[Viewer] = field(default_factory=list)


@asynccontextmanager
async def open_scene(form: Form, products: Products) -> AsyncIterator[Sides]:
    """Prepare rooms and viewers on two edges; lend both kills."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, FILES), hard))
    async with (
        products(
            edge_count="2", limits_rates_enabled="false", limits_chat_per_10_s_max="1000000"
        ) as product,
        AsyncExitStack() as stack,
    ):
        scene = await make_scene(product, form)

        async def empty() -> None:
            await asyncio.gather(*(viewer.stop() for viewer in scene.viewers))

        stack.push_async_callback(empty)

        async def kill_host(_form: Form) -> Answer:
            return await measure_host(scene)

        async def kill_database(_form: Form) -> Answer:
            return await measure_database(scene)

        async def kill_edge(_form: Form) -> Answer:
            return await measure_edge(scene)

        yield {
            "host killed": kill_host,
            "PostgreSQL killed": kill_database,
            "edge killed": kill_edge,
        }


async def make_scene(product: Product, form: Form) -> Scene:
    """Register people, create rooms, and let the viewers in."""
    url = product.url
    count, sockets = form.choose(ROOMS, ROOMS_SHORT), form.choose(SOCKETS, SOCKETS_SHORT)
    async with aiohttp.ClientSession() as session:
        people = [await register(session, url) for _ in range(count)]
        scene = Scene(product, people)
        for person in people:
            body = {"title": "Benchmark"}
            status, live = await call(
                session, "POST", f"{url}/v1/live", json=body, headers=person.headers
            )
            assert status == 201, live
            scene.rooms.append(live["id"])
    await seat_viewers(scene, 0, sockets)
    return scene


async def seat_viewers(scene: Scene, slot: int, sockets: int) -> None:
    """Put all viewers on one edge; from then on each asks where to go, as the page does."""
    await asyncio.gather(*(viewer.stop() for viewer in scene.viewers))
    address = address_edge(scene.product, slot)
    scene.viewers = [
        Viewer(address, scene.rooms[0], scene.people[number // SOCKETS_PER_PERSON])
        for number in range(sockets)
    ]
    for first in range(0, sockets, SOCKETS_PER_PERSON):
        batch = scene.viewers[first : first + SOCKETS_PER_PERSON]
        await asyncio.gather(*(viewer.start() for viewer in batch))
    for viewer in scene.viewers:
        viewer.api_url = scene.product.url


async def begin_writing(scene: Scene) -> list[ChatLoad]:
    """Write to every room without pause; returns when each acknowledged something."""
    socket = scene.viewers[0].socket_url
    loads = [
        ChatLoad(socket, room, [person])
        for room, person in zip(scene.rooms, scene.people, strict=True)
    ]
    for load in loads:
        await load.start()
    async with asyncio.timeout(DEADLINE_S):
        while not all(load.acknowledged for load in loads):
            await asyncio.sleep(LOOK_EVERY_S)
    return loads


async def measure_host(scene: Scene) -> Answer:
    """Kill the host that owns most rooms while each of them is written to."""
    product, loads = scene.product, await begin_writing(scene)
    owners = await find_owners(product, scene.rooms)
    host = Counter(owners.values()).most_common(1)[0][0]
    hit = [load for load in loads if owners[load.room] == host]
    pid = (await asyncio.to_thread(product.pids, host))[0]
    os.kill(pid, signal.SIGKILL)
    began_s = time.monotonic()
    # The line in flight may have been stored before the kill; the one after it was sent since.
    wanted = {load.room: len(load.acknowledged) + 2 for load in hit}
    answered_s = await time_until_all(
        [partial(has_acknowledged, load, wanted[load.room]) for load in hit], began_s
    )
    for load in loads:
        await load.stop()
    lost = sum([await count_lost(product, load) for load in loads])
    await asyncio.to_thread(product.await_new, host, pid)
    return make_answer(answered_s, lost, "rooms_hit")


async def measure_database(scene: Scene) -> Answer:
    """Kill PostgreSQL's first process while every room is written to; the supervisor mends it."""
    product, loads = scene.product, await begin_writing(scene)
    pid = (await asyncio.to_thread(product.pids, "postgres"))[0]
    os.kill(pid, signal.SIGKILL)
    began_s = time.monotonic()
    wanted = {load.room: len(load.acknowledged) + 2 for load in loads}
    answered_s = await time_until_all(
        [partial(has_acknowledged, load, wanted[load.room]) for load in loads], began_s
    )
    for load in loads:
        await load.stop()
    await asyncio.to_thread(product.await_new, "postgres", pid)
    lost = sum([await count_lost(product, load) for load in loads])
    return make_answer(answered_s, lost, "rooms_hit")


async def measure_edge(scene: Scene) -> Answer:
    """Kill the edge that holds all sockets; they move to the other one, or to its successor."""
    product = scene.product
    slot = 0
    await seat_viewers(scene, slot, len(scene.viewers))
    viewers = scene.viewers
    there = address_edge(product, 1 - slot)
    async with asyncio.timeout(DEADLINE_S):
        while await find_edge(product, scene.rooms[0]) != there:
            await asyncio.sleep(0.2)  # an edge says once in five seconds how full it is
    load = ChatLoad(there, scene.rooms[0], scene.people[-1:])
    await load.start()
    await wait_for_in_flight(load, 1)
    pid = (await asyncio.to_thread(product.pids, f"edge-{slot}"))[0]
    before = {id(viewer): viewer.reconnects for viewer in viewers}
    os.kill(pid, signal.SIGKILL)
    began_s = time.monotonic()
    answered_s = await time_until_all(
        [partial(is_back, viewer, before[id(viewer)]) for viewer in viewers], began_s
    )
    await load.stop()
    lost = await count_lost(product, load)
    for viewer in viewers:
        await viewer.wait_for(set(load.acknowledged))
        lost += viewer.reloads + (viewer.offsets != sorted(set(viewer.offsets)))
    await asyncio.to_thread(product.await_new, f"edge-{slot}", pid)
    return make_answer(answered_s, lost, "sockets_hit")


def has_acknowledged(load: ChatLoad, count: int) -> bool:
    """Say whether so many lines of a room are acknowledged."""
    return len(load.acknowledged) >= count


def is_back(viewer: Viewer, reconnects: int) -> bool:
    """Say whether a viewer follows its room again after it lost its socket."""
    return viewer.reconnects > reconnects and viewer.is_subscribed


async def time_until_all(checks: list[Callable[[], bool]], began_s: float) -> list[float]:
    """Return, sorted, after how many seconds each check first held."""
    took_s: list[float] = []
    async with asyncio.timeout(DEADLINE_S):
        while checks:
            waiting = [check for check in checks if not check()]
            took_s += [time.monotonic() - began_s] * (len(checks) - len(waiting))
            checks = waiting
            await asyncio.sleep(LOOK_EVERY_S)
    return took_s


def make_answer(took_s: list[float], lost: int, what: str) -> Answer:
    """Put the figures together."""
    figures = {
        BACK: took_s[-1],
        "first_back_s": took_s[0],
        "median_back_s": took_s[len(took_s) // 2],
        what: float(len(took_s)),
    }
    return Answer(figures, f"{lost} acknowledged lines lost or doubled")


async def find_owners(product: Product, rooms: list[str]) -> dict[str, str]:
    """Return the host of every room."""
    async with connect(product) as connection:
        rows = await connection.fetch(
            "SELECT object_id::text AS room, host_id FROM placements "
            "WHERE kind = 'room' AND object_id = ANY($1::uuid[])",
            rooms,
        )
    return {row["room"]: row["host_id"] for row in rows}


async def count_lost(product: Product, load: ChatLoad) -> int:
    """Return how many acknowledged lines are not stored exactly once, under their offset."""
    async with connect(product) as connection:
        rows = await connection.fetch(
            "SELECT seq, body ->> 'text' AS text FROM room_messages "
            "WHERE room_id = $1::uuid AND kind = 'chat_message'",
            load.room,
        )
    stored = Counter((row["text"], row["seq"]) for row in rows)
    texts = Counter(row["text"] for row in rows)
    return sum(stored[line] != 1 or texts[line[0]] != 1 for line in load.acknowledged.items())


async def find_edge(product: Product, room: str) -> str:
    """Return the socket address that `join` gives now."""
    async with aiohttp.ClientSession() as session:
        status, body = await call(session, "POST", f"{product.url}/v1/live/{room}/join")
    assert status == 200, body
    return str(body["chat"]["socket"])


def address_edge(product: Product, slot: int) -> str:
    """Return the socket address of an edge."""
    edge = product.settings.edge
    return f"ws://{edge.public_host}:{edge.port + 10 * slot}/ws"


@asynccontextmanager
async def connect(product: Product) -> AsyncIterator[asyncpg.Connection]:
    """Lend a connection to the product's database."""
    async with AsyncExitStack() as stack:
        connection = await asyncpg.connect(product.settings.database.url, timeout=10)
        stack.push_async_callback(connection.close)
        yield connection
