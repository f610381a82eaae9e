"""What is to be done of one video: its pieces, what each is given, and how the plan is revised.

Pure. The processing jobs make it, the coordinator works through it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from media.vod.plan import QUALITY, PlanTask, TranscodePlan
from media.vod.records import TaskRecord
from media.vod.rung_groups import needs_nvenc
from media.vod.task_jobs import get_job
from media.vod.titles import apply_looks
from serve_apps.videos.progress import Workload, weigh_video


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
