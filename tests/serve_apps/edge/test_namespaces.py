"""A live from one network to another: nothing of the two is shared but a cable."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from kit.ids import make_id
from tests.media.sfu.impaired_link import PERFECT, Conditions
from tests.serve_apps.edge.impaired_cable import ImpairedCable
from tests.serve_apps.edge.namespace_process import LINE_BYTES_MAX
from tests.serve_apps.edge.namespaces import ADDRESSES, cabled_namespaces
from tests.serve_apps.edge.relay_edge import make_keys

pytestmark = pytest.mark.media

DEADLINE_S = 60
PICTURES = 40
PICTURES_WHILE_BAD = 200
TRIES_MAX = 5
BAD = Conditions(loss=0.05, delay_s=0.01, jitter_s=0.03, reordering=0.05)


@dataclass
class Machine:
    """An edge in a namespace of its own; `place` is where others have lives from it."""

    process: Process
    place: dict[str, Any]

    async def ask(self, wish: str, **words: Any) -> Any:
        """Have it do something; return its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(orjson.dumps([wish, words]) + b"\n")
        return await hear(self.process)


async def hear(process: Process) -> Any:
    """Return what a machine says next."""
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), DEADLINE_S)
    assert line, "the machine ended; its error is above"
    return orjson.loads(line)


@contextlib.asynccontextmanager
async def run_machine(folder: Path, namespace: str, slot: int) -> AsyncIterator[Machine]:
    """Run an edge in a namespace until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", namespace, sys.executable),
        *("-m", "tests.serve_apps.edge.namespace_process"),
        *(str(folder), f"edge-{slot}", ADDRESSES[slot]),
        stdin=PIPE,
        stdout=PIPE,
        limit=LINE_BYTES_MAX,
    )
    try:
        yield Machine(process, await hear(process))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass
class Networks:
    """Two machines, and the cable between them."""

    one: Machine
    two: Machine
    cable: ImpairedCable


@pytest.fixture
async def networks(home: Path) -> AsyncIterator[Networks]:
    """Lend two machines on a cable that is fine at first."""
    make_keys(home, ADDRESSES)
    with cabled_namespaces(f"sf-{os.getpid()}") as (names, ends):
        cable = ImpairedCable(ends, seed=1)
        with cable.carrying():
            async with run_machine(home, names[0], 0) as one, run_machine(home, names[1], 1) as two:
                yield Networks(one, two, cable)


async def test_a_live_is_watched_in_another_network_at_both_edges_and_whole_over_a_bad_cable(
    networks: Networks,
) -> None:
    tries = 1
    while not await is_whole(networks):
        assert tries < TRIES_MAX, "the machines lose each other each time"
        tries += 1
    lost = [way.lost for way in networks.cable.ways]
    print(f"lost on the cable: {lost[0]} there, {lost[1]} back")
    assert min(lost) > 0


async def is_whole(networks: Networks) -> bool:
    """Show a live everywhere, then over a bad cable; false if the machines lost each other.

    They do after a second of silence: a busy machine may be silent for so long, and a bad cable
    where it loses what is sent again. What goes by meanwhile is shown to nobody.
    """
    before = await networks.two.ask("count_lost_links")

    async def check(machine: Machine, shown: list[str], viewers: int) -> bool:
        got = await machine.ask("show", pictures=len(shown), viewers=viewers)
        if await networks.two.ask("count_lost_links") > before:
            return False
        assert got == [shown] * viewers
        return True

    one, two, cable = networks.one, networks.two, networks.cable
    sent = await watch_everywhere(networks)
    if not (await check(two, sent, 2) and await check(one, sent, 1)):
        return False
    # What a relay loses on its way is sent again: the other edge shows it all, in order.
    for way in cable.ways:
        way.conditions = BAD
    return await check(two, await one.ask("send", pictures=len(sent) + PICTURES_WHILE_BAD), 1)


async def watch_everywhere(networks: Networks) -> list[str]:
    """Have a live watched at both edges, from both, over a good cable; return its pictures."""
    one, two, cable = networks.one, networks.two, networks.cable
    for way in cable.ways:
        way.conditions = PERFECT
    for machine in (one, two):
        await machine.ask("forget")
    by_tls = one.place["address"].split()[-1]
    assert by_tls.startswith(f"tls://{ADDRESSES[0]}:")
    room = str(make_id())
    session = await one.ask("publish", room=room)
    await one.ask("send", pictures=5)
    await two.ask("bring", room=room, session=session, place={**one.place, "address": by_tls})
    # At the edge of their own network, which has the live by TLS, and each over the cable.
    for viewers, edge, at in ((two, two, 1), (two, one, 0), (one, two, 1)):
        answer = await edge.ask("watch", room=room, offer=await viewers.ask("offer"))
        assert f" {ADDRESSES[at]} " in answer
        await viewers.ask("connect", answer=answer)
    pictures: list[str] = await one.ask("send", pictures=PICTURES)
    return pictures
