"""The bounded door to the media pool: no more tasks at a time than there are workers.

All jobs of one runner share it. Who waits is served by rank, then in turn by owner, then in order
of arrival: a video nobody can watch yet comes before the finer renditions of another, and ten
videos of one person do not hold up one of somebody else. What nobody can watch without takes the
place of a finer rendition, which is made again. It retries nothing else.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from kit.logs import get_log
from media.pool import WARM_UP, MediaTaskCancelled, task_key
from media.vod.records import Progress

log = get_log("media")

OnProgress = Callable[[Progress], None]
PREEMPTIONS_MAX = 2
"""So often one task gives way; then it is left to end."""
OWNERS_MAX = 1000
"""Remembered at a time; who is forgotten counts as not served yet."""


class MediaRunner(Protocol):
    """Where CPU-heavy media work is done; `media.pool.MediaPool` is one."""

    async def run(
        self, task_name: str, payload: Any, *, on_progress: OnProgress | None = None
    ) -> Any:
        """Run a named task elsewhere; raises what it raised, or that its worker was lost."""
        ...

    async def cancel(self, key: str) -> bool:
        """Stop the task with this `task_key`, whose `run` raises MediaTaskCancelled."""
        ...


class MediaRank(enum.IntEnum):
    """Whose turn it is first: LOOK to MORE are interactive, somebody waits for what they make.

    Lives are before all of them: they are not made here, and a media worker runs at nice 19.
    """

    LOOK = 0
    """Assembling and probing: short, and decides whether there is a video at all."""
    FIRST = 1
    """What must exist before anyone can watch."""
    NEXT = 2
    """What those who watch already will come to soon."""
    MORE = 3
    """Everything that makes it better."""
    BATCH = 4
    """What nobody waits for: another version of what plays, a recording in smaller sizes."""
    AHEAD = 5
    """Of a file that still arrives: it may come to nothing, and never takes the last place."""


@dataclass
class _Ticket:
    """One task that waits or runs."""

    key: str
    rank: MediaRank
    owner: str
    order: int
    preemptions: int = 0
    is_giving_way: bool = False


class MediaQueue:
    """Lends `slots_max` places in the pool; with none, everything waits until there are some."""

    def __init__(self, pool: MediaRunner, slots_max: int) -> None:
        self._pool = pool
        self._free = slots_max
        self._order = itertools.count()
        self._waiting: list[tuple[_Ticket, asyncio.Future[None]]] = []
        self._running: list[_Ticket] = []
        self._served: OrderedDict[str, int] = OrderedDict()
        self._stopping: set[asyncio.Task[bool]] = set()
        self.slots_max = slots_max
        self.nvenc_slots: int | None = None
        """How many tasks GPUs encode at a time; None: nobody has counted yet."""

    def resize(self, slots_max: int) -> None:
        """Lend more places, or fewer: what runs goes on, its place is not lent again."""
        change, self.slots_max = slots_max - self.slots_max, slots_max
        if change < 0:
            self._free += change  # below nothing: so many places are owed
        for _ in range(change):
            self._give_place()

    def describe(self) -> dict[str, Any]:
        """What `status` shows: the places, and by rank what runs and what waits."""
        return {
            "media_slots": self.slots_max,
            "media_running": _count_ranks(self._running),
            "media_waiting": _count_ranks(it for it, turn in self._waiting if not turn.done()),
        }

    async def run(
        self,
        task_name: str,
        payload: Any,
        *,
        rank: MediaRank,
        owner: str = "",
        on_progress: OnProgress | None = None,
    ) -> Any:
        """Run a media task when a place is free; raises what it raised.

        `owner` is whose turn it uses up. A task that had to give way is run again in its turn.
        """
        ticket = _Ticket(task_key(payload, task_name), rank, owner, next(self._order))
        while True:
            async with self._take_place(ticket):
                try:
                    return await self._pool.run(task_name, payload, on_progress=on_progress)
                except MediaTaskCancelled:
                    if not ticket.is_giving_way:
                        raise
                    log.info("media.gave_way", task=ticket.key, times=ticket.preemptions)
            ticket.is_giving_way = False

    async def cancel(self, task_name: str, payload: Any) -> None:
        """Stop a task that waits or runs here, whose `run` raises MediaTaskCancelled."""
        key = task_key(payload, task_name)
        for ticket, turn in self._waiting:
            if ticket.key == key and not turn.done():
                turn.set_exception(MediaTaskCancelled())
        await self._pool.cancel(key)

    async def warm_up(self) -> None:
        """Have a process ready for the next task; does nothing while all places are taken."""
        if self._free > 0:
            await self.run(WARM_UP, None, rank=MediaRank.NEXT)

    @asynccontextmanager
    async def _take_place(self, ticket: _Ticket) -> AsyncIterator[None]:
        if self._may_take(ticket, self._free):
            self._free -= 1
            self._note_served(ticket)
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((ticket, turn))
            self._make_way()
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled() and turn.exception() is None:
                    self._give_place()
                raise
        self._running.append(ticket)
        try:
            yield
        finally:
            self._running.remove(ticket)
            self._give_place()

    def _make_way(self) -> None:
        """Stop as many finer renditions as urgent tasks wait.

        Those of other versions go first, then those that began last.
        """
        urgent = sum(
            ticket.rank <= MediaRank.FIRST and not turn.done() for ticket, turn in self._waiting
        )
        going = sum(ticket.is_giving_way for ticket in self._running)
        later_first = self._running[::-1]
        for ticket in sorted(later_first, key=lambda ticket: -ticket.rank):
            if going >= urgent:
                return
            if ticket.rank >= MediaRank.MORE and not ticket.is_giving_way:
                if ticket.preemptions >= PREEMPTIONS_MAX and ticket.rank < MediaRank.AHEAD:
                    continue
                ticket.is_giving_way = True
                ticket.preemptions += 1
                going += 1
                stop = asyncio.create_task(self._pool.cancel(ticket.key), name="media-give-way")
                self._stopping.add(stop)
                stop.add_done_callback(self._stopping.discard)

    def _give_place(self) -> None:
        """Hand the place to whoever's turn it is, or keep it free."""
        self._waiting = [(ticket, turn) for ticket, turn in self._waiting if not turn.done()]
        free = self._free + 1
        ready = [n for n, (it, _turn) in enumerate(self._waiting) if self._may_take(it, free)]
        if ready:
            place = min(ready, key=self._turn_of)
            ticket, turn = self._waiting.pop(place)
            self._note_served(ticket)
            turn.set_result(None)
            return
        self._free += 1

    def _may_take(self, ticket: _Ticket, free: int) -> bool:
        """Whether one of so many free places is for this task."""
        kept = 1 if ticket.rank is MediaRank.AHEAD and self.slots_max > 1 else 0
        return free > kept

    def _turn_of(self, place: int) -> tuple[int, int, int]:
        ticket, _turn = self._waiting[place]
        return ticket.rank, self._served.get(ticket.owner, -1), ticket.order

    def _note_served(self, ticket: _Ticket) -> None:
        self._served.pop(ticket.owner, None)
        self._served[ticket.owner] = next(self._order)
        if len(self._served) > OWNERS_MAX:
            self._served.popitem(last=False)


def _count_ranks(tickets: Iterable[_Ticket]) -> dict[str, int]:
    counts = Counter(ticket.rank for ticket in tickets)
    return {rank.name.lower(): counts[rank] for rank in sorted(counts)}
