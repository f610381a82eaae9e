"""One round: the same chunks through the pool, by one worker or by two, or by one ffmpeg command.

Ray has the settings that the product gives it, but for its own tokens and no TLS. What counts is
every process of it, the driver among them; what its workers used is the work. Of the rest, what the
same processes use in as much time without work is Ray's standing cost, and what is above it is
scheduling. A worker that ended meanwhile would not be counted: the round fails then. Others of
Ray's own may end: what they used is next to nothing.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import psutil

from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from benchmarks.vod_ladder.rounds import build_command, make_source, plan_source
from benchmarks.vod_ladder.rounds import measure as measure_command
from cluster.environment import RAY_FIXED, THRIFT
from media.pool import MediaPool
from media.vod.plan import Chunk, TranscodePlan, list_pieces_of
from media.vod.task_jobs import AudioJob, ChunkJob, get_job
from storage.objects import ObjectStore
from tests.ray_node import lend_ray

CHUNKS, CHUNK_SEGMENTS, CHUNK_SEGMENTS_SHORT = 2, 6, 1
CPU, WALL, OVERHEAD, STANDING, IDLE, MEMORY = (
    "cpu_s_per_minute",
    "wall_s",
    "scheduling_percent",
    "standing_percent",
    "idle_before_percent",
    "worker_peak_rss_mb",
)
ONE, TWO = "one worker", "two workers"
IDLE_LOOK_S = 2.0
STANDING_LOOK_S = 15.0
"""The kernel counts processor time in hundredths of a second."""
SOURCE_KEY = "source"


@asynccontextmanager
async def open_pool(form: Form, _products: Products) -> AsyncIterator[Sides]:
    """Make the source, start a Ray with two media workers and warm both; lend the sides."""
    segments = form.choose(CHUNK_SEGMENTS, CHUNK_SEGMENTS_SHORT)
    with (
        tempfile.TemporaryDirectory(prefix="vod-scaling-") as folder,
        set_variables(RAY_FIXED | THRIFT),
        lend_ray(cpus=2, media=2),
    ):
        path = Path(folder) / "source.mp4"
        await asyncio.to_thread(make_source, path, 4 * segments * CHUNKS, form)
        plan = cut_evenly(await asyncio.to_thread(plan_source, path), segments)
        store_url = f"file://{folder}/objects"
        ObjectStore.open(store_url).put_file_sync(SOURCE_KEY, path)
        pool, numbers = MediaPool(store_url), count()
        await asyncio.gather(*(pool.run("chunk", job) for job in list_warming(plan)))
        # What Ray still starts behind the first tasks is not part of a round.
        await asyncio.to_thread(look_idle)

        async def run_pool(workers: int, _form: Form) -> Answer:
            return await measure(pool, plan, workers, f"round-{next(numbers)}")

        async def run_peer(_form: Form) -> Answer:
            idle = await asyncio.to_thread(look_idle)
            words = [sys.executable, "-m", "benchmarks.vod_ladder.rounds"]
            began_s = time.perf_counter()
            answer = await measure_command([*words, *build_command(path, plan)], plan)
            figures = {CPU: answer.figures[CPU], WALL: time.perf_counter() - began_s, IDLE: idle}
            return Answer(figures, describe_work(plan))

        yield {ONE: partial(run_pool, 1), TWO: partial(run_pool, 2), "ffmpeg": run_peer}


@contextmanager
def set_variables(values: Mapping[str, str]) -> Iterator[None]:
    """Have this process, and all that Ray starts, see these variables."""
    before = {name: os.environ.get(name) for name in values}
    os.environ |= values
    yield
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


def cut_evenly(plan: TranscodePlan, segments: int) -> TranscodePlan:
    """The plan in chunks of the same length, without the short ones of a beginning."""
    chunks = tuple(Chunk(n, n * segments, segments) for n in range(CHUNKS))
    sound = [task for task in plan.tasks if task.task_id == plan.audio_track]
    # The larger first, as it decides when all ends.
    pieces = list_pieces_of(tuple(reversed(plan.groups)), chunks)
    return replace(plan, chunks=chunks, tasks=(*pieces, *sound))


def list_warming(plan: TranscodePlan) -> list[ChunkJob]:
    """A short piece of the same kind for each worker."""
    job = get_job(plan, next(task.task_id for task in plan.tasks if task.kind == "chunk"))
    assert isinstance(job, ChunkJob), "a chunk's task has a chunk's job"
    short = Chunk(0, 0, 1)
    return [replace(job, chunk=short, video_id=f"warming-{n}") for n in range(2)]


def describe_work(plan: TranscodePlan) -> str:
    """Say what every side makes."""
    rungs = sum(len(group.rungs) for group in plan.groups)
    return f"{plan.grid.frames} frames in {rungs} rungs"


async def measure(pool: MediaPool, plan: TranscodePlan, workers: int, video_id: str) -> Answer:
    """Have all pieces made, so many at a time; return processor time by kind, and the time."""
    idle = await asyncio.to_thread(look_idle)
    standing_share = await measure_standing()
    left = list(plan.tasks)

    async def work() -> None:
        while left:
            task = left.pop(0)
            job = get_job(plan, task.task_id)
            assert isinstance(job, ChunkJob | AudioJob), "only pictures and sound are planned"
            await pool.run(task.kind, replace(job, video_id=video_id))

    family = list_family()
    makers = {process.pid for process in family if is_media_worker(process)}
    before, began_s = read_cpu_s(family), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())
    wall_s = time.perf_counter() - began_s
    after = read_cpu_s(list_family())
    assert len(makers & after.keys()) >= workers, "a media worker ended within a round"
    used = {pid: cpu_s - before.get(pid, 0.0) for pid, cpu_s in after.items()}
    makers |= {process.pid for process in list_family() if is_media_worker(process)}
    workers_s = sum(used[pid] for pid in makers & used.keys())
    whole_s = sum(used.values())
    minutes = float(plan.grid.duration_s) / 60
    figures = {
        CPU: whole_s / minutes,
        WALL: wall_s,
        OVERHEAD: 100 * (whole_s - workers_s - standing_share * wall_s) / whole_s,
        STANDING: 100 * standing_share * wall_s / whole_s,
        IDLE: idle,
        MEMORY: max(read_peak_mb(pid) for pid in makers & after.keys()),
    }
    return Answer(figures, describe_work(plan), {"CPU seconds by process": add_up(used)})


async def measure_standing() -> float:
    """What all but the media workers use while nothing is to be done, in a share of a core."""
    before = read_cpu_s(list_family())
    await asyncio.sleep(STANDING_LOOK_S)
    family = list_family()
    others = {process.pid for process in family if not is_media_worker(process)}
    after = read_cpu_s(family)
    used_s = sum(after[pid] - before.get(pid, 0.0) for pid in others & after.keys())
    return used_s / STANDING_LOOK_S


def add_up(used: Mapping[int, float]) -> dict[str, float]:
    """Seconds by what a process is called, the most first."""
    found: dict[str, float] = {}
    for pid, cpu_s in used.items():
        try:
            words = psutil.Process(pid).cmdline()
        except psutil.NoSuchProcess:
            continue
        name = Path(words[0].split(" ")[0]).name if words else "?"
        found[name] = found.get(name, 0.0) + cpu_s
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def list_family() -> list[psutil.Process]:
    """This process and all that it started: Ray's, and their workers."""
    return [psutil.Process(), *psutil.Process().children(recursive=True)]


def read_cpu_s(family: Sequence[psutil.Process]) -> dict[int, float]:
    """Processor time of each by its id."""
    found = {}
    for process in family:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        found[process.pid] = times.user + times.system
    return found


def read_peak_mb(pid: int) -> float:
    """The most memory that a process had resident so far, in MB of 10^6 bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None, "Linux says so"
    return int(found.group(1)) * 1024 / 1e6


def is_media_worker(process: psutil.Process) -> bool:
    """Whether it runs tasks of the pool: they alone are nicer than we are."""
    try:
        return process.pid != os.getpid() and process.nice() == 19
    except psutil.NoSuchProcess:
        return False


def look_idle() -> float:
    """Percent of all cores that nobody uses at the moment; takes two seconds."""
    return 100.0 - psutil.cpu_percent(interval=IDLE_LOOK_S)
