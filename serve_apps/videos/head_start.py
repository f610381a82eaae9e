"""Encoding a file while it arrives, so that its video is ready soon after its last byte.

A job per upload looks every few seconds how far it has come and has the pool make the chunks that
are there, behind all other work: of the smallest picture, and of all once half of the file has said
how fine they need be. What it makes are steps that the processing job finds; it writes no rows, so
it may stop at any time: it does where the video's own tasks have caught up, and with a file that is
given up, of which nothing stays. Whoever follows the video is told how far it is, or why it has not
begun. It needs a file that grows in one object.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec

from actors.job_runner.media_queue import MediaRank, OnProgress
from actors.job_runner.ports import JobPorts
from kit.errors import AppError
from kit.logs import get_log
from kit.metrics import HEAD_START_PARTS
from media.pool import MediaTaskCancelled
from media.vod.arriving import Arriving
from media.vod.head_start import Ahead, HeadStart, Headway, QualityAhead, list_head_start
from media.vod.info import MediaInfo, decode_json, encode_json
from media.vod.plan import QUALITY, PlanOrder, PlanTask, TranscodePlan, plan_video
from media.vod.probe import ProbeJob
from media.vod.records import Progress, TaskRecord, unfinished_prefix
from media.vod.source import MediaUnreadable, UnreadableAhead
from media.vod.task_jobs import ChunkJob, QualityJob, get_job
from media.vod.titles import apply_looks
from serve_apps.videos.progress import decide_progress, publish_head_start, weigh_tasks
from serve_apps.videos.recipes import order_present
from serve_apps.videos.upload_jobs import HeadStartJob, enqueue_head_start
from storage import uploads, video_chunks, videos
from storage.upload_indexes import find_index

log = get_log("videos")

QUIET_TURNS_MAX = 20
"""An upload that has stood still for a quarter of an hour is left to the processing job."""
TELL_EVERY_S = 1.0
LOOK_EVERY_S = 2.0
"""How soon a task is stopped that is needless by now."""
MEASURE_AGAIN = 16
"""Where half of the bytes are not half of the film, it is tried again with each sixteenth more."""
LOOKS_MAX = 5
"""So often is a file looked at whose beginning says nothing; each time twice as much is there."""


AheadJob = ProbeJob | Ahead[ChunkJob] | Ahead[QualityJob]


@dataclass(frozen=True)
class Arrival:
    """A file that still arrives."""

    owner: str
    order: PlanOrder
    arriving: Arriving


async def run_head_start(ports: JobPorts, payload: bytes) -> None:
    """Make what is there of a file, and look again later while it arrives."""
    job = msgspec.json.decode(payload, type=HeadStartJob)
    async with ports.database.statement(writes=False) as connection:
        upload = await uploads.find_upload_of_video(connection, job.video_id)
    following: HeadStartJob | None = None
    begun = Begun(ports, job.video_id)
    if upload is not None and upload.state == "open" and not upload.is_expired:
        async with begun.watch():
            following = await _take_turn(ports, job, upload, begun)
    outlook = await _look_out(ports, job.video_id)
    await begun.remove_needless(outlook)
    if outlook.is_given_up or following is None or following.quiet_turns > QUIET_TURNS_MAX:
        return
    async with ports.database.transaction() as connection:
        await enqueue_head_start(connection, following)


@dataclass(frozen=True)
class Outlook:
    """What will come of a file that arrives, or has arrived."""

    is_given_up: bool
    """Nothing: its upload was ended or its video deleted."""
    is_ready: bool
    """Its video is; of one that failed, what is kept waits for another try."""
    begun: frozenset[str]
    """The video's own pieces that wait for a place by now, are made, or were."""


async def _look_out(ports: JobPorts, video_id: uuid.UUID) -> Outlook:
    async with ports.database.transaction() as connection:
        upload = await uploads.find_upload_of_video(connection, video_id)
        video = await videos.find_video(connection, video_id)
        begun = await video_chunks.list_begun_names(connection, video_id)
    return Outlook(
        is_given_up=upload is None or upload.state == "terminated" or video is None,
        is_ready=video is not None and video.status == "ready",
        begun=begun,
    )


