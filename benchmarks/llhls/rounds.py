"""Packages a publisher's packets in this process, and watches one on a running product."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from urllib.parse import urljoin

import aiohttp

from benchmarks.frame import Answer, Form, Sides
from benchmarks.meters import CpuMeter, list_product_processes
from benchmarks.products import Products
from media.live.fragments import TRACKS, VIDEO
from tests.e2e.load import call, register
from tests.media.live.packets_stage import Packet
from tests.media.live.programme import Programme
from tests.media.playlist_reading import Listed, read_playlist
from tests.product import Product
from tests.serve_apps.edge.live_publisher import publish_at

PICTURE_BYTES = 12_500
SECONDS, SECONDS_SHORT = 60.0, 6.0
WATCHED_S, WATCHED_SHORT_S = 20.0, 3.0
CORE = "core_percent"
EDGE_CORE = "edge_core_percent"
LATE_P50, LATE_P99 = "part_late_p50_ms", "part_late_p99_ms"
WORK = "a publisher of 3 Mbit/s"


@asynccontextmanager
async def open_scene(_form: Form, products: Products) -> AsyncIterator[Sides]:
    """Start the product that the second side watches on."""
    async with products(limits_rates_enabled="false") as product:

        async def watch(form: Form) -> Answer:
            return await measure_watched(product, form.choose(WATCHED_S, WATCHED_SHORT_S))

        async def package(form: Form) -> Answer:
            return await asyncio.to_thread(measure_packaging, form.choose(SECONDS, SECONDS_SHORT))

        yield {"packaging": package, "watched": watch}


class MeteredProgramme(Programme):
    """Counts the CPU time of packaging alone, and renders what a player asks for."""

    cpu_s = 0.0
    stored = 0

    def show(self, packets: list[Packet]) -> None:
        """Package a picture's packets; render both deltas when a part came of it."""
        version = self.window.version
        started_s = time.thread_time()
        super().show(packets)
        if self.window.version != version:
            for track in TRACKS:
                self.playlists.render(track, is_delta=True)
        for number in self.whole[self.stored :]:
            self.window.note_stored(number)
        self.stored = len(self.whole)
        self.cpu_s += time.thread_time() - started_s

    def hear(self, packets: list[Packet]) -> None:
        """Package a packet of sound."""
        started_s = time.thread_time()
        super().hear(packets)
        self.cpu_s += time.thread_time() - started_s


def measure_packaging(seconds: float) -> Answer:
    """Package so many seconds of a programme."""
    programme = MeteredProgramme()
    programme.run(2, size=PICTURE_BYTES)
    programme.cpu_s = 0.0
    programme.run(seconds, size=PICTURE_BYTES)
    assert len(programme.whole) >= seconds / 2.5, "segments come out of it"
    return Answer({CORE: 100 * programme.cpu_s / seconds}, WORK)


@dataclass
class Watcher:
    """A low-latency player without a screen."""

    http: aiohttp.ClientSession
    master: str
    late_ms: list[float] = field(default_factory=list)
    parts: int = 0

    async def follow(self, track: str, until_s: float) -> None:
        """Read a playlist by blocking reloads and fetch every part as it comes."""
        address = urljoin(self.master, f"{track}/index.m3u8")
        number, position, query = -1, 0, ""
        while time.monotonic() < until_s:
            async with self.http.get(address + query) as answer:
                assert answer.status == 200, await answer.text()
                text = await answer.text()
            for segment in read_playlist(text).segments:
                for at, (_length, uri, _key) in enumerate(segment.parts):
                    place = (int(uri.split("/")[1].split(".")[0]), at)
                    if number < 0 or place < (number, position):
                        continue
                    self.look_into(track, await self._fetch(urljoin(address, uri)))
                    if track == VIDEO:
                        self._note(segment, at)
            number, position = _find_next(text)
            query = f"?_HLS_msn={number}&_HLS_part={position}&_HLS_skip=YES"

    def look_into(self, track: str, data: bytes) -> None:
        """Take a part that came."""

    async def _fetch(self, url: str) -> bytes:
        async with self.http.get(url) as answer:
            assert answer.status == 200
            self.parts += 1
            return await answer.read()

    def _note(self, segment: Listed, at: int) -> None:
        assert segment.moment is not None, "every segment says its wall clock"
        length_s = sum(part[0] for part in segment.parts[: at + 1])
        ended_at = segment.moment + timedelta(seconds=length_s)
        self.late_ms.append((datetime.now(UTC) - ended_at).total_seconds() * 1000)


def _find_next(text: str) -> tuple[int, int]:
    """The part that the playlist hints at."""
    hint = read_playlist(text).attributes("PRELOAD-HINT")["URI"]
    number, position, _suffix = hint.split("/")[1].split(".")
    return int(number), int(position)


async def measure_watched(product: Product, seconds: float) -> Answer:
    """Publish to the product and watch it."""
    async with aiohttp.ClientSession() as http:
        owner = await register(http, product.url)
        _status, live = await call(
            http,
            "POST",
            f"{product.url}/v1/live",
            json={"title": "Late?", "record": False},
            headers=owner.headers,
        )
        key = {"Authorization": f"Bearer {live['stream_key']}"}
        async with publish_at(f"{product.url}/whip", key) as publisher:
            publisher.speed, publisher.picture_bytes = 1, PICTURE_BYTES
            address = f"{product.url}/live/{live['id']}/index.m3u8"
            master = await await_master(http, address)
            await asyncio.sleep(2)
            watcher = Watcher(http, master)
            meter = CpuMeter({"edge": list_product_processes(product)["edge"]})
            until_s = time.monotonic() + seconds
            await asyncio.gather(*(watcher.follow(track, until_s) for track in TRACKS))
            used_s = meter.read()["edge"]
        await call(http, "POST", f"{product.url}/v1/live/{live['id']}/end", headers=owner.headers)
    assert watcher.parts > seconds, "parts come of both tracks"
    late = sorted(watcher.late_ms)
    return Answer(
        {
            EDGE_CORE: 100 * used_s / seconds,
            LATE_P50: median(late),
            LATE_P99: late[int(len(late) * 0.99)],
        },
        WORK,
    )


async def await_master(http: aiohttp.ClientSession, address: str) -> str:
    """Return the edge's address of the list of variants once it plays."""
    async with asyncio.timeout(60):
        while True:
            async with http.get(address) as answer:
                if answer.status == 200:
                    return str(answer.url)
            await asyncio.sleep(0.2)
