"""Lets viewers of one live come and go, and watches what the product's processes hold."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import aiohttp

from benchmarks.frame import Answer, Form, Sides
from benchmarks.llhls.rounds import Watcher, await_master
from benchmarks.meters import list_product_processes
from benchmarks.products import Products
from cluster.processes import read_pss_mb
from media.live.fragments import TRACKS
from tests.e2e.load import PASSWORD, Account, ChatLoad, Viewer, call, register
from tests.media.sfu.peer import RtcPeer
from tests.product import Product
from tests.serve_apps.edge.live_publisher import publish_at

SECONDS, SECONDS_SHORT = 3600.0, 6.0
FIRST_S, FIRST_SHORT_S = 4.0, 2.0
"""How long the live before lasts, which opens whatever is kept for good."""
GUESTS, CHANGING = 12, 4
CHANGE_EVERY_S = 5.0
TALK_S = 300.0
LOOK_EVERY_S, LOOK_EVERY_SHORT_S = 10.0, 1.0
WARM_SHARE = 1 / 6
LOOKS_MIN = 4
PICTURE_BYTES = 5_000
ENDED_TIMEOUT_S, ENDED_TIMEOUT_SHORT_S = 60.0, 5.0
ENTER_TIMEOUT_S = 60.0
ASK_AGAIN = (409, 503)
OPTIONS = {
    "limits_rates_enabled": "false",
    # An edge that is out of breath turns viewers away; here they share its machine.
    "edge_loop_lag_max_ms": "60000",
}
LIVE_PARTS = ("edge", "host")
GROWTH = "mb_per_minute"
DESCRIPTORS_LEFT = "descriptors_left"


@asynccontextmanager
async def open_scene(_form: Form, products: Products) -> AsyncIterator[Sides]:
    """Start the product that the live runs on."""
    async with products(**OPTIONS) as product:

        async def soak(form: Form) -> Answer:
            return await measure(product, form)

        yield {"soak": soak}


class Guest(RtcPeer):
    """A viewer that counts what arrives and keeps none of it."""

    packets = 0

    def receive_media(self, _data: bytes) -> None:
        """Count a packet."""
        self.packets += 1


@dataclass
class Seat:
    """One viewer's session and socket."""

    guest: Guest
    session_url: str
    socket: Viewer

    async def leave(self, http: aiohttp.ClientSession) -> None:
        """Say goodbye on both."""
        assert self.guest.packets, "whoever came was shown something"
        async with http.delete(self.session_url):
            self.guest.close(politely=False)
        await self.socket.stop()


@dataclass
class Audience:
    """Those who watch, the longest there first."""

    product: Product
    http: aiohttp.ClientSession
    live_id: str
    seats: deque[Seat] = field(default_factory=deque)
    came: int = 0

    async def come(self, count: int) -> None:
        """Let viewers in, one after another; they share an account."""
        account = await register(self.http, self.product.url)
        for _ in range(count):
            async with asyncio.timeout(ENTER_TIMEOUT_S):
                guest, session_url = await self._enter(account)
                socket = Viewer("", self.live_id, account, api_url=self.product.url)
                await socket.start()
            self.seats.append(Seat(guest, session_url, socket))
            self.came += 1

    async def _enter(self, account: Account) -> tuple[Guest, str]:
        """Watch; whoever is told to ask again does."""
        headers = {"Content-Type": "application/sdp", **account.headers}
        while True:
            guest = Guest(("H264", "opus"))
            async with self.http.post(
                f"{self.product.url}/whep/{self.live_id}", data=guest.offer, headers=headers
            ) as answer:
                if answer.status == 201:
                    await guest.connect(await answer.text())
                    return guest, urljoin(str(answer.url), answer.headers["Location"])
                assert answer.status in ASK_AGAIN, await answer.text()
            await asyncio.sleep(1.0)

    async def leave(self, count: int) -> None:
        """Let those leave who have been there longest."""
        for _ in range(min(count, len(self.seats))):
            await self.seats.popleft().leave(self.http)

    async def change(self, until_s: float) -> None:
        """Let some leave and others come, again and again."""
        while time.monotonic() + CHANGE_EVERY_S < until_s:
            next_s = time.monotonic() + CHANGE_EVERY_S
            await self.leave(CHANGING)
            await self.come(CHANGING)
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))


@dataclass
class Looks:
    """What the product's processes held, moment by moment."""

    families: Mapping[str, list[int]]
    at_s: list[float] = field(default_factory=list)
    mb: dict[str, list[float]] = field(default_factory=dict)

    async def watch(self, until_s: float, every_s: float) -> None:
        """Look until it is over, and often enough to tell a slope."""
        while time.monotonic() < until_s or len(self.at_s) < LOOKS_MIN:
            await asyncio.to_thread(self._look)
            await asyncio.sleep(every_s)

    def _look(self) -> None:
        self.at_s.append(time.monotonic())
        for part, pids in self.families.items():
            self.mb.setdefault(part, []).append(sum(map(read_pss_mb, pids)))

    def find_slopes(self) -> dict[str, float]:
        """Return the growth of every part in MB per minute, once it was warm."""
        warm_s = self.at_s[0] + (self.at_s[-1] - self.at_s[0]) * WARM_SHARE
        warm = [number for number, at_s in enumerate(self.at_s) if at_s >= warm_s]
        minutes = [self.at_s[number] / 60 for number in warm]
        return {
            part: statistics.linear_regression(minutes, [mb[number] for number in warm]).slope
            for part, mb in self.mb.items()
        }


