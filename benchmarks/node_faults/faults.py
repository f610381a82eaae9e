"""Kills a node with half of the hosts, and the Ray of a bare head, and takes the time.

One cluster stands for all rounds, on this machine at three addresses: a head that carries nothing,
`a` with the API, an edge and a host, `b` with the other host. The clock starts at the kill.
Everything acknowledged is compared with the rows.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import aiohttp

from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from benchmarks.takeover.kills import (
    BACK,
    DEADLINE_S,
    LOOK_EVERY_S,
    address_edge,
    count_lost,
    find_owners,
    has_acknowledged,
    make_answer,
    time_until_all,
)
from cluster.status import read_status
from tests.e2e.load import Account, ChatLoad, Viewer, call, register
from tests.product import Product, is_running

ROOMS, ROOMS_SHORT = 10, 4
A, B = "127.0.0.2", "127.0.0.3"
FREE = {"limits_rates_enabled": "false", "limits_chat_per_10_s_max": "1000000"}
NOTHING = {
    "http_replicas": "0",
    "hosts_count": "0",
    "edge_count": "0",
    "cluster_runners": "0",
    "cluster_media_workers": "0",
}
OF_A = {**NOTHING, "http_replicas": "1", "hosts_count": "1", "edge_count": "1"}
OF_B = {**NOTHING, "hosts_count": "1"}
HOST_OF_B = "host-0@b"


@dataclass(frozen=True)
class Cluster:
    """The three machines; people and clients are on `a`."""

    head: Product
    a: Product
    b: Product


@dataclass
class Crowd:
    """Rooms of one round, each written to without pause by its owner."""

    loads: list[ChatLoad]
    people: list[Account]

    async def stop(self, cluster: Cluster) -> int:
        """Stop writing; returns how many acknowledged lines are lost or doubled."""
        for load in self.loads:
            await load.stop()
        return sum([await count_lost(cluster.head, load) for load in self.loads])


@asynccontextmanager
async def open_cluster(_form: Form, _products: Products) -> AsyncIterator[Sides]:
    """Start the cluster, which no other question shares; lend both kills."""
    machines: list[Product] = []
    try:
        await asyncio.to_thread(start_machines, machines)
        cluster = Cluster(*machines)
        yield {
            "node with half of the hosts": partial(kill_node, cluster),
            "head": partial(kill_head, cluster),
        }
    finally:
        for machine in reversed(machines):
            await asyncio.to_thread(machine.stop)


def start_machines(machines: list[Product]) -> None:
    """Start head, `a` and `b`, adding each to the list."""
    head = Product.start(None, **FREE, **NOTHING)
    machines.append(head)
    url = f"http://{A}:{head.settings.http.port}"
    for name, address, carried in (("a", A, OF_A), ("b", B, OF_B)):
        member = head.prepare_member(**carried, http_public_url=url)
        machines.append(member)
        member.join(head.invite(name, address))


async def gather_crowd(cluster: Cluster, form: Form) -> Crowd:
    """Open fresh rooms, which the emptiest host gets, and begin to write to all of them."""
    count = form.choose(ROOMS, ROOMS_SHORT)
    socket = address_edge(cluster.a, 0)
    loads, people = [], []
    async with aiohttp.ClientSession() as session:
        for _ in range(count):
            person = await register(session, cluster.a.url)
            people.append(person)
            loads.append(ChatLoad(socket, await open_room(session, cluster, person), [person]))
    for load in loads:
        await load.start()
    async with asyncio.timeout(DEADLINE_S):
        while not all(load.acknowledged for load in loads):
            await asyncio.sleep(LOOK_EVERY_S)
    return Crowd(loads, people)


async def open_room(session: aiohttp.ClientSession, cluster: Cluster, person: Account) -> str:
    """Create a room through the API of `a`."""
    status, live = await call(
        session,
        "POST",
        f"{cluster.a.url}/v1/live",
        json={"title": "Benchmark"},
        headers=person.headers,
    )
    assert status == 201, live
    return str(live["id"])


async def kill_node(cluster: Cluster, form: Form) -> Answer:
    """Kill the Ray node of `b`; its rooms are back when a new owner acknowledged lines of each."""
    crowd = await gather_crowd(cluster, form)
    owners = await find_owners(cluster.head, [load.room for load in crowd.loads])
    hit = [load for load in crowd.loads if owners[load.room] == HOST_OF_B]
    assert hit, "the emptiest host gets the next room"
    [node, *_] = await asyncio.to_thread(cluster.b.pids, "ray-node")
    [host, *_] = await asyncio.to_thread(cluster.b.pids, HOST_OF_B)
    os.kill(node, signal.SIGKILL)
    began_s = time.monotonic()
    # The host ends a moment after its node; what it acknowledges until then is no recovery.
    async with asyncio.timeout(DEADLINE_S):
        while is_running(host):
            await asyncio.sleep(LOOK_EVERY_S)
    wanted = {load.room: len(load.acknowledged) + 2 for load in hit}
    took_s = await time_until_all(
        [partial(has_acknowledged, load, wanted[load.room]) for load in hit], began_s
    )
    lost = await crowd.stop(cluster)
    for part, pid in (("ray-node", node), (HOST_OF_B, host)):
        await asyncio.to_thread(cluster.b.await_new, part, pid)
    await await_nodes(cluster)
    return make_answer(took_s, lost, "rooms_hit")


async def kill_head(cluster: Cluster, form: Form) -> Answer:
    """Kill all of the head's Ray; it is back when its status shows every node alive again."""
    crowd = await gather_crowd(cluster, form)
    pauses: list[float] = []
    watching = asyncio.create_task(watch_pauses(crowd, pauses))
    killed = {
        part: (await asyncio.to_thread(cluster.head.pids, part))[0]
        for part in ("ray-control", "ray-node")
    }
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    began_s = time.monotonic()
    async with aiohttp.ClientSession() as session:
        newcomer = await register(session, cluster.a.url)
        room = await open_room(session, cluster, newcomer)
    late = Viewer(address_edge(cluster.a, 0), room, newcomer)
    await late.start()
    new_room_s = time.monotonic() - began_s
    await late.stop()
    for part, pid in killed.items():
        await asyncio.to_thread(cluster.head.await_new, part, pid)
    await await_nodes(cluster)
    back_s = time.monotonic() - began_s
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    lost = await crowd.stop(cluster)
    figures = {BACK: back_s, "longest_pause_s": max(pauses), "new_room_s": new_room_s}
    return Answer(figures, f"{lost} acknowledged lines lost or doubled")


async def watch_pauses(crowd: Crowd, pauses: list[float]) -> None:
    """Note how long each stretch lasts in which no room acknowledges anything."""
    seen, since_s = -1, time.monotonic()
    while True:
        count = sum(len(load.acknowledged) for load in crowd.loads)
        if count != seen:
            pauses.append(time.monotonic() - since_s)
            seen, since_s = count, time.monotonic()
        await asyncio.sleep(LOOK_EVERY_S)


async def await_nodes(cluster: Cluster) -> None:
    """Wait until the head's crew runs and lists all three nodes as alive."""
    async with asyncio.timeout(DEADLINE_S):
        while not await asyncio.to_thread(knows_all_nodes, cluster.head):
            await asyncio.sleep(0.05)


def knows_all_nodes(head: Product) -> bool:
    """Say whether the head's crew is well and sees three living nodes."""
    status = read_status(head.place, sample_s=0.0)
    crew = next((part for part in status.parts if part.name == "crew"), None)
    living = [node for node in status.facts.get("nodes", []) if node["is_alive"]]
    return crew is not None and crew.health == "healthy" and len(living) == 3
