"""How far a video's processing has come, as one number, told to those who watch it.

Pure weighing plus `publish_status`, which speaks to the ephemeral bus. A piece weighs what its
pictures cost to encode.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Set
from dataclasses import dataclass
from fractions import Fraction

from media.live.recorded_aac_plan import AacPlan
from media.live.recorded_rungs_plan import RungsPlan
from media.live.recording_plan import RecordingPlan
from media.vod.plan import PlanTask, TranscodePlan
from storage.cache import Cache

AUDIO_PIXELS_PER_SEGMENT = 20_000
"""Sound of one segment costs about as much as the picture of a stamp."""
WAVEFORM_PIXELS_PER_SEGMENT = 5_000
THUMBNAILS_PIXELS = 100_000
COPY_PIXELS_PER_SEGMENT = 2_000
STORYBOARD_PIXELS_PER_SEGMENT = 5_000
PREVIEW_PIXELS = 200_000
QUALITY_PIXELS = 1_000_000
"""Its samples take a core about a second."""
JOIN_PIXELS = 20_000
SEGMENTS_PER_S = 0.25
CODEC_COSTS = {"h264": 1.0, "av1": 1.0, "hevc": 2.0, "vp9": 4.0}
"""CPU time of one pixel beside H.264's, as measured for docs/decisions/0027."""
PACE_AFTER_S = 2.0


@dataclass(frozen=True)
class Workload:
    """All that is made of one video: each task's share of the work, and which come first."""

    shares: Mapping[str, float]
    """They add up to one."""
    opening: frozenset[str]
    """After these it plays; none where it plays already."""
    following: frozenset[str]
    """After these all of it plays, in its smallest picture."""
    rungs: Mapping[str, str]
    """The largest rung that a task makes, those with smaller ones first."""
    duration_s: Fraction


def weigh_video(plan: TranscodePlan) -> Workload:
    """Return what an upload's plan amounts to."""
    largest = {
        group.name: max(group.rungs, key=lambda rung: rung.width * rung.height)
        for group in plan.groups
    }
    found = [
        (rung.width * rung.height, task.task_id, rung.quality)
        for task in plan.tasks
        if (rung := largest.get(task.group)) is not None
    ]
    return Workload(
        weigh_tasks(plan),
        list_opening_tasks(plan),
        list_next_tasks(plan),
        {task_id: name for _pixels, task_id, name in sorted(found)},
        plan.grid.duration_s,
    )


def weigh_recording(plan: RecordingPlan) -> Workload:
    """Return what is made of a recording amounts to; it plays before."""
    per_length = STORYBOARD_PIXELS_PER_SEGMENT * SEGMENTS_PER_S * float(plan.duration_s)
    weights = {
        "live_thumbnails": float(THUMBNAILS_PIXELS),
        "live_join": float(JOIN_PIXELS),
        "live_preview": float(PREVIEW_PIXELS),
        "live_storyboard": per_length,
    }
    found = {task.task_id: weights[task.kind] for task in plan.tasks}
    total = sum(found.values())
    shares = {name: weight / total for name, weight in found.items()}
    return Workload(shares, frozenset(), frozenset(), {}, plan.duration_s)


def weigh_segments(plan: AacPlan | RungsPlan) -> Workload:
    """Return what a rendition of a recording amounts to, by its segments; it plays before."""
    total = sum(job.segments for job in plan.jobs.values())
    shares = {name: job.segments / total for name, job in plan.jobs.items()}
    return Workload(shares, frozenset(), frozenset(), {}, plan.duration_s)


def weigh_tasks(plan: TranscodePlan) -> dict[str, float]:
    """Return each task's share of the whole work; the shares add up to one."""
    weights = {task.task_id: _weigh(plan, task) for task in plan.tasks}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def decide_progress(shares: Mapping[str, float], fractions: Mapping[str, float]) -> float:
    """Return how much of all work is done, from how much of each task is (0 to 1)."""
    done = sum(share * fractions.get(name, 0.0) for name, share in shares.items())
    return min(1.0, max(0.0, done))


def list_opening_tasks(plan: TranscodePlan) -> frozenset[str]:
    """Return the tasks after which a video plays: its first sound and its first small pictures."""
    sound = [task.task_id for task in plan.tasks if task.is_main_sound]
    pictures = [task.task_id for task in plan.tasks if task.kind in ("copy", "chunk")]
    return frozenset([*pictures[:1], *sound[:1]])


