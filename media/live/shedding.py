"""Which of a live's smaller pictures are made: the costliest is given up first when all are late.

Pure state; `ladder_desk.py` asks it several times a second. Time comes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LATE_MAX_S = 2.0
"""A picture that is made later than this after its source costs its ladder a rung."""
GRACE_S = 8.0
"""A process that just started, or has just lost a rung, has so long to catch up."""
RETRY_S = 60.0
"""A rung that was given up is tried again after so long, twice as long each further time."""
RETRY_MAX_S = 960.0
NICENESS = 10
"""Of a ladder's process: behind the edge, hosts and sound; before uploads, which are at 19."""


@dataclass(frozen=True)
class SheddingTerms:
    """How patient a ladder is."""

    late_max_s: float = LATE_MAX_S
    grace_s: float = GRACE_S
    retry_s: float = RETRY_S
    niceness: int = NICENESS
    """How far its process steps back for others: on a busy machine it is late before they are."""


class Shedding:
    """One live's rungs by short side; all are wanted at first."""

    def __init__(self, short_sides: Sequence[int], now_s: float, terms: SheddingTerms) -> None:
        self.active = set(short_sides)
        self._sides = sorted(short_sides)
        self._terms = terms
        self._patient_until_s = now_s + terms.grace_s
        self._tries = dict.fromkeys(short_sides, 0)
        self._due_s = dict.fromkeys(short_sides, now_s)

    def be_patient(self, now_s: float) -> None:
        """The process was started anew: it is late for a good reason."""
        self._patient_until_s = now_s + self._terms.grace_s

    def decide_shed(self, lateness_s: float, now_s: float) -> int | None:
        """Return the rung to give up now, if any; it counts as given up."""
        is_late = lateness_s > self._terms.late_max_s and now_s >= self._patient_until_s
        if not is_late or not self.active:
            return None
        costliest = max(self.active)
        self.shed(costliest, now_s)
        return costliest

    def shed(self, short_side: int, now_s: float) -> None:
        """A rung is given up until its time comes."""
        self.active.discard(short_side)
        pause_s = min(RETRY_MAX_S, self._terms.retry_s * 2 ** min(10, self._tries[short_side]))
        self._tries[short_side] += 1
        self._due_s[short_side] = now_s + pause_s
        self.be_patient(now_s)

    def decide_retry(self, now_s: float) -> int | None:
        """Return the rung to try again now, if any: the cheaper ones first, one at a time."""
        missing = next((side for side in self._sides if side not in self.active), None)
        if missing is None or now_s < self._due_s[missing] or now_s < self._patient_until_s:
            return None
        self.active.add(missing)
        self.be_patient(now_s)
        return missing
