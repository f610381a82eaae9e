"""Uploads a film at the rate of a home's uplink and waits until all that is made of it is there."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp

from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from benchmarks.vod_first_play.rounds import (
    FIRST_PLAY,
    Pace,
    Stage,
    make_film,
    make_sides,
    play,
    remove,
    upload,
)
from tests.e2e.load import call, register

BEFORE, BEHIND = "begun while it arrives", "begun behind it"
READY = "ready_s"
MBPS = 5
SECONDS, SECONDS_SHORT = 60, 20
KEYFRAME_EVERY = 360
ASK_EVERY_S = 0.2
PATIENCE_S = 1800.0
PACE = Pace(piece_bytes=1 << 20, bytes_per_s=MBPS * 125_000)
PACE_AHEAD = replace(PACE, sends_index=True)


@asynccontextmanager
async def open_scene(form: Form, products: Products) -> AsyncIterator[Sides]:
    """Start the product and make the film; lend both sides."""
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as name:
        size = "1280x720" if form is Form.FULL else "426x240"
        seconds = form.choose(SECONDS, SECONDS_SHORT)
        kind = (MBPS, KEYFRAME_EVERY)
        film = await asyncio.to_thread(make_film, Path(name), size, seconds, kind)
        async with (
            products(limits_rates_enabled="false") as product,
            aiohttp.ClientSession() as http,
        ):
            films = {BEFORE: film, BEHIND: film}
            stage = Stage(http, product, await register(http, product.url), films)
            yield make_sides(stage, measure)


async def measure(stage: Stage, kind: str) -> Answer:
    """Upload a film; note when it plays and when it is ready, from its last byte on."""
    video, last_byte_s = await upload(
        stage, stage.films[kind], PACE if kind == BEHIND else PACE_AHEAD
    )
    await play(stage, video["id"])
    figures = {FIRST_PLAY: time.monotonic() - last_byte_s}
    place = f"{stage.product.url}/v1/videos/{video['id']}"
    async with asyncio.timeout(PATIENCE_S):
        while video.get("status") != "ready":
            await asyncio.sleep(ASK_EVERY_S)
            _status, video = await call(stage.http, "GET", place, headers=stage.owner.headers)
            assert video["status"] != "failed", video
    figures[READY] = time.monotonic() - last_byte_s
    await remove(stage, video["id"])
    return Answer(figures, "every size")
