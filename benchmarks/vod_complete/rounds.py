"""Uploads a film to a running product and waits until all that is made of it is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urljoin

from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from benchmarks.vod_first_play.rounds import (
    Stage,
    fetch_text,
    make_sides,
    open_stage,
    play,
    remove,
    upload,
)
from tests.e2e.load import call

PATIENCE_S = 3 * 3600.0
ASK_EVERY_S = 0.5
QUALITY = "360p"


@asynccontextmanager
async def open_scene(form: Form, products: Products) -> AsyncIterator[Sides]:
    """Start the product and make both films; lend both sides."""
    async with open_stage(form, products, "854x480") as stage:
        yield make_sides(stage, measure)


async def measure(stage: Stage, kind: str) -> Answer:
    """Upload a film and note when it plays, when 360p of it is whole, and when it is ready."""
    video, last_byte_s = await upload(stage, stage.films[kind])
    await play(stage, video["id"])
    figures = {"first_play_s": time.monotonic() - last_byte_s}
    place = f"{stage.product.url}/v1/videos/{video['id']}"
    async with asyncio.timeout(PATIENCE_S):
        while "ready_s" not in figures:
            await asyncio.sleep(ASK_EVERY_S)
            _status, video = await call(stage.http, "GET", place, headers=stage.owner.headers)
            assert video["status"] != "failed", video
            if "whole_360p_s" not in figures and await is_whole(stage, video["playback"]["hls"]):
                figures["whole_360p_s"] = time.monotonic() - last_byte_s
            if video["status"] == "ready":
                figures["ready_s"] = time.monotonic() - last_byte_s
    await remove(stage, video["id"])
    return Answer(figures, "every size")


async def is_whole(stage: Stage, master: str) -> bool:
    """Whether all of 360p can be played."""
    playlist = f"{QUALITY}.m3u8"
    if playlist not in (await fetch_text(stage.http, master) or ""):
        return False
    return "#EXT-X-ENDLIST" in (await fetch_text(stage.http, urljoin(master, playlist)) or "")
