"""Watches a live on a product that has nothing else to do, and on one that encodes uploads."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp

from benchmarks.frame import Answer, Form, Sides
from benchmarks.llhls.rounds import LATE_P50, LATE_P99, PICTURE_BYTES, Watcher, await_master
from benchmarks.products import Products
from benchmarks.vod_first_play.rounds import Stage, make_film, remove, upload
from media.live.fragments import TRACKS, VIDEO
from tests.e2e.load import call, register
from tests.media.live.packets_stage import FRAME_TICKS
from tests.media.live.programme import iterate_fragments
from tests.serve_apps.edge.live_publisher import publish_at

UPLOADS, UPLOADS_SHORT = 20, 5
FILM_S, FILM_SHORT_S = 30, 20
WATCHED_S, WATCHED_SHORT_S = 60.0, 5.0
LOST = "pictures_lost"
QUIET_S = 2.0
WORK = "a publisher of 3 Mbit/s, watched"
DONE = frozenset({"ready", "failed"})


@dataclass
class Counting(Watcher):
    """Looks into each part of the picture for what is missing there."""

    lost: int = 0
    pictures: int = 0

    def look_into(self, track: str, data: bytes) -> None:
        """Count pictures; one that is shown for the time of two hides a lost one."""
        if track == VIDEO:
            for _base, ticks, keys in iterate_fragments(data):
                self.pictures += len(keys)
                self.lost += round(ticks / FRAME_TICKS) - len(keys)


@asynccontextmanager
async def open_scene(form: Form, products: Products) -> AsyncIterator[Sides]:
    """Start the product and render the film."""
    seconds = form.choose(FILM_S, FILM_SHORT_S)
    size = "1920x1080" if form is Form.FULL else "854x480"
    count = form.choose(UPLOADS, UPLOADS_SHORT)
    watched_s = form.choose(WATCHED_S, WATCHED_SHORT_S)
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as name:
        film = await asyncio.to_thread(make_film, Path(name), size, seconds, (8, 360))
        async with (
            products(limits_rates_enabled="false") as product,
            aiohttp.ClientSession() as http,
        ):
            stage = Stage(http, product, await register(http, product.url), {"film": film})

            async def alone(_form: Form) -> Answer:
                return await watch(stage, watched_s, send_nothing)

            async def beside(_form: Form) -> Answer:
                videos: list[str] = []

                async def send() -> None:
                    for _number in range(count):
                        video, _sent_s = await upload(stage, film)
                        videos.append(video["id"])

                answer = await watch(stage, watched_s, send)
                assert len(videos) == count, "all arrived while the live was watched"
                left = [video for video in videos if await read_status(stage, video) not in DONE]
                assert left, "it is to be beside uploads that are being made"
                for video in videos:
                    await remove(stage, video)
                return answer

            yield {"alone": alone, "beside uploads": beside}


async def read_status(stage: Stage, video_id: str) -> str:
    """Return how far a video is."""
    place = f"{stage.product.url}/v1/videos/{video_id}"
    status, video = await call(stage.http, "GET", place, headers=stage.owner.headers)
    assert status == 200, video
    return str(video["status"])


async def send_nothing() -> None:
    """A live that is alone."""


async def watch(stage: Stage, seconds: float, send: Callable[[], Awaitable[None]]) -> Answer:
    """Publish and watch for so long; `send` begins as the watching does."""
    http, url, headers = stage.http, stage.product.url, stage.owner.headers
    order = {"title": "First?"}
    _status, live = await call(http, "POST", f"{url}/v1/live", json=order, headers=headers)
    key = {"Authorization": f"Bearer {live['stream_key']}"}
    async with publish_at(f"{url}/whip", key) as publisher:
        publisher.speed, publisher.picture_bytes = 1, PICTURE_BYTES
        master = await await_master(http, f"{url}/live/{live['id']}/index.m3u8")
        await asyncio.sleep(QUIET_S)
        watcher = Counting(http, master)
        until_s = time.monotonic() + seconds
        await asyncio.gather(*(watcher.follow(track, until_s) for track in TRACKS), send())
    await call(http, "POST", f"{url}/v1/live/{live['id']}/end", headers=headers)
    assert watcher.pictures > seconds * 20, "the pictures came"
    late = sorted(watcher.late_ms)
    figures = {
        LATE_P50: median(late),
        LATE_P99: late[int(len(late) * 0.99)],
        LOST: float(watcher.lost),
        "pictures": float(watcher.pictures),
    }
    return Answer(figures, WORK)
