"""How often a piece of work may fail, and how often it may lose its worker.

Pure; the coordinator asks after every attempt that ended without a result. A piece that fails
three times has failed. A lost worker costs no attempt while pieces get on: only so many that die
one after the other, none of which kept a step, count as the piece's own fault.
"""

from __future__ import annotations

import enum
from dataclasses import replace

from media.pool import MediaTaskTooSlow, MediaWorkerLost
from media.vod.chunk_steps import list_parts
from media.vod.task_jobs import ChunkJob
from storage.video_chunks import Tries

ATTEMPTS_MAX = 3
LOSSES_MAX = 16
"""With a worker killed every five seconds, half of the attempts at the largest pictures keep no
step: sixteen in a row are one in 65,000. A step that kills its worker is given up in some minutes.
"""
RETRY_FIRST_S = 0.5
LOST_PAUSE_S_MAX = 4.0


class Ending(enum.Enum):
    """How an attempt ended without a result."""

    FAILED = enum.auto()
    LOST = enum.auto()
    TOO_SLOW = enum.auto()


def decide_ending(error: Exception) -> Ending:
    """Say what an attempt's error was."""
    if isinstance(error, MediaWorkerLost):
        return Ending.LOST
    return Ending.TOO_SLOW if isinstance(error, MediaTaskTooSlow) else Ending.FAILED


def count_attempt(tries: Tries, ending: Ending, steps: int) -> Tries:
    """Count an attempt that left so many steps of its piece kept."""
    got_on = steps > tries.steps
    steps = max(steps, tries.steps)
    if ending is Ending.LOST:
        return replace(tries, losses=1 if got_on else tries.losses + 1, steps=steps)
    if ending is Ending.TOO_SLOW and got_on:
        return replace(tries, losses=0, steps=steps)
    return replace(tries, attempts=tries.attempts + 1, steps=steps)


def has_failed(tries: Tries) -> bool:
    """Whether the piece is not tried again."""
    return tries.attempts >= ATTEMPTS_MAX or tries.losses >= LOSSES_MAX


def decide_pause_s(tries: Tries, ending: Ending) -> float:
    """How long to wait before the next attempt: not at all after a worker that got on."""
    if ending is Ending.LOST:
        doublings = tries.losses - 2
        return min(LOST_PAUSE_S_MAX, RETRY_FIRST_S * 2.0**doublings) if doublings >= 0 else 0.0
    return RETRY_FIRST_S * 2.0 ** max(0, tries.attempts - 1)


def explain(tries: Tries, job: object) -> str | None:
    """Say in the owner's words why a piece is given up; None: there is no more to say."""
    if tries.losses < LOSSES_MAX:
        return None
    place = ""
    if isinstance(job, ChunkJob):
        parts = list_parts(job)
        moment_s = int(parts[min(tries.steps, len(parts) - 1)].slots.start / job.grid.fps)
        place = f" at {moment_s // 60}:{moment_s % 60:02d}"
    return (
        f"The video could not be converted: {LOSSES_MAX} times in a row its conversion"
        f" broke off{place}."
    )
