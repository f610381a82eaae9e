"""The media pool: runs the plain functions of media/vod as Ray tasks, at the lowest priority.

The one file of media that knows Ray. The job runner holds the queue and submits no more than the
free slots; retries are its own. A task's arguments are plain data: never bytes of media, never
secrets. It reads no job tables.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import ray
import ray.exceptions
from ray.core.generated import gcs_pb2

from kit.errors import AppError
from kit.logs import get_log
from media.live.joining import join_parts
from media.live.pictures import make_live_storyboard, make_live_thumbnails
from media.live.recorded_aac import iter_recorded_aac
from media.live.recorded_preview import make_live_preview
from media.live.recorded_rungs import iter_recorded_rungs
from media.pool_worker import Result, Task, run_task
from media.vod.head_start import iter_head_start, look_ahead
from media.vod.ladder import NVENC
from media.vod.preview import make_preview
from media.vod.probe import probe_source
from media.vod.quality import measure_quality
from media.vod.records import Progress
from media.vod.rung_groups import needs_nvenc
from media.vod.storyboard import make_storyboard
from media.vod.take_in import take_in_source
from media.vod.task_jobs import ChunkJob
from media.vod.thumbnails import make_thumbnails
from media.vod.transcode import iter_audio, iter_chunk, iter_copy
from media.vod.waveform import make_cover, make_waveform
from storage.objects import ObjectStore

log = get_log("media")

DEADLINE_S = 1800.0
COUNT_TIMEOUT_S = 3.0
STOP_S = 5.0
"""A cancelled task may take so long to notice; then its process is ended."""
WORKER_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "SVT_LOG": "1"}
"""SVT-AV1 tells errors alone, not its settings with every chunk. Ray keeps workers of another
environment apart: no actor inherits a process at nice 19."""
LOST = (
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.LocalRayletDiedError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.ObjectLostError,
    ray.exceptions.OwnerDiedError,
    ray.exceptions.RuntimeEnvSetupError,
)
"""What befalls the process or its node, not the task."""

OnProgress = Callable[[Progress], None]


class MediaWorkerLost(AppError):
    """The process that ran the task died; nothing it acknowledged is lost."""

    code, status, message = "media_worker_lost", 503, "A media worker stopped; it is tried again."
    retryable = True


class MediaTaskTooSlow(AppError):
    """The task did not end within its deadline and was stopped."""

    code, status, message = "media_task_too_slow", 503, "Processing took too long."
    retryable = True


class MediaTaskCancelled(AppError):
    """Someone called `cancel` for the task."""

    code, status, message = "media_task_cancelled", 409, "Processing was cancelled."


def do_nothing(_payload: None, _store: ObjectStore) -> None:
    """Whoever runs it has started and imported all that a task needs, and waits for a minute."""


WARM_UP = "warm_up"
MEDIA_TASKS: Mapping[str, Task] = {
    WARM_UP: do_nothing,
    "take_in": take_in_source,
    "probe": probe_source,
    "thumbnails": make_thumbnails,
    "storyboard": make_storyboard,
    "preview": make_preview,
    "quality": measure_quality,
    "live_thumbnails": make_live_thumbnails,
    "live_storyboard": make_live_storyboard,
    "live_preview": make_live_preview,
    "live_join": join_parts,
    "live_aac": iter_recorded_aac,
    "live_rungs": iter_recorded_rungs,
    "audio": iter_audio,
    "chunk": iter_chunk,
    "head_start": iter_head_start,
    "quality_ahead": look_ahead,
    "copy": iter_copy,
    "cover": make_cover,
    "waveform": make_waveform,
}
"""Each takes its payload and the store; one that yields Progress returns its result at the end."""


@dataclass(frozen=True)
class Slots:
    """How many tasks run at a time, and how many of them by a GPU's encoder."""

    media: int
    nvenc: int = 0


@dataclass
class _Running:
    """A submitted task; `ended` is set when its `run` has left."""

    stream: ray.ObjectRefGenerator
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    is_cancelled: bool = False


