"""Uploads a film, kills its workers or leaves them alone, and compares what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import random
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import aiohttp
import av

from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from benchmarks.vod_faults.workers import LOOK_EVERY_S, WorkerWatch
from benchmarks.vod_first_play.rounds import LONG_LOGINS, Stage, make_film, remove, upload
from media.vod.records import INIT_NAME, video_prefix
from storage.objects import ObjectStore
from tests.e2e.load import call, register

if TYPE_CHECKING:
    from av.container import InputContainer

MBPS = 12
"""Above what is passed on as it is."""
KEYFRAME_EVERY = 60
WORKERS = 2
KILL_EVERY_S = 5.0
ASK_EVERY_S = 0.5
PATIENCE_S = 3600.0
SEED = 7
CPU = "worker_cpu_s"
NOT_MADE = ("source", "records/", "unfinished/")
"""Objects of a video that are no result."""


@dataclass(frozen=True)
class Film:
    """Length and size of the full form's source, and the clock by which workers are killed.

    The ladder goes with its height.
    """

    minutes: float
    height: int
    is_shared: bool = False
    """Other work takes the workers' cores: seconds are those that the workers had, together."""

    @property
    def size(self) -> str:
        """As FFmpeg takes it."""
        return f"{self.height * 16 // 9 // 2 * 2}x{self.height}"


FILM_SHORT = Film(minutes=0.3, height=480)


@asynccontextmanager
async def open_scene(full: Film, form: Form, products: Products) -> AsyncIterator[Sides]:
    """Start the product and make the film."""
    film = full if form is Form.FULL else FILM_SHORT
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as folder:
        kind = (MBPS, KEYFRAME_EVERY)
        seconds = round(film.minutes * 60)
        path = await asyncio.to_thread(make_film, Path(folder), film.size, seconds, kind)
        workers = {"cluster_media_workers": str(WORKERS)}
        options = {"limits_rates_enabled": "false", **workers, **LONG_LOGINS}
        async with products(**options) as product, aiohttp.ClientSession() as http:
            owner = await register(http, product.url)
            stage = Stage(http, product, owner, {"film": path})

            async def undisturbed(_form: Form) -> Answer:
                return await measure(stage, leave_alone)

            async def killed(_form: Form) -> Answer:
                wait = wait_for_workers if film.is_shared else wait_for_clock
                return await measure(stage, partial(kill_workers, wait))

            yield {"undisturbed": undisturbed, "killed": killed}


async def measure(
    stage: Stage, disturb: Callable[[WorkerWatch], Coroutine[None, None, None]]
) -> Answer:
    """Upload the film and wait until it is ready; then describe it and delete it."""
    watch = WorkerWatch(stage.product.place.running_settings_file)
    watching = asyncio.create_task(watch.run())
    video, began_s = await upload(stage, stage.films["film"])
    killing = asyncio.create_task(disturb(watch))
    try:
        await wait_until_ready(stage, video["id"])
        wall_s = time.monotonic() - began_s
    finally:
        killing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await killing
        watching.cancel()
    cpu_s = watch.count_cpu_s()
    folder = (stage.product.settings.home / "objects").resolve()
    work = await asyncio.to_thread(describe_work, f"file://{folder}", video["id"])
    await remove(stage, video["id"])
    figures = {CPU: cpu_s, "wall_s": wall_s, "kills": float(watch.kills)}
    return Answer(figures, work)


async def leave_alone(_watch: WorkerWatch) -> None:
    """Kill nobody."""


async def kill_workers(wait: Callable[[WorkerWatch], Awaitable[None]], watch: WorkerWatch) -> None:
    """Kill one of the workers that live at the moment, again and again."""
    chance = random.Random(SEED)  # which one is no secret
    while True:
        await wait(watch)
        victims = watch.list_workers()
        if victims:
            watch.note_kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(victims), signal.SIGKILL)


async def wait_for_clock(_watch: WorkerWatch) -> None:
    """Five seconds."""
    await asyncio.sleep(KILL_EVERY_S)


async def wait_for_workers(watch: WorkerWatch) -> None:
    """Until the workers have used what they could in five seconds with a core for each."""
    until_s = watch.count_cpu_s() + KILL_EVERY_S * WORKERS
    while watch.count_cpu_s() < until_s:
        await asyncio.sleep(LOOK_EVERY_S)


async def wait_until_ready(stage: Stage, video_id: str) -> None:
    """Ask until the video is ready; one that failed fails the run."""
    place = f"{stage.product.url}/v1/videos/{video_id}"
    async with asyncio.timeout(PATIENCE_S):
        while True:
            status, video = await call(stage.http, "GET", place, headers=stage.owner.headers)
            assert status != 401, "the login ended"
            assert status != 200 or video["status"] != "failed", video
            if status == 200 and video["status"] == "ready":
                return
            await asyncio.sleep(ASK_EVERY_S)


def describe_work(store_url: str, video_id: str) -> str:
    """Count and hash all that was made of a video; its names hold no ids."""
    store = ObjectStore.open(store_url)
    prefix = video_prefix(video_id)
    names = sorted(entry.key[len(prefix) + 1 :] for entry in store.list_sync(prefix))
    names = [name for name in names if not name.startswith(NOT_MADE)]
    digest = hashlib.sha256()
    for name in names:
        data = store.get_sync(f"{prefix}/{name}")
        digest.update(f"{name} {hashlib.sha256(data).hexdigest()}\n".encode())
    tracks = sorted(name.partition("/")[0] for name in names if name.endswith(f"/{INIT_NAME}"))
    frames, times = 0, hashlib.sha256()
    for track in tracks:
        data = b"".join(
            store.get_sync(f"{prefix}/{name}")
            for name in sorted(names, key=lambda name: (not name.endswith(INIT_NAME), name))
            if name.startswith(f"{track}/")
        )
        with cast("InputContainer", av.open(io.BytesIO(data))) as container:
            stamps = [packet.pts for packet in container.demux() if packet.size]
        frames += len(stamps)
        times.update(f"{track} {stamps}\n".encode())
    return (
        f"{frames} samples of {', '.join(tracks)}, times {times.hexdigest()[:16]}; "
        f"{len(names)} objects, bytes {digest.hexdigest()[:16]}"
    )