def list_next_tasks(plan: TranscodePlan) -> frozenset[str]:
    """Return the tasks after which all of it plays, in its smallest picture and as it came."""
    first = plan.groups[0].name if plan.groups else None
    return frozenset(
        task.task_id
        for task in plan.tasks
        if task.is_main_sound or task.kind == "copy" or task.group == first
    )


@dataclass(frozen=True)
class Pace:
    """What is being made at the moment, how fast, and how long the rest will take."""

    quality: str | None = None
    """The largest rung in work."""
    speed: float | None = None
    """Seconds of the video, in all its qualities, made per second."""
    left_s: float | None = None


class PaceMeter:
    """Judges the speed by what was gained since this runner began; silent in the first seconds."""

    def __init__(self, workload: Workload, progress: float, now_s: float) -> None:
        self._workload = workload
        self._began = progress
        self._began_s = now_s

    def measure(self, progress: float, running: Set[str], now_s: float) -> Pace:
        """Return the pace at a moment of the same monotonic clock."""
        quality = _find_largest_rung(self._workload, running)
        gained, elapsed_s = progress - self._began, now_s - self._began_s
        if gained <= 0 or elapsed_s < PACE_AFTER_S:
            return Pace(quality)
        per_s = gained / elapsed_s
        speed = round(per_s * float(self._workload.duration_s), 2)
        return Pace(quality, speed, round((1 - progress) / per_s, 1))


@dataclass(frozen=True)
class Standing:
    """How a video stands."""

    status: str
    progress: float
    error: dict[str, str] | None = None
    pace: Pace = Pace()


async def publish_status(cache: Cache, video_id: uuid.UUID, standing: Standing) -> None:
    """Tell who watches `video:{id}`; lost without harm when the bus is away."""
    await _publish(cache, video_id, "video_progress", standing)


async def publish_head_start(
    cache: Cache, video_id: uuid.UUID, progress: float, reason: str | None = None
) -> None:
    """Tell how much is made while the file arrives, or why nothing is; nothing is stored."""
    told = {"progress": round(progress, 4), "reason": reason}
    await cache.publish(f"video:{video_id}", "video_head_start", told)


async def publish_reencoding(cache: Cache, video_id: uuid.UUID, standing: Standing) -> None:
    """Tell how far the next version of a video is that plays already."""
    await _publish(cache, video_id, "video_reencoding", standing)


async def _publish(cache: Cache, video_id: uuid.UUID, kind: str, standing: Standing) -> None:
    await cache.publish(
        f"video:{video_id}",
        kind,
        {
            "status": standing.status,
            "progress": round(standing.progress, 4),
            "error": standing.error,
            "quality": standing.pace.quality,
            "speed": standing.pace.speed,
            "left_s": standing.pace.left_s,
        },
    )


def _find_largest_rung(workload: Workload, running: Set[str]) -> str | None:
    found = [rung for task_id, rung in workload.rungs.items() if task_id in running]
    return found[-1] if found else None


def _weigh(plan: TranscodePlan, task: PlanTask) -> float:
    if task.kind == "audio":
        return float(AUDIO_PIXELS_PER_SEGMENT * (task.chunk or plan.grid.segments))
    if task.kind == "waveform":
        return float(WAVEFORM_PIXELS_PER_SEGMENT * plan.grid.segments)
    if task.kind in ("thumbnails", "cover"):
        return float(THUMBNAILS_PIXELS)
    if task.kind == "preview":
        return float(PREVIEW_PIXELS)
    if task.kind == "quality":
        return float(QUALITY_PIXELS)
    if task.kind == "storyboard":
        return float(STORYBOARD_PIXELS_PER_SEGMENT * plan.grid.segments)
    if task.kind == "copy":
        return float(COPY_PIXELS_PER_SEGMENT * (task.chunk or plan.grid.segments))
    rungs = next(group.rungs for group in plan.groups if group.name == task.group)
    pixels = sum(rung.width * rung.height * CODEC_COSTS[rung.codec] for rung in rungs)
    return float(pixels * plan.chunks[task.chunk].segments)
