"""Fetches the same segments from a running product and from a bare server's files."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin

import aiohttp

from benchmarks.bare_bytes import run_bare
from benchmarks.frame import Answer, Form, Side, Sides
from benchmarks.meters import CpuMeter, list_product_processes
from benchmarks.products import Products
from benchmarks.tus import HEADERS, announce
from tests.e2e.load import call, register
from tests.product import Product

FILM_S, FILM_SHORT_S = 20, 4
BYTES, BYTES_SHORT = 2_000_000_000, 20_000_000
VIEWERS = 4
PATIENCE_S = 120
CPU, SPEED = "server_cpu_s_per_gb", "mb_per_s"


Publish = Callable[[aiohttp.ClientSession, Product, Path], Awaitable[list[str]]]
"""Has a product show a film; returns the addresses of its segments."""


def open_scene(form: Form, products: Products) -> AbstractAsyncContextManager[Sides]:
    """Compare the segments of a video."""
    return compare(form, products, publish)


@asynccontextmanager
async def compare(form: Form, products: Products, publish: Publish) -> AsyncIterator[Sides]:
    """Start both servers, each with the same segments."""
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as name:
        folder = Path(name)
        async with (
            products(limits_rates_enabled="false") as product,
            run_bare(folder, "asyncio") as asyncio_peer,
            run_bare(folder, "uvloop") as uvloop_peer,
            aiohttp.ClientSession() as http,
        ):
            size = "1920x1080" if form is Form.FULL else "426x240"
            film = await make_film(folder / "film.mp4", size, form.choose(FILM_S, FILM_SHORT_S))
            segments = await publish(http, product, film)
            for number, url in enumerate(segments):
                async with http.get(url) as answer:
                    assert answer.status == 200, url
                    (folder / f"{number}.m4s").write_bytes(await answer.read())
            processes = {"edge": list_product_processes(product)["edge"]}

            async def from_us(form: Form) -> Answer:
                return await measure(segments, processes, form.choose(BYTES, BYTES_SHORT))

            def from_bare(peer: tuple[str, int]) -> Side:
                address, pid = peer
                files = [f"{address}/{number}.m4s" for number in range(len(segments))]

                async def send(form: Form) -> Answer:
                    return await measure(files, {"bare": [pid]}, form.choose(BYTES, BYTES_SHORT))

                return send

            yield {
                "socialflow": from_us,
                "aiohttp": from_bare(asyncio_peer),
                "aiohttp, uvloop": from_bare(uvloop_peer),
            }


async def make_film(path: Path, size: str, length_s: int) -> Path:
    """Make a film that the product shows as it is: H.264 of about 6 Mbit/s, and AAC."""
    words = [
        *("ffmpeg", "-v", "error", "-f", "lavfi"),
        *("-i", f"testsrc2=size={size}:rate=30:duration={length_s},noise=alls=12:allf=t"),
        *("-f", "lavfi", "-i", f"sine=frequency=440:duration={length_s}"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "60"),
        *("-sc_threshold", "0", "-b:v", "6M", "-maxrate", "6M", "-bufsize", "6M"),
        *("-c:a", "aac", "-movflags", "+faststart", str(path)),
    ]
    process = await asyncio.create_subprocess_exec(*words)
    assert await process.wait() == 0, "ffmpeg makes a film"
    return path


async def publish(http: aiohttp.ClientSession, product: Product, path: Path) -> list[str]:
    """Upload the film; return the segments of its largest rung once all of them are there."""
    film = path.read_bytes()
    owner = await register(http, product.url)
    video = await announce(http, product, owner, len(film))
    headers = owner.headers | HEADERS | {"Upload-Offset": "0"}
    async with http.patch(video["upload"]["url"], data=film, headers=headers) as answer:
        assert answer.status == 204, await answer.text()
    async with asyncio.timeout(PATIENCE_S):
        while video["status"] != "ready":
            assert video["status"] != "failed", video
            await asyncio.sleep(0.5)
            place = f"{product.url}/v1/videos/{video['id']}"
            _, video = await call(http, "GET", place, headers=owner.headers)
    return await list_segments(http, video["playback"]["hls"])


async def list_segments(http: aiohttp.ClientSession, index: str) -> list[str]:
    """Return the segments of the largest rung."""
    async with http.get(index) as answer:
        master, text = str(answer.url), await answer.text()
    track = max(_list_tracks(text), key=lambda item: item[0])[1]
    async with http.get(urljoin(master, track)) as answer:
        lines = (await answer.text()).splitlines()
        return [urljoin(str(answer.url), line) for line in lines if line and line[0] != "#"]


def _list_tracks(master: str) -> list[tuple[int, str]]:
    """Bits a second and address of every rung."""
    lines = master.splitlines()
    return [
        (int(line.split(":BANDWIDTH=", 1)[1].split(",", 1)[0]), lines[number + 1])
        for number, line in enumerate(lines)
        if line.startswith("#EXT-X-STREAM-INF:BANDWIDTH=")
    ]


async def measure(urls: list[str], parts: Mapping[str, list[int]], size_bytes: int) -> Answer:
    """Have some viewers fetch the segments over and over until that much was sent to each."""
    meter, began_s = CpuMeter(dict(parts)), time.monotonic()
    got = await asyncio.gather(*(watch(urls, size_bytes // VIEWERS) for _ in range(VIEWERS)))
    used, took_s = meter.read(), time.monotonic() - began_s
    total = sum(got)
    figures = {CPU: sum(used.values()) * 1e9 / total, SPEED: total / 1e6 / took_s}
    return Answer(figures, f"{total:,} bytes of {len(urls)} segments")


async def watch(urls: list[str], size_bytes: int) -> int:
    """Fetch segments in turn on one connection; return how many bytes came."""
    got = number = 0
    async with aiohttp.ClientSession() as http:
        while got < size_bytes:
            async with http.get(urls[number % len(urls)]) as answer:
                assert answer.status == 200, answer.status
                while data := await answer.content.readany():
                    got += len(data)
            number += 1
    return got
