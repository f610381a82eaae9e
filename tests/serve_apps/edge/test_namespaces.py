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
from tests.serve_apps.edge.namespace_process import LINE_BYTES_MAX
from tests.serve_apps.edge.namespaces import ADDRESSES, cabled_namespaces
from tests.serve_apps.edge.relay_edge import make_keys

pytestmark = pytest.mark.media

DEADLINE_S = 60
PICTURES = 40


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


@pytest.fixture
async def machines(home: Path) -> AsyncIterator[tuple[Machine, Machine]]:
    """Lend two machines."""
    make_keys(home, ADDRESSES)
    with cabled_namespaces(f"sf-{os.getpid()}") as names:
        async with run_machine(home, names[0], 0) as one, run_machine(home, names[1], 1) as two:
            yield one, two


async def test_a_live_is_watched_in_another_network_at_both_edges(
    machines: tuple[Machine, Machine],
) -> None:
    one, two = machines
    by_tls = one.place["address"].split()[-1]
    assert by_tls.startswith(f"tls://{ADDRESSES[0]}:")
    room = str(make_id())
    session = await one.ask("publish", room=room)
    await one.ask("send", pictures=5)
    await two.ask("bring", room=room, session=session, place={**one.place, "address": by_tls})
    # At the edge of their own network, which has the live by TLS, and each over the cable.
    for viewers, edge in ((two, two), (two, one), (one, two)):
        answer = await edge.ask("watch", room=room, offer=await viewers.ask("offer"))
        assert f" {ADDRESSES[machines.index(edge)]} " in answer
        await viewers.ask("connect", answer=answer)
    sent = await one.ask("send", pictures=PICTURES)
    for machine, count in ((two, 2), (one, 1)):
        got = await machine.ask("show", pictures=len(sent))
        assert got == [sent] * count
