"""Tells the cache how many people watch each room of this host, for lists that ask no host.

Every host runs one board beside its rooms. It goes round them every two seconds, some at a time, so
that a host of thousands is never held up: changed counts are written, unchanged ones again before
they expire. Lost counts cost nothing: a later round repeats them.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from actors.hosting.core import HostView
from actors.live_room.room import Room
from kit.clock import Clock
from storage.cache import Cache
from storage.placements import ROOM
from storage.viewers import write_viewer_counts

ROUND_S = 2.0
REPEAT_EVERY_S = 30.0
ROOMS_PER_STEP = 250
COUNTS_PER_STEP_MAX = 50
"""Bounds how long one step keeps the event loop (2 ms); the rest goes in the next round, the oldest
first."""


@dataclass(frozen=True)
class Written:
    """What the cache was told of a room, and when."""

    viewers: int
    at_s: float


async def run_count_board(view: HostView) -> None:
    """Tell the cache of this host's rooms until cancelled."""

    def list_rooms() -> list[Room]:
        return [core for core in view.list_cores(ROOM) if isinstance(core, Room)]

    await CountBoard(view.cache, view.clock, list_rooms).run()


class CountBoard:
    """Writes until cancelled."""

    def __init__(
        self, cache: Cache, clock: Clock, list_rooms: Callable[[], Sequence[Room]]
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._list_rooms = list_rooms
        self._written: dict[uuid.UUID, Written] = {}

    async def run(self) -> None:
        """Go round the rooms again and again."""
        while True:
            rooms = self._list_rooms()
            steps = max(1, -(-len(rooms) // ROOMS_PER_STEP))
            self._forget_others(rooms)
            for step in range(steps):
                await self.write(rooms[step * ROOMS_PER_STEP : (step + 1) * ROOMS_PER_STEP])
                await asyncio.sleep(ROUND_S / steps)

    async def write(self, rooms: Sequence[Room]) -> None:
        """Write what is due of some rooms."""
        now_s = self._clock.monotonic_s()
        counts = {room.id: room.get_counts()["viewers"] for room in rooms}
        due = decide_due(counts, self._written, now_s)
        if due and await write_viewer_counts(self._cache, due):
            self._written.update({key: Written(count, now_s) for key, count in due.items()})

    def _forget_others(self, rooms: Sequence[Room]) -> None:
        present = {room.id for room in rooms}
        for room_id in [known for known in self._written if known not in present]:
            del self._written[room_id]


def decide_due(
    counts: Mapping[uuid.UUID, int], written: Mapping[uuid.UUID, Written], now_s: float
) -> dict[uuid.UUID, int]:
    """Return the counts to write now: unknown, changed, or soon to expire; the oldest first."""

    def is_due(room_id: uuid.UUID) -> bool:
        known = written.get(room_id)
        is_stale = known is None or now_s - known.at_s >= REPEAT_EVERY_S
        return is_stale or (known is not None and known.viewers != counts[room_id])

    def find_age(room_id: uuid.UUID) -> float:
        known = written.get(room_id)
        return float("-inf") if known is None else known.at_s

    due = sorted(filter(is_due, counts), key=find_age)[:COUNTS_PER_STEP_MAX]
    return {room_id: counts[room_id] for room_id in due}
