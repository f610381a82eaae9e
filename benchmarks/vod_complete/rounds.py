"""Uploads a film to a running product and waits until all that is made of it is there."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
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
VARIANT = re.compile(r"^#EXT-X-STREAM-INF:.*RESOLUTION=\d+x(\d+).*\n(\S+)", re.MULTILINE)
SMALL, FULL, FULL_SHORT = 360, 1080, 480
"""Heights of pictures: the first that plays everywhere, and the film's own."""


@asynccontextmanager
async def open_scene(form: Form, products: Products) -> AsyncIterator[Sides]:
    """Start the product and make both films; lend both sides."""
    async with open_stage(form, products, f"854x{FULL_SHORT}") as stage:
        yield make_sides(stage, partial(measure, form.choose(FULL, FULL_SHORT)))


async def measure(full: int, stage: Stage, kind: str) -> Answer:
    """Upload a film and note when it plays, when two sizes are whole, and when it is ready."""
    video, last_byte_s = await upload(stage, stage.films[kind])
    await play(stage, video["id"])
    figures = {"first_play_s": time.monotonic() - last_byte_s}
    sizes = {"whole_360p_s": SMALL, "whole_full_size_s": full}
    place = f"{stage.product.url}/v1/videos/{video['id']}"
    async with asyncio.timeout(PATIENCE_S):
        while "ready_s" not in figures:
            await asyncio.sleep(ASK_EVERY_S)
            status, video = await call(stage.http, "GET", place, headers=stage.owner.headers)
            assert status == 200, video
            assert video["status"] != "failed", video
            for figure in sizes.keys() - figures.keys():
                if await is_whole(stage, video["playback"]["hls"], sizes[figure]):
                    figures[figure] = time.monotonic() - last_byte_s
            if video["status"] == "ready":
                figures["ready_s"] = time.monotonic() - last_byte_s
    await remove(stage, video["id"])
    return Answer(figures, "every size")


async def is_whole(stage: Stage, master: str, height: int) -> bool:
    """Whether all of this size can be played."""
    known = dict(VARIANT.findall(await fetch_text(stage.http, master) or ""))
    if str(height) not in known:
        return False
    playlist = urljoin(master, known[str(height)])
    return "#EXT-X-ENDLIST" in (await fetch_text(stage.http, playlist) or "")
