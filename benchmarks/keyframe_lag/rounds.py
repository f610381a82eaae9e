"""Lets a socket ping an edge of the product, alone and beside a live with many viewers."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import numpy as np

from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from benchmarks.sfu_peers.course import Server, Word, run_audience
from benchmarks.sfu_peers.load import LARGE_KEYFRAMES
from tests.e2e.load import Account, call, register
from tests.product import Product

VIEWERS, VIEWERS_SHORT = 1000, 20
SECONDS, SECONDS_SHORT = 20.0, 3.0
ALONE_S, ALONE_SHORT_S = 5.0, 1.0
PING_EVERY_S = 0.005
SETTLE_S = 0.5
LOAD = LARGE_KEYFRAMES
P50, P99, WORST = "p50_ms", "p99_ms", "worst_ms"
OPTIONS = {
    "limits_rates_enabled": "false",
    "edge_viewers_per_room_max": str(VIEWERS),
    # Whoever is late is what is asked here: nobody is turned away for it.
    "edge_loop_lag_max_ms": "60000",
}


@asynccontextmanager
async def open_scene(_form: Form, products: Products) -> AsyncIterator[Sides]:
    """Start the product and open the socket that asks."""
    async with products(**OPTIONS) as product, aiohttp.ClientSession() as http:
        account = await register(http, product.url)
        _status, live = await call(
            http,
            "POST",
            f"{product.url}/v1/live",
            json={"title": "Large", "record": False},
            headers=account.headers,
        )
        scene = Scene(product, http, account, live)

        async def ping_alone(form: Form) -> Answer:
            async with scene.pinging() as pings:
                await asyncio.sleep(form.choose(ALONE_S, ALONE_SHORT_S))
            return Answer(pings.sum_up(), "pings")

        async def ping_beside(form: Form) -> Answer:
            return await scene.measure(
                form.choose(VIEWERS, VIEWERS_SHORT), form.choose(SECONDS, SECONDS_SHORT)
            )

        yield {"without viewers": ping_alone, "with viewers": ping_beside}


@dataclass
class Pings:
    """Round trips between a socket and its edge."""

    socket: aiohttp.ClientWebSocketResponse
    took_ms: list[float] = field(default_factory=list)

    async def send(self) -> None:
        """Send pings that carry when they were sent."""
        while True:
            await self.socket.ping(struct.pack("d", time.monotonic()))
            await asyncio.sleep(PING_EVERY_S)

    async def receive(self) -> None:
        """Take pongs; answer the edge's own pings."""
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.PONG:
                (sent_s,) = struct.unpack("d", message.data)
                self.took_ms.append(1000 * (time.monotonic() - sent_s))
            elif message.type is aiohttp.WSMsgType.PING:
                await self.socket.pong(message.data)

    def sum_up(self) -> dict[str, float]:
        """Return the percentiles."""
        assert self.took_ms, "pongs came"
        return {
            P50: float(np.percentile(self.took_ms, 50)),
            P99: float(np.percentile(self.took_ms, 99)),
            WORST: max(self.took_ms),
        }


@dataclass
class Scene:
    """A live of the product, and who owns it."""

    product: Product
    http: aiohttp.ClientSession
    account: Account
    live: dict[str, str]

    @asynccontextmanager
    async def pinging(self) -> AsyncIterator[Pings]:
        """Ping the edge until the block ends."""
        url = f"{self.product.edge_url.replace('http', 'ws', 1)}/ws"
        async with self.http.ws_connect(url, autoping=False) as socket:
            await socket.send_json({"type": "authenticate", "token": self.account.token})
            channels = [f"room:{self.live['id']}"]
            await socket.send_json({"type": "subscribe", "channels": channels})
            pings = Pings(socket)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(pings.send()), group.create_task(pings.receive())]
                try:
                    yield pings
                finally:
                    for task in tasks:
                        task.cancel()

    async def measure(self, viewers: int, seconds: float) -> Answer:
        """Ping while viewers watch; the time in which they join does not count."""
        marks: dict[str, int] = {}
        async with self.pinging() as pings:

            def note(word: str) -> None:
                marks[word] = len(pings.took_ms)

            server = Server(self.product.pids("edge-0")[0], 0, self._reply)
            served = await run_audience(server, LOAD, viewers, seconds, note)
            joining, watched = pings.took_ms[: marks["joined"]], Pings(pings.socket)
            watched.took_ms = pings.took_ms[marks["ready"] : marks["sent"]]
        assert served.work == "every viewer was served", served.figures
        figures = watched.sum_up()
        figures["p99_ms_while_joining"] = float(np.percentile(joining, 99))
        figures |= {
            name: served.figures[name]
            for name in ("delivered_percent", "cpu_us_per_packet", "cpu_percent")
        }
        return Answer(figures, "pings")

    async def _reply(self, word: Word) -> Word:
        """Enter the live by WHIP or WHEP."""
        if "publish" in word:
            path, token, offer = "/whip", self.live["stream_key"], word["publish"]
        else:
            path, token, offer = f"/whep/{self.live['id']}", self.account.token, word["offer"]
        headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"}
        async with self.http.post(self.product.url + path, data=offer, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return {"answer": await answer.text()}
