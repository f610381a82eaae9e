"""Fetches the segments of a live that ended from a product, and from a bare server's files."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aiohttp

from benchmarks.frame import Form, Sides
from benchmarks.products import Products
from benchmarks.serving.rounds import PATIENCE_S, compare, list_segments
from tests.e2e.load import call, register
from tests.product import Product


def open_scene(form: Form, products: Products) -> AbstractAsyncContextManager[Sides]:
    """Compare the segments of a live."""
    return compare(form, products, publish)


async def publish(http: aiohttp.ClientSession, product: Product, film: Path) -> list[str]:
    """Send the film as a live, at its own pace, and end it; return its segments."""
    owner = await register(http, product.url)
    place = f"{product.url}/v1/live"
    status, live = await call(http, "POST", place, headers=owner.headers, json={"title": "T"})
    assert status == 201, live
    url = f"{live['ingest']['rtmp']}/{live['stream_key']}"
    words = ("ffmpeg", "-v", "error", "-re", "-i", str(film), "-c", "copy", "-f", "flv", url)
    ffmpeg = await asyncio.create_subprocess_exec(*words)
    assert await ffmpeg.wait() == 0, "ffmpeg publishes a film"
    place = f"{place}/{live['id']}"
    status, said = await call(http, "POST", f"{place}/end", headers=owner.headers)
    assert status == 200, said
    async with asyncio.timeout(PATIENCE_S):
        while (live := (await call(http, "GET", place))[1])["status"] != "ended":
            await asyncio.sleep(0.2)
    return await list_segments(http, f"{product.url}/live/{live['id']}/index.m3u8")
