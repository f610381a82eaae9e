"""The coordinator of one video's pieces of work: which runs next, what came of it.

The processing jobs run one per video, uploaded or recorded. Pieces and results are rows, so a
restarted runner goes on where the last one was; a lost worker costs the step it was at. Order and
progress are decided here; `MediaQueue` bounds how many pieces run at once over all videos.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Protocol, TypeVar

import msgspec
import orjson

from actors.job_runner.media_queue import MediaRank
from actors.job_runner.ports import JobPorts
from kit.errors import AppError
from kit.logs import get_log
from media.vod.info import encode_json
from media.vod.plan import QUALITY, PlanTask, TranscodePlan
from media.vod.records import Progress, TaskRecord
from media.vod.source import MediaUnreadable
from media.vod.titles import awaits_looks
from serve_apps.videos.attempts import (
    Ending,
    count_attempt,
    decide_ending,
    decide_pause_s,
    explain,
    has_failed,
)
from serve_apps.videos.preparing import VideoVanished
from serve_apps.videos.progress import (
    PaceMeter,
    Standing,
    decide_progress,
    publish_status,
)
from serve_apps.videos.work import Work, decide_rank, make_work, needs_gpu, revise_plan
from storage import video_chunks, video_plans, videos
from storage.database import Connection
from storage.video_chunks import Tries

log = get_log("videos")
T = TypeVar("T")

PUBLISH_EVERY_S = 0.5
LOOK_EVERY_S = 2.0
SAVE_PATIENCE_S = 120.0
"""How long a finished piece waits for the database to take its result."""
SAVE_PAUSE_S = 0.5


class TranscodeFailed(AppError):
    """A piece failed as often as it may."""

    code, status, message = "transcode_failed", 500, "The video could not be converted."


class EncoderAway(AppError):
    """A piece is for a GPU's encoder, and no machine has one any more."""

    code, status, message = "encoder_away", 503, "No GPU encodes at the moment."
    retryable = True


class Making(Protocol):
    """Where the state of what is being made is kept, and how soon the queue takes it."""

    rank_min: MediaRank

    async def save_progress(
        self, connection: Connection, progress: float, *, is_playable: bool
    ) -> bool:
        """Remember how far it is (0 to 1); False when it is no longer wanted."""
        ...

    async def save_plan(self, connection: Connection, plan: TranscodePlan) -> None:
        """Store what the plan has become."""
        ...

    async def publish(self, ports: JobPorts, standing: Standing) -> None:
        """Tell who follows it."""
        ...


class FirstMaking:
    """A video nobody could watch before: its state is the video's own."""

    rank_min = MediaRank.LOOK

    def __init__(self, video_id: uuid.UUID) -> None:
        self._video_id = video_id

    async def save_progress(
        self, connection: Connection, progress: float, *, is_playable: bool
    ) -> bool:
        """Remember how far it is, and since when it plays."""
        return await videos.set_progress(
            connection, self._video_id, progress, is_playable=is_playable
        )

    async def save_plan(self, connection: Connection, plan: TranscodePlan) -> None:
        """Store what the plan has become."""
        await video_plans.revise_plan(connection, self._video_id, orjson.loads(encode_json(plan)))

    async def publish(self, ports: JobPorts, standing: Standing) -> None:
        """Tell who waits for the video."""
        await publish_status(ports.cache, self._video_id, standing)


