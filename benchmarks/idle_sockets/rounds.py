"""One round: a fresh process, thousands of silent sockets, and what its memory grew by.

Our side is the product's edge, killed before each round so that every round begins with an empty
heap; every socket follows one room, as a page does, and is pinged.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from benchmarks.children import run_child
from benchmarks.frame import Answer, Form, Sides
from benchmarks.peers import run_peer
from benchmarks.products import Products
from cluster.processes import read_cpu_s, read_pss_mb
from storage.embedded.ports import get_free_port
from tests.e2e.load import call, register

SOCKETS, SOCKETS_SHORT = 5000, 200
HOLD_S, HOLD_SHORT_S = 60.0, 1.0
GROWTH = "pss_kib_per_socket"


@asynccontextmanager
async def open_edge(_form: Form, products: Products) -> AsyncIterator[Sides]:
    """Prepare a room; lend both sides."""
    async with products(limits_rates_enabled="false") as product:
        url, socket = product.url, product.edge_url.replace("http", "ws", 1) + "/ws"
        async with aiohttp.ClientSession() as session:
            owner = await register(session, url, "owner")
            status, live = await call(
                session, "POST", f"{url}/v1/live", json={"title": "Idle"}, headers=owner.headers
            )
        assert status == 201, live

        async def measure_edge(form: Form) -> Answer:
            killed = await asyncio.to_thread(product.kill, "edge-0")
            pid = await asyncio.to_thread(product.await_new, "edge-0", killed)
            return await measure_growth(form, socket, pid, f"room:{live['id']}")

        yield {"edge": measure_edge, "bare aiohttp": measure_bare}


async def measure_bare(form: Form) -> Answer:
    """Measure the peer."""
    port = get_free_port()
    words = [sys.executable, "-m", "benchmarks.idle_sockets.bare", str(port)]
    async with run_peer(words, port) as pid:
        return await measure_growth(form, f"ws://127.0.0.1:{port}/sub", pid, "")


async def measure_growth(form: Form, url: str, pid: int, channel: str) -> Answer:
    """Open the sockets, wait, and read the memory of the process."""
    count, hold_s = form.choose(SOCKETS, SOCKETS_SHORT), form.choose(HOLD_S, HOLD_SHORT_S)
    before_mb = read_pss_mb(pid)
    async with run_child("benchmarks.idle_sockets.holders") as holders:
        await holders.ask({"url": url, "count": count, "channel": channel})
        spent_s = read_cpu_s(pid)
        await asyncio.sleep(hold_s)
        spent_s = read_cpu_s(pid) - spent_s
        after_mb = read_pss_mb(pid)
        is_open = (await holders.ask({}))["open"]
    return Answer(
        figures={
            GROWTH: (after_mb - before_mb) * 1024 / count,
            "cpu_percent": 100 * spent_s / hold_s,
        },
        work=f"{is_open} sockets stayed open",
    )
