"""How far a video's processing has come, as one number, told to those who watch it.

Pure weighing plus `publish_status`, which speaks to the ephemeral bus. A piece weighs what its
pictures cost to encode.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from media.vod.plan import PlanTask, TranscodePlan
from storage.cache import Cache

AUDIO_PIXELS_PER_SEGMENT = 20_000
"""Sound of one segment costs about as much as the picture of a stamp."""
THUMBNAILS_PIXELS = 100_000


def weigh_tasks(plan: TranscodePlan) -> dict[str, float]:
    """Return each task's share of the whole work; the shares add up to one."""
    weights = {task.task_id: _weigh(plan, task) for task in plan.tasks}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def decide_progress(shares: Mapping[str, float], fractions: Mapping[str, float]) -> float:
    """Return how much of all work is done, from how much of each task is (0 to 1)."""
    done = sum(share * fractions.get(name, 0.0) for name, share in shares.items())
    return min(1.0, max(0.0, done))


def list_first_tasks(plan: TranscodePlan) -> frozenset[str]:
    """Return the tasks after which a video plays: the sound and the smallest picture."""
    first = plan.groups[0].name
    return frozenset(
        task.task_id for task in plan.tasks if task.kind == "audio" or task.group == first
    )


async def publish_status(
    cache: Cache,
    video_id: uuid.UUID,
    status: str,
    progress: float,
    error: dict[str, str] | None = None,
) -> None:
    """Tell who watches `video:{id}`; lost without harm when the bus is away."""
    await cache.publish(
        f"video:{video_id}",
        "video_progress",
        {"status": status, "progress": round(progress, 4), "error": error},
    )


def _weigh(plan: TranscodePlan, task: PlanTask) -> float:
    if task.kind == "audio":
        return float(AUDIO_PIXELS_PER_SEGMENT * plan.grid.segments)
    if task.kind == "thumbnails":
        return float(THUMBNAILS_PIXELS)
    rungs = next(group.rungs for group in plan.groups if group.name == task.group)
    pixels = sum(rung.width * rung.height for rung in rungs)
    return float(pixels * plan.chunks[task.chunk].segments)