class Transcoding:
    """Runs what is left to do of one video; made anew for every try of the job."""

    def __init__(self, ports: JobPorts, video: videos.Video, work: Work, making: Making) -> None:
        self._ports = ports
        self._making = making
        self._video_id = video.id
        self._owner = str(video.owner_id)
        self._todo = work
        self._tasks = {task.task_id: task for task in work.tasks}
        self._workload = work.workload
        self._fractions: dict[str, float] = {}
        self._steps: dict[str, int] = {}
        self._running: set[str] = set()
        self._left: list[str] = []
        self._changed = asyncio.Event()
        self._looked = asyncio.Event()

    @property
    def plan(self) -> TranscodePlan | None:
        """What the plan has become; None of a recording."""
        return self._todo.plan

    async def run(self) -> None:
        """Do all that is left; raises TranscodeFailed, EncoderAway, or that it cannot be done."""
        await self._load()
        self._pace = PaceMeter(self._workload, self._measure(), self._ports.clock.monotonic_s())
        try:
            async with asyncio.TaskGroup() as group:
                reporter = group.create_task(self._report(), name="video-progress")
                await self._work_through()
                reporter.cancel()
        except ExceptionGroup as group:
            # Not `except*`: before Python 3.11.4 what that raises comes out wrapped once more.
            failures, others = group.split(AppError)
            if failures is None or others is not None:
                raise
            raise _choose(failures) from failures
        await self._save_progress()

    async def _work_through(self) -> None:
        """As many pieces at a time as there are places; with none, one that waits for a place."""
        places = max(1, self._ports.media.slots_max)
        async with asyncio.TaskGroup() as group:
            for _worker in range(min(places, len(self._left))):
                group.create_task(self._work())

    async def _load(self) -> None:
        """Read which pieces are done, and queue the others in the plan's order."""
        async with self._ports.database.transaction() as connection:
            await video_chunks.reset_running_chunks(connection, self._video_id)
            chunks = await video_chunks.list_chunks(connection, self._video_id)
        for chunk in chunks:
            if chunk.name not in self._tasks:
                continue  # of another version
            if chunk.state == "failed":
                raise TranscodeFailed(piece=chunk.name)
            if chunk.state == "done":
                self._fractions[chunk.name] = 1.0
            else:
                self._left.append(chunk.name)
        if not any(self._tasks[name].kind == QUALITY for name in self._left):
            self._looked.set()
        self._changed.set()

    async def _take(self) -> PlanTask | None:
        """The next piece that may be made by now; None when none is left."""
        while self._left:
            for name in self._left:
                if not self._is_held(self._tasks[name]):
                    self._left.remove(name)
                    return self._tasks[name]
            await self._looked.wait()
        return None

    def _is_held(self, task: PlanTask) -> bool:
        """Whether it waits until the quality task has said how fine it is to be."""
        plan = self._todo.plan
        return not self._looked.is_set() and plan is not None and awaits_looks(plan, task)

    async def _work(self) -> None:
        while (task := await self._take()) is not None:
            self._running.add(task.task_id)
            try:
                record = await self._run_until_done(task)
            finally:
                self._running.discard(task.task_id)
            await self._keep_trying(partial(self._save_result, task, record))
            if (plan := revise_plan(self._todo, task, record)) is not None:
                self._todo = make_work(plan)
                self._workload = self._todo.workload
                self._looked.set()
            self._fractions[task.task_id] = 1.0
            self._changed.set()

    async def _run_until_done(self, task: PlanTask) -> TaskRecord:
        """Run one piece, again after a failure until it has failed too often."""
        rank = max(decide_rank(self._todo, task), self._making.rank_min)
        while True:
            done = await self._keep_trying(partial(self._save_start, task))
            if done is not None:
                return done
            if needs_gpu(self._todo, task) and self._ports.media.nvenc_slots == 0:
                raise EncoderAway(piece=task.task_id)
            try:
                record: TaskRecord = await self._ports.media.run(
                    task.kind,
                    self._todo.get_job(task.task_id),
                    rank=rank,
                    owner=self._owner,
                    on_progress=self._note_progress,
                )
            except MediaUnreadable:
                if task.is_needed:
                    raise  # what the file itself makes impossible stays so
                return self._leave_out(task)
            except Exception as error:
                ending = decide_ending(error)
                tries = await self._count_attempt(task, error, ending)
                if has_failed(tries) and not task.is_needed:
                    return self._leave_out(task)
                if has_failed(tries):
                    reason = explain(tries, self._todo.get_job(task.task_id))
                    raise TranscodeFailed(reason, piece=task.task_id) from error
                await asyncio.sleep(decide_pause_s(tries, ending))
            else:
                return record

    def _leave_out(self, task: PlanTask) -> TaskRecord:
        """Return the record of a piece that cannot be made, and that the video is whole without."""
        log.warning("video.piece_left_out", video_id=str(self._video_id), piece=task.task_id)
        return TaskRecord(task.task_id)

    async def _count_attempt(self, task: PlanTask, error: Exception, ending: Ending) -> Tries:
        """Count an attempt in vain and tell of it; a lost worker has no traceback to show."""
        tries = await self._keep_trying(partial(self._save_tries, task, error, ending))
        is_loss = ending is Ending.LOST
        log.warning(
            "video.worker_lost" if is_loss else "video.piece_failed",
            video_id=str(self._video_id),
            piece=task.task_id,
            attempts=tries.attempts,
            losses=tries.losses,
            steps=tries.steps,
            exc_info=None if is_loss else error,
        )
        return tries

    def _note_progress(self, progress: Progress) -> None:
        self._steps[progress.task_id] = max(progress.done, self._steps.get(progress.task_id, 0))
        if progress.total > 0 and self._fractions.get(progress.task_id) != 1.0:
            self._fractions[progress.task_id] = min(0.99, progress.done / progress.total)
            self._changed.set()

    async def _save_start(self, task: PlanTask, connection: Connection) -> TaskRecord | None:
        """Mark the piece as running; return its record when another runner has done it."""
        if await video_chunks.start_chunk(connection, self._video_id, task.task_id):
            return None
        chunk = await video_chunks.find_chunk(connection, self._video_id, task.task_id)
        if chunk is None or chunk.state in ("pending", "running"):
            raise VideoVanished  # deleted, or stopped by its owner
        if chunk.state == "failed":
            raise TranscodeFailed(piece=chunk.name)
        return msgspec.convert(chunk.result, TaskRecord)

    async def _save_tries(
        self, task: PlanTask, error: Exception, ending: Ending, connection: Connection
    ) -> Tries:
        before = await video_chunks.lock_tries(connection, self._video_id, task.task_id)
        tries = count_attempt(before or Tries(), ending, self._steps.get(task.task_id, 0))
        text = error.code if isinstance(error, AppError) else f"{type(error).__name__}: {error}"
        await video_chunks.save_tries(
            connection,
            (self._video_id, task.task_id),
            tries,
            text[:500],
            is_last=has_failed(tries) and task.is_needed,
        )
        return tries

    async def _save_result(
        self, task: PlanTask, record: TaskRecord, connection: Connection
    ) -> None:
        """Record a piece, and in the same transaction what it makes possible."""
        await video_chunks.finish_chunk(
            connection, self._video_id, task.task_id, orjson.loads(encode_json(record))
        )
        if record.images:
            await videos.set_thumbnail(connection, self._video_id, record.images[0])
        if record.preview_bytes:
            await videos.set_preview(connection, self._video_id)
        if (plan := revise_plan(self._todo, task, record)) is not None:
            await self._making.save_plan(connection, plan)
        if record.left_out:
            await videos.note_left_out(connection, self._video_id, record.left_out)
        await self._making.save_progress(
            connection,
            self._measure(),
            is_playable=self._workload.opening <= self._list_done() | {task.task_id},
        )

    async def _keep_trying(self, save: Callable[[Connection], Awaitable[T]]) -> T:
        """Write in a transaction of its own, waiting out a database that is away for a while."""
        clock = self._ports.clock
        give_up_s = clock.monotonic_s() + SAVE_PATIENCE_S
        while True:
            try:
                async with self._ports.database.transaction() as connection:
                    return await save(connection)
            except AppError as error:
                if not error.retryable or clock.monotonic_s() > give_up_s:
                    raise
            await asyncio.sleep(SAVE_PAUSE_S)

    def _list_done(self) -> set[str]:
        """Return the pieces whose results are saved."""
        return {name for name, fraction in self._fractions.items() if fraction == 1.0}

    def _measure(self) -> float:
        return decide_progress(self._workload.shares, self._fractions)

    async def _report(self) -> None:
        """Publish and save the progress, at most twice a second; see if it is still wanted."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._save_progress()
            except VideoVanished:
                raise  # deleted or cancelled: whatever still runs for it is stopped
            except AppError as error:
                log.info("video.progress_unsaved", code=error.code)
            await asyncio.sleep(PUBLISH_EVERY_S)

    async def _save_progress(self) -> None:
        progress = self._measure()
        pace = self._pace.measure(progress, self._running, self._ports.clock.monotonic_s())
        standing = Standing("processing", progress, pace=pace)
        await self._making.publish(self._ports, standing)
        async with self._ports.database.transaction() as connection:
            # Again here: two pieces saved at once do not see each other above.
            is_playable = self._workload.opening <= self._list_done()
            is_wanted = await self._making.save_progress(
                connection, progress, is_playable=is_playable
            )
        if not is_wanted:
            raise VideoVanished


def _choose(failures: BaseExceptionGroup[AppError]) -> AppError:
    """Return the failure that tells the owner most."""
    flat = list(_flatten(failures))
    for kind in (MediaUnreadable, VideoVanished, TranscodeFailed, EncoderAway):
        for error in flat:
            if isinstance(error, kind):
                return error
    return flat[0]


def _flatten(failures: BaseExceptionGroup[AppError]) -> Iterator[AppError]:
    for failure in failures.exceptions:
        if isinstance(failure, BaseExceptionGroup):
            yield from _flatten(failure)
        else:
            yield failure
