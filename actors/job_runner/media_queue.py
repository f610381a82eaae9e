"""The bounded door to the media pool: no more tasks at a time than there are workers.

All jobs of one runner share it. Who waits is served by rank, then in order of arrival, so that a
video nobody can watch yet comes before the finer renditions of another. It retries nothing.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from media.vod.records import Progress

OnProgress = Callable[[Progress], None]


class MediaRunner(Protocol):
    """Where CPU-heavy media work is done; `media.pool.MediaPool` is one."""

    async def run(
        self, task_name: str, payload: Any, *, on_progress: OnProgress | None = None
    ) -> Any:
        """Run a named task elsewhere; raises what it raised, or that its worker was lost."""
        ...


class MediaRank(enum.IntEnum):
    """Whose turn it is first."""

    LOOK = 0
    """Assembling and probing: short, and decides whether there is a video at all."""
    FIRST = 1
    """What must exist before anyone can watch."""
    NEXT = 2
    """What those who watch already will come to soon."""
    MORE = 3
    """Everything that makes it better."""


class MediaQueue:
    """Lends `slots_max` places in the pool; with none, everything waits until there are some."""

    def __init__(self, pool: MediaRunner, slots_max: int) -> None:
        self._pool = pool
        self._free = slots_max
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self.slots_max = slots_max

    def resize(self, slots_max: int) -> None:
        """Lend more places, or fewer: what runs goes on, its place is not lent again."""
        change, self.slots_max = slots_max - self.slots_max, slots_max
        if change < 0:
            self._free += change  # below nothing: so many places are owed
        for _ in range(change):
            self._give_place()

    @property
    def waiting(self) -> int:
        """How many tasks wait for a place."""
        return sum(not turn.done() for _rank, _order, turn in self._waiting)

    async def run(
        self,
        task_name: str,
        payload: Any,
        *,
        rank: MediaRank,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """Run a media task when a place is free; raises what it raised."""
        async with self._take_place(rank):
            return await self._pool.run(task_name, payload, on_progress=on_progress)

    @asynccontextmanager
    async def _take_place(self, rank: MediaRank) -> AsyncIterator[None]:
        if self._free > 0:
            self._free -= 1
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (rank, next(self._order), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give_place()
                raise
        try:
            yield
        finally:
            self._give_place()

    def _give_place(self) -> None:
        """Hand the place to whoever waits, or keep it free."""
        while self._waiting and self._free >= 0:
            _rank, _order, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
