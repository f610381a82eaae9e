"""Media tasks as Ray tasks: results, progress, our own errors, deadlines, cancelling, deaths."""

import asyncio
import os
import signal
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest
import ray

from media.pool import (
    MEDIA_TASKS,
    MediaPool,
    MediaTaskCancelled,
    MediaTaskTooSlow,
    MediaWorkerLost,
    Slots,
    task_key,
)
from media.pool_worker import Task
from media.vod.plan import PlanOrder, PlanTask, TranscodePlan, plan_video
from media.vod.probe import ProbeJob, probe_file
from media.vod.publish import publish
from media.vod.recipe import EXTRA_CODECS, Recipe
from media.vod.records import Progress, TaskRecord, record_key
from media.vod.source import MediaUnreadable
from media.vod.take_in import SourcePart, TakeInJob
from media.vod.task_jobs import ChunkJob, get_job
from media.vod.titles import apply_looks, awaits_looks
from media.vod.transcode import iter_chunk
from storage.objects import ObjectStore
from tests.media.vod.clips import (
    SOURCE_KEY,
    VIDEO_ID,
    Made,
    Shot,
    read_number,
    run_ffmpeg,
    write_numbered,
)
from tests.ray_node import lend_ray

pytestmark = [pytest.mark.ray, pytest.mark.beside, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Order:
    """What these tasks are told."""

    task_id: str = "t"
    video_id: str = "v"


def describe_process(order: Order, store: ObjectStore) -> tuple[int, int]:
    store.put_sync("seen/by-task", b"yes")
    return os.getpid(), os.getpriority(os.PRIO_PROCESS, 0)


def count_to_three(order: Order, store: ObjectStore) -> Iterator[Progress]:
    for number in range(1, 4):
        yield Progress(order.task_id, number, 3)
    return "counted"


def refuse(order: Order, store: ObjectStore) -> None:
    raise MediaUnreadable("The file is empty.", size_bytes=0)


def end_own_process(order: Order, store: ObjectStore) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def never_end(order: Order, store: ObjectStore) -> Iterator[Progress]:
    yield Progress(order.task_id, 1, 2)
    while True:
        time.sleep(0.05)


def hoard(order: Order, store: ObjectStore) -> int:
    return len(bytes(1 << 40))


def find_pid() -> int:
    return os.getpid()


WORKERS_MAX = 4


def make_chunk_among(workers: int) -> Task:
    """Make chunks in as many processes as that: none begins before all of them are there."""

    def make_chunk(job: ChunkJob, store: ObjectStore) -> Generator[Progress, None, TaskRecord]:
        store.put_sync(f"workers/{os.getpid()}", b"here")
        end_s = time.monotonic() + 90
        while len(list(store.list_sync("workers"))) < workers and time.monotonic() < end_s:
            time.sleep(0.02)
        return (yield from iter_chunk(job, store))

    return make_chunk


TASKS = {
    "describe": describe_process,
    "count": count_to_three,
    "refuse": refuse,
    "die": end_own_process,
    "never": never_end,
    "hoard": hoard,
}


@pytest.fixture(scope="module")
def ray_node() -> Iterator[None]:
    """Start a small Ray that knows our packages."""
    with lend_ray(media=WORKERS_MAX):
        ray.cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["x"]))
        yield


@pytest.fixture
def media_pool(ray_node: None, tmp_path: Path) -> MediaPool:
    """Lend a pool of the product's own tasks."""
    return MediaPool(f"file://{tmp_path}")


@pytest.fixture
def pool(ray_node: None, tmp_path: Path) -> MediaPool:
    return MediaPool(f"file://{tmp_path}", TASKS)


async def test_a_task_runs_nicely_in_another_process_with_the_store(
    pool: MediaPool, tmp_path: Path
):
    pid, niceness = await pool.run("describe", Order())
    assert pid != os.getpid()
    assert niceness == 19
    assert (tmp_path / "seen/by-task").read_bytes() == b"yes"
    assert await pool.count_slots() == Slots(media=WORKERS_MAX)


async def test_other_work_never_gets_the_process_of_a_media_task(pool: MediaPool):
    pid, _ = await pool.run("describe", Order())
    assert await ray.remote(find_pid).options(num_cpus=1).remote() != pid