class Begun:
    """The tasks of one turn, which are stopped once they are needless."""

    def __init__(self, ports: JobPorts, video_id: uuid.UUID) -> None:
        self._ports = ports
        self._video_id = video_id
        self._running: list[tuple[str, AheadJob]] = []
        self._kept: set[str] = set()

    async def run(
        self,
        task_name: str,
        job: AheadJob,
        owner: str,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """Run a task behind all other work; raises what it raised, or MediaTaskCancelled."""
        if isinstance(job, Ahead):
            self._kept.add(job.own.task_id)
        self._running.append((task_name, job))
        try:
            return await self._ports.media.run(
                task_name, job, rank=MediaRank.AHEAD, owner=owner, on_progress=on_progress
            )
        finally:
            self._running.remove((task_name, job))

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[None]:
        """Look meanwhile what comes of the file: a task goes on with the bytes it has open."""
        watching = asyncio.create_task(self._watch(), name="head-start-watch")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                outlook = await _look_out(self._ports, self._video_id)
                needless = [it for it in self._running if _is_needless(it[1], outlook)]
                await asyncio.gather(*(self._ports.media.cancel(*it) for it in needless))
            except AppError as error:
                log.info("video.head_start_unwatched", code=error.code)
            except Exception:
                # What cannot be stopped once is looked at again: the turn goes on meanwhile.
                log.exception("video.head_start_unwatched")

    async def remove_needless(self, outlook: Outlook) -> None:
        """Remove what the tasks kept behind those who removed what was there."""
        prefixes: set[str] = set()
        if outlook.is_given_up:
            prefixes = {unfinished_prefix(str(self._video_id))}
        elif outlook.is_ready:
            prefixes = {unfinished_prefix(str(self._video_id), name) for name in self._kept}
        for prefix in prefixes:
            await self._ports.objects.delete_prefix(prefix)


def _is_needless(job: AheadJob, outlook: Outlook) -> bool:
    """Whether nobody will use what it makes, or the video's own task makes the same by now."""
    return outlook.is_given_up or (isinstance(job, Ahead) and job.own.task_id in outlook.begun)


async def _take_turn(
    ports: JobPorts, job: HeadStartJob, upload: uploads.Upload, begun: Begun
) -> HeadStartJob | None:
    """Do what can be done now; None when there is nothing more to do for this file."""
    following = msgspec.structs.replace(
        job, turn=job.turn + 1, seen_bytes=upload.offset_bytes, quiet_turns=0
    )
    if upload.size_bytes is None or upload.offset_bytes == job.seen_bytes:
        return msgspec.structs.replace(following, quiet_turns=job.quiet_turns + 1)
    arrival = await _find_arrival(ports, job.video_id)
    if arrival is None:
        return None
    if _may_look(following, arrival.arriving):
        following = await _look(ports, arrival, following, begun)
    if not following.info:
        return following if following.looks < LOOKS_MAX else None
    info = decode_json(following.info.encode(), MediaInfo)
    plan = plan_video(info, arrival.order)
    if following.made == len(list_head_start(plan, is_measured=True)):
        return None
    following = await _measure(begun, arrival, following, plan)
    if following.quality:
        record = decode_json(following.quality.encode(), TaskRecord)
        plan = apply_looks(plan, record.looks)
    tasks = list_head_start(plan, is_measured=bool(following.quality))
    encoding = Encoding(ports, following, plan, begun)
    made = await encoding.run(tasks)
    return msgspec.structs.replace(following, made=made, progress=encoding.told)


async def _find_arrival(ports: JobPorts, video_id: uuid.UUID) -> Arrival | None:
    """How far a file has come; None when it has ended, or lies in pieces."""
    async with ports.database.transaction() as connection:
        upload = await uploads.find_upload_of_video(connection, video_id)
        video = await videos.find_video(connection, video_id)
        if upload is None or video is None or upload.state != "open" or upload.size_bytes is None:
            return None
        objects = uploads.list_objects(upload.id, await uploads.list_parts(connection, upload.id))
        if len(objects) != 1 or ports.objects.local_path(objects[0].key) is None:
            return None
        (grown,) = objects
        order = await order_present(connection, ports, video, grown.key)
    arriving = Arriving(grown.size_bytes, upload.size_bytes)
    index = await find_index(ports.objects, upload.id)
    if index is not None:
        order = replace(order, hint=index.sha256)
        arriving = replace(arriving, index_key=index.key, index_at=index.at_bytes)
    return Arrival(str(video.owner_id), order, arriving)


def _may_look(job: HeadStartJob, arriving: Arriving) -> bool:
    """Whether the file may say more now: twice as much as before, or half of all is there.

    Its beginning alone does not show how far apart its keyframes are.
    """
    if not job.info:
        return arriving.known_bytes >= 2 * job.looked_bytes
    return job.looked_bytes < arriving.size_bytes // 2 <= arriving.known_bytes


async def _look(ports: JobPorts, arrival: Arrival, job: HeadStartJob, begun: Begun) -> HeadStartJob:
    """Ask the file what it is; what it said before stands if it says nothing now."""
    known_bytes = arrival.arriving.known_bytes
    probe = ProbeJob(arrival.order.video_id, arrival.order.source_key, arriving=arrival.arriving)
    words = ""
    try:
        info: MediaInfo = await begun.run("probe", probe, arrival.owner)
        words = encode_json(info).decode()
        await publish_head_start(ports.cache, job.video_id, job.progress)
    except (MediaUnreadable, MediaTaskCancelled, FileNotFoundError) as error:
        if isinstance(error, UnreadableAhead) and not job.info:
            await publish_head_start(ports.cache, job.video_id, job.progress, error.text)
        reason = error.text if isinstance(error, AppError) else "it has ended"
        log.info("video.no_head_start", video_id=arrival.order.video_id, reason=reason)
    # If it is something else, other chunks are made of it: which are whole is found anew.
    made = job.made if words in {"", job.info} else 0
    return msgspec.structs.replace(
        job, info=words or job.info, looks=job.looks + 1, looked_bytes=known_bytes, made=made
    )


async def _measure(
    begun: Begun, arrival: Arrival, job: HeadStartJob, plan: TranscodePlan
) -> HeadStartJob:
    """Have half of the file say how fine its pictures are to be, as soon as it is there."""
    task = next((task for task in plan.tasks if task.kind == QUALITY), None)
    known_bytes, size_bytes = arrival.arriving.known_bytes, arrival.arriving.size_bytes
    wanted_bytes = max(size_bytes // 2, job.measured_bytes + size_bytes // MEASURE_AGAIN)
    if task is None or job.quality or known_bytes < wanted_bytes:
        return job
    quality = get_job(plan, task.task_id)
    assert isinstance(quality, QualityJob), "the quality task is given what is to be measured"
    record: TaskRecord | None = None
    try:
        given = QualityAhead(quality, arrival.arriving)
        record = await begun.run("quality_ahead", given, arrival.owner)
    except AppError as error:
        log.info("video.not_measured_ahead", video_id=str(job.video_id), code=error.code)
    if record is None:
        return msgspec.structs.replace(job, measured_bytes=known_bytes)
    # Others than before can be made now: which are whole is found anew.
    words = encode_json(record).decode()
    return msgspec.structs.replace(job, quality=words, measured_bytes=known_bytes, made=0)


class Encoding:
    """One turn's chunks, as many at a time as the pool has places."""

    def __init__(
        self, ports: JobPorts, job: HeadStartJob, plan: TranscodePlan, begun: Begun
    ) -> None:
        self.told = job.progress
        """So much of all that is made of the video was said to be there."""
        self._ports = ports
        self._job = job
        self._plan = plan
        self._begun = begun
        self._shares = weigh_tasks(plan)
        self._fractions: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._left: deque[PlanTask] = deque()
        self._whole: set[str] = set()

    async def run(self, tasks: Sequence[PlanTask]) -> int:
        """Make chunks up to one that has not come whole; return how many, from the first, are."""
        self._whole.update(task.task_id for task in tasks[: self._job.made])
        self._fractions.update(dict.fromkeys(self._whole, 1.0))
        self._left.extend(tasks[self._job.made :])
        async with asyncio.TaskGroup() as group:
            reporter = group.create_task(self._report())
            async with asyncio.TaskGroup() as workers:
                for _place in range(max(1, self._ports.media.slots_max)):
                    workers.create_task(self._work())
            reporter.cancel()
        await self._tell()
        names = [task.task_id for task in tasks]
        return next((n for n, name in enumerate(names) if name not in self._whole), len(names))

    async def _work(self) -> None:
        while self._left:
            task = self._left.popleft()
            arrival = await _find_arrival(self._ports, self._job.video_id)
            if arrival is None:
                self._left.clear()
            elif not await self._make(task, arrival):
                # Its other sizes have come as far as this one; later chunks have not.
                self._left = deque(left for left in self._left if left.chunk <= task.chunk)

    async def _make(self, task: PlanTask, arrival: Arrival) -> bool:
        chunk = get_job(self._plan, task.task_id)
        assert isinstance(chunk, ChunkJob), "a head start is made of chunks"
        given, note = HeadStart(chunk, arrival.arriving), partial(self._note, task)
        try:
            headway: Headway = await self._begun.run("head_start", given, arrival.owner, note)
        except AppError as error:
            # A lost worker, a damaged file: the processing job will see for itself.
            log.info("video.head_start_failed", video_id=str(self._job.video_id), code=error.code)
            return False
        HEAD_START_PARTS.inc(headway.made)
        if headway.is_whole:
            self._whole.add(task.task_id)
            self._fractions[task.task_id] = 1.0
            self._changed.set()
        return headway.is_whole

    def _note(self, task: PlanTask, progress: Progress) -> None:
        self._fractions[task.task_id] = progress.done / progress.total
        self._changed.set()

    async def _report(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._tell()
            await asyncio.sleep(TELL_EVERY_S)

    async def _tell(self) -> None:
        """Say how far the video is, when that is more than was said."""
        progress = decide_progress(self._shares, self._fractions)
        if progress > self.told:
            await publish_head_start(self._ports.cache, self._job.video_id, progress)
            self.told = progress
