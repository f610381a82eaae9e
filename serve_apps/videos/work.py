"""What is to be done of one video: its pieces, how soon, and how the plan is revised.

Pure. The processing jobs make it, the coordinator works through it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from actors.job_runner.media_queue import MediaRank
from media.vod.plan import QUALITY, PlanTask, TranscodePlan
from media.vod.records import TaskRecord
from media.vod.rung_groups import needs_nvenc
from media.vod.task_jobs import get_job
from media.vod.titles import apply_looks
from serve_apps.videos.progress import Workload, weigh_video

SOON_KINDS = frozenset(
    {
        "thumbnails",
        "storyboard",
        "quality",
        "cover",
        "waveform",
        "live_thumbnails",
        "live_storyboard",
        "live_preview",
        "live_join",
    }
)
"""What is short and seen by everybody comes before finer pictures."""


@dataclass(frozen=True)
class Work:
    """What is to be done of one video: its pieces, what each is given, what they weigh."""

    tasks: Sequence[PlanTask]
    get_job: Callable[[str], Any]
    workload: Workload
    plan: TranscodePlan | None = None
    """Of an upload; it is revised while its pieces are made."""


def make_work(plan: TranscodePlan) -> Work:
    """Return what is to be done of an upload."""
    return Work(plan.tasks, partial(get_job, plan), weigh_video(plan), plan)


def revise_plan(work: Work, task: PlanTask, record: TaskRecord) -> TranscodePlan | None:
    """Return the plan as it is after the quality task; None after any other."""
    if task.kind != QUALITY or work.plan is None:
        return None
    return apply_looks(work.plan, record.looks)


def needs_gpu(work: Work, task: PlanTask) -> bool:
    """Whether a piece is for a GPU's encoder."""
    groups = () if work.plan is None or task.kind != "chunk" else work.plan.groups
    return any(group.name == task.group and needs_nvenc(group.rungs) for group in groups)


def decide_rank(work: Work, task: PlanTask) -> MediaRank:
    """How soon a piece is made."""
    if task.task_id in work.workload.opening:
        return MediaRank.FIRST
    is_soon = task.task_id in work.workload.following or task.kind in SOON_KINDS
    return MediaRank.NEXT if is_soon else MediaRank.MORE
