"""Encoding what has come of a file while the rest still arrives.

The task "head_start" makes a chunk's steps as far as the file reaches and keeps them where the
chunk's own task looks first; "quality_ahead" does so with what the quality task measures. They
store nothing else, so they may be wrong about the file: what does not fit what the whole file turns
out to be is not used. They read only bytes that stay as they are.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

from media.vod.arriving import Arriving, SourceNotThere
from media.vod.chunk_steps import ChunkParts
from media.vod.plan import QUALITY, PlanTask, TranscodePlan
from media.vod.quality import measure_ahead
from media.vod.records import Progress, TaskRecord
from media.vod.rung_groups import needs_nvenc
from media.vod.task_jobs import ChunkJob, QualityJob
from media.vod.titles import awaits_looks
from storage.objects import ObjectStore

Own = TypeVar("Own", ChunkJob, QualityJob)


@dataclass(frozen=True)
class Ahead(Generic[Own]):
    """What a task ahead is given: what the video's own task will be, and how much is there."""

    own: Own
    arriving: Arriving

    @property
    def video_id(self) -> str:
        """Whose work it is."""
        return self.own.video_id

    @property
    def task_id(self) -> str:
        """Another than the own one's, which may begin before this one has ended."""
        return f"{self.own.task_id}-ahead"


class HeadStart(Ahead[ChunkJob]):
    """A chunk, as far as the file reaches."""


class QualityAhead(Ahead[QualityJob]):
    """What the quality task measures, of a file's first half."""


@dataclass(frozen=True)
class Headway:
    """How far a chunk is."""

    is_whole: bool
    made: int
    """Parts that this very task encoded."""


def iter_head_start(job: HeadStart, store: ObjectStore) -> Generator[Progress, None, Headway]:
    """Encode and keep what is there of a chunk; raises MediaUnreadable."""
    parts = ChunkParts(job.own, store, job.arriving)
    for _kept in parts.iter_kept():
        pass
    begun = parts.done
    try:
        for _new in parts.iter_new():
            yield Progress(job.task_id, parts.done, parts.total)
    except (SourceNotThere, FileNotFoundError):
        pass  # it has not come, or the upload ended and its bytes are the source's by now
    return Headway(parts.done == parts.total, parts.done - begun)


def look_ahead(job: QualityAhead, store: ObjectStore) -> TaskRecord | None:
    """Measure the first half of a file and keep that; None while not all of it has come."""
    try:
        return measure_ahead(job.own, store, job.arriving.locate(store))
    except FileNotFoundError:
        return None  # the upload ended and its bytes are the source's by now


def list_head_start(plan: TranscodePlan, *, is_measured: bool) -> tuple[PlanTask, ...]:
    """The chunks that are worth beginning with, in the order of their time.

    Those that await the quality task only once the plan `is_measured`. H.264 by x264 alone: other
    codecs take longer than the file, and nobody waits for them; a GPU makes up for what it did not
    do before.
    """
    names = [
        group.name
        for group in plan.groups
        if group.rungs[0].codec == "h264" and not needs_nvenc(group.rungs)
    ]
    chunks = [task for task in plan.tasks if task.kind == "chunk" and task.group in names]
    if not is_measured and any(task.kind == QUALITY for task in plan.tasks):
        chunks = [task for task in chunks if not awaits_looks(plan, task)]
    return tuple(sorted(chunks, key=lambda task: (task.chunk, names.index(task.group))))
