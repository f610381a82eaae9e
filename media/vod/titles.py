"""How fine the pictures of one video are made: decided from what a few coded seconds showed.

Pure. The plan begins with the usual fineness; once the quality task has measured, the coordinator
stores the plan that `apply_looks` returns, and every piece but the smallest picture's waits for it.
Why and what it saves: docs/decisions/0039-per-title-quality.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from media.vod.ladder import Rung
from media.vod.plan import PlanTask, TranscodePlan
from media.vod.records import RungLook
from media.vod.rung_groups import LARGE_SHORT_SIDE, RungGroup

LOOK_STEPS = 8
"""Between the finer and the coarser coding of a look, in steps of CRF."""
PLENTY_DB = 39.0
"""Of XPSNR: finer than that nobody sees a difference (VMAF's 93 to 97 on clips of cameras)."""
COARSER_MAX = 6
COARSER_THAN_LARGER_MAX = 3
"""So much a smaller picture gives up to what a larger one shows better for the same bytes: a small
window plays it at its own size, where it still has to look well."""
STEP_MIN = 1.25
"""A rung takes this many times the bytes of the one below it, or one of both adds nothing."""


@dataclass(frozen=True)
class _Line:
    """Bytes and quality of one size by CRF, from two measured points: both nearly straight, the
    bytes in their logarithm.
    """

    look: RungLook

    def find_bytes(self, coarser: float) -> float:
        share = coarser / LOOK_STEPS
        fine, coarse = math.log(self.look.fine_bytes), math.log(self.look.coarse_bytes)
        return math.exp(fine + (coarse - fine) * share)

    def find_quality_db(self, coarser: float) -> float:
        lost_db = self.look.fine_db - self.look.coarse_db
        return self.look.fine_db - lost_db * coarser / LOOK_STEPS

    def find_coarser(self, quality_db: float) -> float:
        """Return how much coarser than usual this size has that quality; below 0: finer."""
        lost_db = max(0.01, self.look.fine_db - self.look.coarse_db)
        return (self.look.fine_db - quality_db) / lost_db * LOOK_STEPS


def awaits_looks(plan: TranscodePlan, task: PlanTask) -> bool:
    """Whether a piece is made as fine as the quality task says: all pictures but the smallest."""
    return task.kind == "chunk" and task.group != plan.groups[0].name


def list_looked_sizes(plan: TranscodePlan) -> tuple[tuple[int, int], ...]:
    """Sizes that are measured, largest first; those above have what the largest of them has."""
    rungs = [rung for group in plan.groups for rung in group.rungs]
    sizes = {(it.width, it.height) for it in (*rungs, *([plan.copied] if plan.copied else []))}
    fitting = [size for size in sizes if min(size) <= LARGE_SHORT_SIDE]
    return tuple(sorted(fitting, key=math.prod, reverse=True))


def apply_looks(plan: TranscodePlan, looks: Sequence[RungLook]) -> TranscodePlan:
    """The plan with rungs as fine as they need be, without those that add nothing."""
    coarser = decide_coarseness(looks, keep_largest_fine=plan.copied is not None)
    if not coarser:
        return plan
    first, *others = plan.groups
    return replace(plan, groups=(first, *(_refine(group, coarser) for group in others)))


def decide_coarseness(
    looks: Sequence[RungLook], *, keep_largest_fine: bool = False
) -> dict[tuple[int, int], int | None]:
    """How much coarser than usual each size is made, in steps of CRF; None: it is left out.

    `looks` are of a ladder, largest first. Its smallest is made before anything is known: it stays
    as it is. `keep_largest_fine`: the largest is the source's own picture.
    """
    if len(looks) < 2:
        return {}
    *above, first = (_Line(look) for look in looks)
    decided: dict[tuple[int, int], int | None] = {}
    kept: list[tuple[_Line, int]] = []
    for line in above:
        size = (line.look.width, line.look.height)
        if not kept:
            coarser = 0 if keep_largest_fine else _find_plenty(line)
            decided[size] = coarser
            kept.append((line, coarser))
            continue
        larger, larger_coarser = kept[-1]
        coarser = _find_own(line, larger, _find_plenty(line))
        coarser = _stay_above(line, first, coarser)
        is_near = line.find_bytes(coarser) * STEP_MIN > larger.find_bytes(larger_coarser)
        if is_near and list(decided.values())[-1] is not None:
            decided[size] = None  # never two neighbours: the samples may have missed something
            continue
        decided[size] = coarser
        kept.append((line, coarser))
    return decided


def _find_plenty(line: _Line) -> int:
    """The coarsest at which even the worst sample has enough; 0 where the usual has not."""
    worse_db = line.look.fine_db - line.look.worst_db
    return max(0, min(COARSER_MAX, math.floor(line.find_coarser(PLENTY_DB + worse_db))))


def _find_own(line: _Line, larger: _Line, start: int) -> int:
    """The finest at which the larger size needs more bytes for the same quality."""
    for coarser in range(start, start + COARSER_THAN_LARGER_MAX):
        same = larger.find_coarser(line.find_quality_db(coarser))
        if larger.find_bytes(same) >= line.find_bytes(coarser):
            return coarser
    return start + COARSER_THAN_LARGER_MAX


def _stay_above(line: _Line, first: _Line, coarser: int) -> int:
    """No coarser than leaves it a step above the smallest, which is made as ever."""
    while coarser > 0 and line.find_bytes(coarser) < STEP_MIN * first.find_bytes(0):
        coarser -= 1
    return coarser


def _refine(group: RungGroup, coarser: dict[tuple[int, int], int | None]) -> RungGroup:
    """The group's rungs as decided; a group keeps at least its largest."""
    largest = next(iter(coarser.values())) or 0
    refined: Iterable[tuple[Rung, int | None]] = (
        (rung, coarser.get((rung.width, rung.height), _answer_for(rung, coarser, largest)))
        for rung in group.rungs
    )
    kept = [replace(rung, coarser=steps) for rung, steps in refined if steps is not None]
    return replace(group, rungs=tuple(kept) or group.rungs[:1])


def _answer_for(rung: Rung, coarser: dict[tuple[int, int], int | None], largest: int) -> int:
    """For sizes that were not measured: above all that were, as the largest; below, as ever."""
    width, height = next(iter(coarser))
    return largest if rung.width * rung.height > width * height else 0