class MediaPool:
    """Submits media tasks and awaits them; owns what it submitted until `close`."""

    def __init__(self, store_url: str, tasks: Mapping[str, Task] = MEDIA_TASKS) -> None:
        self._store_url = store_url
        self._tasks = tasks
        self._running: dict[str, _Running] = {}
        self._remote = ray.remote(run_task)

    async def run(
        self,
        task_name: str,
        payload: Any,
        *,
        on_progress: OnProgress | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> Any:
        """Run one task and return its result; waiting for a free slot counts as running.

        Raises the task's own AppError, or MediaWorkerLost, MediaTaskTooSlow, MediaTaskCancelled.
        Cancelling the caller ends the task's process.
        """
        key = task_key(payload, task_name)
        assert key not in self._running, f"{key} is already running"
        stream = self._remote.options(
            name=f"media:{task_name}",
            resources=decide_resources(payload),
            num_cpus=0,
            max_retries=0,
            num_returns="streaming",
            runtime_env={"env_vars": WORKER_ENVIRONMENT},
        ).remote(self._tasks[task_name], payload, self._store_url)
        running = self._running[key] = _Running(stream)
        try:
            async with asyncio.timeout(deadline_s):
                return await _follow(running, on_progress)
        except TimeoutError as error:
            ray.cancel(stream, force=True)
            await _await_end(stream)
            raise MediaTaskTooSlow(task=key, deadline_s=deadline_s) from error
        except asyncio.CancelledError:
            ray.cancel(stream, force=True)
            raise
        finally:
            del self._running[key]
            running.ended.set()

    async def count_slots(self) -> Slots | None:
        """Return how many tasks all nodes run at a time; None while Ray does not say."""
        if not ray.is_initialized():
            return None  # asking would start one
        # Not ray.cluster_resources(): a head that comes back anew answers that with a refusal, on
        # which Ray's own library ends the process. This client raises instead.
        control = cast("Any", ray)._private.worker.global_worker.gcs_client
        try:
            nodes = await asyncio.to_thread(control.get_all_node_info, timeout=COUNT_TIMEOUT_S)
        except (ray.exceptions.RayError, OSError, RuntimeError) as error:
            log.info("media.slots_not_counted", error=repr(error)[:300])
            return None
        alive = [
            node for node in nodes.values() if node.state == cast("Any", gcs_pb2).GcsNodeInfo.ALIVE
        ]
        media, nvenc = (
            int(sum(node.resources_total.get(name, 0) for node in alive))
            for name in ("media", NVENC)
        )
        return Slots(media, nvenc)

    async def cancel(self, key: str) -> bool:
        """Stop the task with this `task_key`; False when it is not running here.

        It may finish the frame at hand; one that does not stop in 5 s loses its process.
        """
        running = self._running.get(key)
        if running is None:
            return False
        running.is_cancelled = True
        ray.cancel(running.stream, force=False)
        try:
            async with asyncio.timeout(STOP_S):
                await running.ended.wait()
        except TimeoutError:
            ray.cancel(running.stream, force=True)
            await running.ended.wait()
        return True

    async def close(self) -> None:
        """Cancel everything that still runs."""
        await asyncio.gather(*(self.cancel(key) for key in list(self._running)))


def decide_resources(payload: Any) -> dict[str, float]:
    """What a task takes of its node: a media slot, and a GPU's encoder where its rungs name it."""
    rungs = payload.rungs if isinstance(payload, ChunkJob) else ()
    return {"media": 1, NVENC: 1} if needs_nvenc(rungs) else {"media": 1}


def task_key(payload: Any, task_name: str) -> str:
    """Names a running task: its video and its task id, as far as the payload has them."""
    video_id = getattr(payload, "video_id", "")
    return f"{video_id}/{getattr(payload, 'task_id', task_name)}"


async def _await_end(stream: ray.ObjectRefGenerator) -> None:
    """Wait until a task that was ended by force has left its process, no longer than `STOP_S`.

    Ray asks again after 2 s where the task was only about to begin, and ends the process of
    whatever task runs there by then.
    """
    with contextlib.suppress(ray.exceptions.RayError, TimeoutError):
        async with asyncio.timeout(STOP_S):
            async for reference in stream:
                await reference


async def _follow(running: _Running, on_progress: OnProgress | None) -> Any:
    """Await a task's stream to its end, in the words of our own errors."""
    try:
        async for reference in running.stream:
            step = await reference
            if isinstance(step, Result):
                return step.value
            if on_progress is not None:
                on_progress(cast("Progress", step))
    except ray.exceptions.RayError as error:
        if running.is_cancelled or isinstance(error, ray.exceptions.TaskCancelledError):
            raise MediaTaskCancelled from error
        if isinstance(error, LOST):
            log.warning("media.worker_lost", reason=type(error).__name__)
            raise MediaWorkerLost(reason=type(error).__name__) from error
        if isinstance(error, ray.exceptions.RayTaskError) and isinstance(error.cause, AppError):
            raise error.cause from error
        raise
    raise MediaWorkerLost(reason="the stream ended without a result")