async def measure(product: Product, form: Form) -> Answer:
    """Hold a short live and a long one; return what the long one left."""
    families = await asyncio.to_thread(list_product_processes, product)
    async with aiohttp.ClientSession() as http:
        account = await register(http, product.url)
        await hold_live(product, http, account, form.choose(FIRST_S, FIRST_SHORT_S))
        patience_s = form.choose(ENDED_TIMEOUT_S, ENDED_TIMEOUT_SHORT_S)
        base = await settle_descriptors(families, patience_s)
        looks = Looks(families)
        seconds = form.choose(SECONDS, SECONDS_SHORT)
        every_s = form.choose(LOOK_EVERY_S, LOOK_EVERY_SHORT_S)
        audience, parts = await hold_live(product, http, account, seconds, looks, every_s)
    slopes = looks.find_slopes()
    left = await settle_descriptors(families, patience_s, at_most=base)
    return Answer(
        {
            GROWTH: sum(slopes[part] for part in LIVE_PARTS),
            "mb_at_last": sum(looks.mb[part][-1] for part in LIVE_PARTS),
            DESCRIPTORS_LEFT: float(max(0, left - base)),
            "viewers": float(audience.came),
            "hls_parts": float(parts),
        },
        "a live with its viewers",
        {"MB per minute": slopes},
    )


async def hold_live(
    product: Product,
    http: aiohttp.ClientSession,
    account: Account,
    seconds: float,
    looks: Looks | None = None,
    every_s: float = LOOK_EVERY_S,
) -> tuple[Audience, int]:
    """Hold a live of so many seconds; return who came and how many parts the player read."""
    api = f"{product.url}/v1/live"
    _status, live = await call(
        http, "POST", api, json={"title": "Long", "record": True}, headers=account.headers
    )
    key = {"Authorization": f"Bearer {live['stream_key']}"}
    audience = Audience(product, http, live["id"])
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(publish_at(f"{product.url}/whip", key))
        publisher.speed, publisher.picture_bytes = 1, PICTURE_BYTES
        master = await await_master(http, f"{product.url}/live/{live['id']}/index.m3u8")
        await audience.come(GUESTS)
        watcher = Watcher(http, master)
        until_s = time.monotonic() + seconds
        await asyncio.gather(
            audience.change(until_s),
            talk(product, http, live["id"], until_s),
            *(watcher.follow(track, until_s) for track in TRACKS),
            *([looks.watch(until_s, every_s)] if looks else []),
        )
        await audience.leave(GUESTS)
    await end_live(product, http, account, live["id"])
    return audience, watcher.parts


async def end_live(
    product: Product, http: aiohttp.ClientSession, account: Account, live_id: str
) -> None:
    """End the live as its owner, who signs in anew."""
    known = {"login": account.username, "password": PASSWORD}
    _status, signed_in = await call(http, "POST", f"{product.url}/v1/auth/login", json=known)
    headers = {"Authorization": f"Bearer {signed_in['access_token']}"}
    status, body = await call(http, "POST", f"{product.url}/v1/live/{live_id}/end", headers=headers)
    assert status == 200, body


async def talk(product: Product, http: aiohttp.ClientSession, live_id: str, until_s: float) -> None:
    """Say a line a second, each person for some minutes: their tokens hold no longer."""
    while (left_s := until_s - time.monotonic()) > 0:
        person = await register(http, product.url)
        _status, body = await call(
            http, "POST", f"{product.url}/v1/live/{live_id}/join", headers=person.headers
        )
        load = ChatLoad(body["chat"]["socket"], live_id, [person], pause_s=1.0)
        await load.start()
        await asyncio.sleep(min(left_s, TALK_S))
        await load.stop()
        assert load.acknowledged, "lines were said"


async def settle_descriptors(
    families: Mapping[str, list[int]], patience_s: float, *, at_most: int | None = None
) -> int:
    """Return how many descriptors are open once it is no more than that, or does not change."""
    seen: deque[int] = deque(maxlen=5)
    deadline_s = time.monotonic() + patience_s
    while time.monotonic() < deadline_s:
        seen.append(await asyncio.to_thread(count_descriptors, families))
        if at_most is None and len(seen) == seen.maxlen and len(set(seen)) == 1:
            break
        if at_most is not None and seen[-1] <= at_most:
            break
        await asyncio.sleep(0.5)
    return seen[-1]


def count_descriptors(families: Mapping[str, list[int]]) -> int:
    """Return how many descriptors edges and hosts have open."""
    return sum(
        len(list(Path(f"/proc/{pid}/fd").iterdir()))
        for part in LIVE_PARTS
        for pid in families[part]
    )