async def test_progress_arrives_in_order_before_the_result(pool: MediaPool):
    seen: list[Progress] = []
    assert await pool.run("count", Order(), on_progress=seen.append) == "counted"
    assert [(p.done, p.total) for p in seen] == [(1, 3), (2, 3), (3, 3)]


async def test_a_refusal_comes_back_as_itself(pool: MediaPool):
    with pytest.raises(MediaUnreadable, match="empty") as caught:
        await pool.run("refuse", Order())
    assert type(caught.value) is MediaUnreadable or caught.value.code == "media_unreadable"
    assert caught.value.text == "The file is empty."
    assert not caught.value.retryable


async def test_a_task_that_needs_too_much_memory_is_refused_and_its_worker_goes_on(
    pool: MediaPool,
):
    pid, _ = await pool.run("describe", Order())
    with pytest.raises(MediaUnreadable, match="more memory"):
        await pool.run("hoard", Order())
    assert (await pool.run("describe", Order()))[0] == pid


async def test_a_dead_worker_is_a_retryable_error_and_the_pool_lives_on(pool: MediaPool):
    with pytest.raises(MediaWorkerLost) as caught:
        await pool.run("die", Order())
    assert caught.value.retryable
    assert await pool.run("count", Order()) == "counted"


async def test_a_task_past_its_deadline_is_ended_and_frees_its_slot(pool: MediaPool):
    slots = [pool.run("never", Order(f"t{n}"), deadline_s=6) for n in range(WORKERS_MAX)]
    ends = await asyncio.gather(*slots, return_exceptions=True)
    assert [type(end) for end in ends] == [MediaTaskTooSlow] * WORKERS_MAX
    assert await pool.run("count", Order(), deadline_s=60) == "counted"


async def test_cancelling_by_key_ends_the_task(pool: MediaPool):
    started = asyncio.Event()
    order = Order(task_id="long", video_id="v7")
    running = asyncio.create_task(pool.run("never", order, on_progress=lambda _: started.set()))
    await started.wait()
    assert await pool.cancel(task_key(order, "never"))
    with pytest.raises(MediaTaskCancelled):
        await running
    assert not await pool.cancel("v7/long")
    assert await pool.run("count", Order(), deadline_s=60) == "counted"


async def test_closing_the_pool_cancels_what_runs(pool: MediaPool):
    started = asyncio.Event()
    running = asyncio.create_task(pool.run("never", Order(), on_progress=lambda _: started.set()))
    await started.wait()
    await pool.close()
    with pytest.raises(MediaTaskCancelled):
        await running


