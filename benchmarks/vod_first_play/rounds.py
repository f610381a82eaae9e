"""Uploads a film to a running product and asks for its first seconds until they come."""

from __future__ import annotations

import asyncio
import os
import re
import struct
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import asyncpg

from benchmarks.frame import Answer, Form, Side, Sides
from benchmarks.products import Products
from benchmarks.tus import HEADERS, announce
from tests.e2e.load import Account, call, register
from tests.media.vod.clips import run_ffmpeg
from tests.product import Product

MINUTES = 10
SECONDS, SECONDS_SHORT = MINUTES * 60, 12
SCENE_S = 12
PIECE_BYTES = 8 << 20
ASK_EVERY_S, LOOK_EVERY_S = 0.05, 0.02
PATIENCE_S = 120.0
LONG_LOGINS = {"auth_access_ttl_s": str(4 * 3600)}
"""Whoever uploads asks for their video longer than a token usually lives."""
SETTLE_S = 2.0
FIRST_PLAY = "first_play_s"
SOUND = re.compile(r'TYPE=AUDIO.*URI="([^"]+)"')
STANDING = """
    SELECT v.status <> 'queued' AS begun, v.source_key IS NOT NULL AS taken_in,
           v.plan IS NOT NULL AS planned, v.playable_at IS NOT NULL AS playable,
           EXISTS (SELECT FROM video_chunks c WHERE c.video_id = v.id AND c.state = 'done'
                      AND c.job->>'kind' IN ('audio', 'copy')) AS first_sound
      FROM videos v WHERE v.id = $1"""
STEPS = ("begun", "taken_in", "planned", "first_sound", "playable")


@dataclass
class Stage:
    """A product with someone who uploads to it."""

    http: aiohttp.ClientSession
    product: Product
    owner: Account
    films: dict[str, Path]


@asynccontextmanager
async def open_scene(form: Form, products: Products) -> AsyncIterator[Sides]:
    """Start the product and make both films; lend both sides."""
    async with open_stage(form, products, "426x240") as stage:
        yield make_sides(stage, measure)


def make_sides(stage: Stage, ask: Callable[[Stage, str], Awaitable[Answer]]) -> Sides:
    """Return a side for each film, which `ask` uploads by its name."""

    def make_side(kind: str) -> Side:
        async def side(_form: Form) -> Answer:
            return await ask(stage, kind)

        return side

    return {kind: make_side(kind) for kind in stage.films}


@asynccontextmanager
async def open_stage(form: Form, products: Products, size_short: str) -> AsyncIterator[Stage]:
    """A product, and both films."""
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as name:
        folder = Path(name)
        seconds = form.choose(SECONDS, SECONDS_SHORT)
        size = "1920x1080" if form is Form.FULL else size_short
        films = {
            "encoded": await asyncio.to_thread(make_film, folder, size, seconds, (8, 360)),
            "passed on": await asyncio.to_thread(make_film, folder, size, seconds, (5, 60)),
        }
        async with (
            products(limits_rates_enabled="false", **LONG_LOGINS) as product,
            aiohttp.ClientSession() as http,
        ):
            yield Stage(http, product, await register(http, product.url), films)


def make_film(folder: Path, size: str, seconds: int, kind: tuple[int, int]) -> Path:
    """Render moving pictures with grain and a tone, at so many Mbit/s with such a keyframe rate."""
    mbps, keyframe_every = kind
    scene, film = folder / f"scene-{mbps}.mp4", folder / f"film-{mbps}.mp4"
    rate = f"{mbps}M"
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=s={size}:r=30:d={min(seconds, SCENE_S)}"),
        *("-vf", "noise=alls=8:allf=t", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-g", str(keyframe_every)),
        *("-x264-params", "scenecut=0", "-pix_fmt", "yuv420p", scene),
    )
    run_ffmpeg(
        *("-stream_loop", "-1", "-i", scene, "-f", "lavfi", "-i", f"sine=d={seconds}:r=48000"),
        *("-t", str(seconds), "-c:v", "copy", "-c:a", "aac", "-ac", "2", film),
    )
    return film


async def measure(stage: Stage, kind: str) -> Answer:
    """Upload a film, time its first play, then delete it so that the next round meets nobody."""
    video, last_byte_s = await upload(stage, stage.films[kind])
    steps: dict[str, float] = {}
    looking = asyncio.create_task(watch_steps(stage.product, video["id"], last_byte_s, steps))
    got = await play(stage, video["id"])
    first_play_s = time.monotonic() - last_byte_s
    await looking
    await remove(stage, video["id"])
    times = {**steps, "played": first_play_s}
    parts = {
        name: max(0.0, time_s - before)
        for (name, time_s), before in zip(times.items(), [0.0, *times.values()], strict=False)
    }
    return Answer({FIRST_PLAY: first_play_s}, got, {"seconds until": parts})


