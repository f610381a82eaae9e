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
from tests.media.sfu.impaired_link import Conditions
from tests.serve_apps.edge.impaired_cable import ImpairedCable
from tests.serve_apps.edge.namespace_process import LINE_BYTES_MAX
from tests.serve_apps.edge.namespaces import ADDRESSES, cabled_namespaces
from tests.serve_apps.edge.relay_edge import make_keys

pytestmark = pytest.mark.media

DEADLINE_S = 60
PICTURES = 40
PICTURES_WHILE_BAD = 200
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
    one, two, cable = networks.one, networks.two, networks.cable
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
    sent = await one.ask("send", pictures=PICTURES)
    for machine, count in ((two, 2), (one, 1)):
        got = await machine.ask("show", pictures=len(sent), viewers=count)
        assert got == [sent] * count
    # What a relay loses on its way is sent again: the other edge shows it all, in order.
    for way in cable.ways:
        way.conditions = BAD
    sent = await one.ask("send", pictures=len(sent) + PICTURES_WHILE_BAD)
    assert await two.ask("show", pictures=len(sent), viewers=1) == [sent]
    lost = [way.lost for way in cable.ways]
    print(f"lost on the cable: {lost[0]} there, {lost[1]} back")
    assert min(lost) > 0
