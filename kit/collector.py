"""How Python's collector of cycles runs where many objects live for long: seldom in full.

For hosts and edges. A full collection walks every object: with 10,000 rooms on an edge it holds
everything up for half a second, and Python's own rule has one each time a quarter has been added.
"""

from __future__ import annotations

import asyncio
import gc

YOUNG_MAX = 700
MIDDLE_EVERY = 10
"""Both Python's own: what died young is found soon, and its memory used again."""
FULL_EVERY = 1_000
"""Middle collections between full ones; with one every five seconds at least, a full one comes
after an hour or two, or millions of new objects, if a quarter of all is new by then."""
TIDY_EVERY_S = 5.0
CALM_MAX = 5_000
"""New objects between two looks: with fewer the process is quiet."""
GROWN_MIN = 50_000
"""New objects since the last full collection: with more another one is worth it."""
MIDDLE, FULL = 1, 2


def spare_the_long_lived() -> None:
    """Leave what exists out of all later collections, and have full ones seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, MIDDLE_EVERY, FULL_EVERY)


async def keep_tidy() -> None:
    """Collect what died young, in some milliseconds, again and again until cancelled.

    Else a process that falls quiet after a rush keeps it: 1 KiB for each of 5,000 sockets.
    """
    tidiness = Tidiness(gc.get_count()[FULL])
    while True:
        await asyncio.sleep(TIDY_EVERY_S)
        gc.collect(tidiness.choose(gc.get_count()))
        tidiness.middle_before = gc.get_count()[FULL]


class Tidiness:
    """Chooses what to collect: everything once, when a process is quiet after it grew."""

    def __init__(self, middle_before: int) -> None:
        self.middle_before = middle_before
        """How many middle collections there were since a full one, after the last choice."""
        self._grown = 0

    def choose(self, counts: tuple[int, int, int]) -> int:
        """Return the generation to collect, by the counts of `gc` since the last choice."""
        young, rounds, middle = counts
        rounds += (MIDDLE_EVERY + 1) * max(0, middle - self.middle_before)
        fresh = young + YOUNG_MAX * rounds
        self._grown += fresh
        if fresh < CALM_MAX and self._grown > GROWN_MIN:
            self._grown = 0
            return FULL
        return MIDDLE