@dataclass(frozen=True)
class Pace:
    """How a film is sent: so much at a time, and at most so fast."""

    piece_bytes: int = PIECE_BYTES
    bytes_per_s: float | None = None
    sends_index: bool = False
    """Whether the file's index, which lies at its end, is sent ahead, as the page does."""


async def upload(stage: Stage, film: Path, pace: Pace = Pace()) -> tuple[dict[str, Any], float]:
    """Send the film in pieces; return its video, and when the last one was acknowledged."""
    # A box of its own at the end: the same file twice would be recognised.
    box = struct.pack(">I4s16s", 24, b"free", os.urandom(16))
    size_bytes = film.stat().st_size
    video = await announce(stage.http, stage.product, stage.owner, size_bytes + len(box))
    address, offset, began_s = video["upload"]["url"], 0, time.monotonic()
    if pace.sends_index:
        await send_index(stage, film, address)
    with film.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, pace.piece_bytes):
            if pace.bytes_per_s:
                await asyncio.sleep(began_s + offset / pace.bytes_per_s - time.monotonic())
            body = piece + box if offset + len(piece) == size_bytes else piece
            headers = stage.owner.headers | HEADERS | {"Upload-Offset": str(offset)}
            async with stage.http.patch(address, data=body, headers=headers) as answer:
                assert answer.status == 204, await answer.text()
            offset += len(piece)
    return video, time.monotonic()


async def send_index(stage: Stage, film: Path, address: str) -> None:
    """Send the moov box, which ends the file as FFmpeg writes it."""
    data = await asyncio.to_thread(film.read_bytes)
    at = data.rindex(b"moov") - 4
    headers = stage.owner.headers | {"Tus-Resumable": "1.0.0", "Upload-Offset": str(at)}
    async with stage.http.put(f"{address}/index", data=data[at:], headers=headers) as answer:
        assert answer.status == 204, await answer.text()


async def watch_steps(
    product: Product, video_id: str, began_s: float, steps: dict[str, float]
) -> None:
    """Note when the video's rows show each step."""
    connection = await asyncpg.connect(product.settings.database.url, timeout=10)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while len(steps) < len(STEPS):
                row = await connection.fetchrow(STANDING, video_id)
                now_s = time.monotonic() - began_s
                for name in STEPS:
                    if row is not None and row[name]:
                        steps.setdefault(name, now_s)
                await asyncio.sleep(LOOK_EVERY_S)
    finally:
        await connection.close()


async def play(stage: Stage, video_id: str) -> str:
    """Ask until the first segment of picture and sound came; return what was heard and seen."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            place = f"{stage.product.url}/v1/videos/{video_id}"
            status, video = await call(stage.http, "GET", place, headers=stage.owner.headers)
            assert status != 200 or video["status"] != "failed", video
            if (
                status == 200
                and video["playback"]
                and await fetch_beginning(stage.http, video["playback"]["hls"])
            ):
                return "the first segments of picture and sound"
            await asyncio.sleep(ASK_EVERY_S)


async def fetch_beginning(http: aiohttp.ClientSession, master: str) -> bool:
    """Fetch the first segment of the smallest picture and of the sound; False while not there."""
    text = await fetch_text(http, master)
    if text is None:
        return False
    lines = text.splitlines()
    tracks = [line for line in lines if line and line[0] != "#"][:1]
    tracks += [found.group(1) for line in lines if (found := SOUND.search(line))][:1]
    for track in tracks:
        address = urljoin(master, track)
        names = await fetch_text(http, address)
        segments = [line for line in (names or "").splitlines() if line and line[0] != "#"]
        if not segments:
            return False
        async with http.get(urljoin(address, segments[0])) as answer:
            if answer.status != 200 or not await answer.read():
                return False
    return len(tracks) == 2


async def fetch_text(http: aiohttp.ClientSession, address: str) -> str | None:
    async with http.get(address) as answer:
        return await answer.text() if answer.status == 200 else None


async def remove(stage: Stage, video_id: str) -> None:
    """Delete the video; what is still being made of it ends within a moment."""
    place = f"{stage.product.url}/v1/videos/{video_id}"
    async with stage.http.delete(place, headers=stage.owner.headers) as answer:
        assert answer.status == 204, await answer.text()
    await asyncio.sleep(SETTLE_S)