async def test_an_upload_goes_through_all_tasks_to_a_playable_video(
    media_pool: MediaPool, tmp_path: Path
):
    store = ObjectStore.open(f"file://{tmp_path}")
    clip = write_numbered(tmp_path / "clip.mp4", [Fraction(n, 30) for n in range(60)])
    data = clip.read_bytes()
    halves = data[: len(data) // 2], data[len(data) // 2 :]
    keys = tuple(f"uploads/u/{n:016d}" for n in range(2))
    for key, half in zip(keys, halves, strict=True):
        store.put_sync(key, half)
    parts = tuple(SourcePart(key, len(half)) for key, half in zip(keys, halves, strict=True))
    taken = await media_pool.run("take_in", TakeInJob(VIDEO_ID, parts, SOURCE_KEY, len(data)))
    assert taken.joined.size_bytes == len(data)
    info = await media_pool.run("probe", ProbeJob(VIDEO_ID, SOURCE_KEY))
    assert taken.info == info
    plan = plan_video(info, PlanOrder(VIDEO_ID, SOURCE_KEY))
    seen: list[Progress] = []
    records = {
        task.task_id: await media_pool.run(
            task.kind, get_job(plan, task.task_id), on_progress=seen.append
        )
        for task in plan.tasks
    }
    assert publish(plan, records).is_playable
    assert seen == [Progress("first-00000", 1, 1)]
    frames = Made(plan, records, store).frames_of("108p")
    assert [read_number(frame) for frame in frames] == list(range(60))


async def test_an_upload_with_a_part_missing_is_refused(media_pool: MediaPool, tmp_path: Path):
    ObjectStore.open(f"file://{tmp_path}").put_sync("uploads/u/0", b"half")
    job = TakeInJob("v", (SourcePart("uploads/u/0", 4),), "sources/v", 8)
    with pytest.raises(MediaUnreadable, match="4 of 8 bytes"):
        await media_pool.run("take_in", job)


async def test_a_running_chunk_can_be_cancelled(media_pool: MediaPool, tmp_path: Path):
    store = ObjectStore.open(f"file://{tmp_path}")
    shot = Shot(width=480, height=360)
    clip = write_numbered(tmp_path / "clip.mp4", [Fraction(n, 30) for n in range(300)], shot)
    store.put_file_sync(SOURCE_KEY, clip)
    info = await media_pool.run("probe", ProbeJob(VIDEO_ID, SOURCE_KEY))
    job = get_job(plan_video(info, PlanOrder(VIDEO_ID, SOURCE_KEY)), "rest-00000")
    started = asyncio.Event()
    running = asyncio.create_task(media_pool.run("chunk", job, on_progress=lambda _: started.set()))
    await started.wait()
    assert await media_pool.cancel(task_key(job, "chunk"))
    with pytest.raises(MediaTaskCancelled):
        await running
    assert not store.exists_sync(record_key(VIDEO_ID, "rest-00000"))


@pytest.mark.parametrize(
    ("size", "length_s", "codecs", "coarser"),
    [("480x320", 26, (), [False, True]), ("192x108", 9, EXTRA_CODECS, [False] * 4)],
    ids=["H.264", "every codec"],
)
async def test_the_bytes_do_not_depend_on_how_many_worker_processes_share_the_tasks(
    ray_node: None,
    tmp_path: Path,
    size: str,
    length_s: int,
    codecs: tuple[str, ...],
    coarser: list[bool],
):
    clip = tmp_path / "clip.mp4"
    sources = (f"testsrc2=s={size}:r=5:d={length_s}", f"sine=d={length_s}")
    run_ffmpeg(
        *(word for source in sources for word in ("-f", "lavfi", "-i", source)),
        *("-c:v", "mpeg4", "-q:v", "2", "-g", "20", "-c:a", "aac", clip),
    )
    order = PlanOrder(VIDEO_ID, SOURCE_KEY, Recipe(codecs=codecs))
    plan = plan_video(probe_file(clip), order, segments_max=1)
    made = [await share_tasks(plan, clip, tmp_path / str(n), n) for n in (1, 2, WORKERS_MAX)]
    for plan, _sums in made:
        rungs = [rung for group in plan.groups for rung in group.rungs]
        assert [rung.coarser > 0 for rung in rungs] == coarser
    sums = [sums for _plan, sums in made]
    assert len(sums[0]) > 3 * 7
    assert sums[0] == sums[1] == sums[2]


async def share_tasks(
    plan: TranscodePlan, clip: Path, folder: Path, workers: int
) -> tuple[TranscodePlan, dict[str, str]]:
    """Run a plan's tasks by so many workers at a time; return the sum of every object made.

    As the coordinator does, finer pictures wait for what the quality task says.
    """
    store = ObjectStore.open(f"file://{folder}")
    store.put_file_sync(SOURCE_KEY, clip)
    tasks = {**MEDIA_TASKS, "chunk": make_chunk_among(workers)}
    pool = MediaPool(f"file://{folder}", tasks)
    is_looked_at = any(task.kind == "quality" for task in plan.tasks)
    waits = {task.task_id for task in plan.tasks if is_looked_at and awaits_looks(plan, task)}
    records: dict[str, TaskRecord] = {}

    async def work(left: list[PlanTask]) -> None:
        while left:
            task = left.pop()
            records[task.task_id] = await pool.run(task.kind, get_job(plan, task.task_id))

    for is_waiting in (False, True):
        left = [task for task in plan.tasks if (task.task_id in waits) is is_waiting]
        # Another order for each, as free workers would take them.
        left.sort(key=lambda task: sha256(f"{workers}{task}".encode()).digest())
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work(left))
        if is_looked_at:
            plan = apply_looks(plan, records["quality"].looks)
    assert len(list(store.list_sync("workers"))) >= workers
    keys = [entry.key for entry in store.list_sync(f"videos/{VIDEO_ID}")]
    return plan, {key: sha256(store.get_sync(key)).hexdigest() for key in keys}
