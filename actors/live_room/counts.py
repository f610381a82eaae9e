"""Tells the cache how many people watch each room of this host, for lists that ask no host.

Every host runs one board beside its rooms. Changed counts are written together each second;
unchanged ones again before they expire. Lost counts cost nothing: the next round repeats them.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from actors.hosting.core import HostView
from actors.live_room.room import Room
from kit.clock import Clock
from storage.cache import Cache
from storage.placements import ROOM
from storage.viewers import write_viewer_counts

WRITE_EVERY_S = 1.0
REPEAT_EVERY_S = 15.0
COUNTS_PER_WRITE_MAX = 500
"""Bounds how long one round keeps the event loop; the rest goes in the next, the oldest first."""


@dataclass(frozen=True)
class Written:
    """What the cache was told of a room, and when."""

    viewers: int
    at_s: float


async def run_count_board(view: HostView) -> None:
    """Tell the cache of this host's rooms until cancelled."""

    def list_counts() -> dict[uuid.UUID, int]:
        rooms = (core for core in view.list_cores(ROOM) if isinstance(core, Room))
        return {room.id: room.get_counts()["viewers"] for room in rooms}

    await CountBoard(view.cache, view.clock, list_counts).run()


class CountBoard:
    """Writes until cancelled."""

    def __init__(
        self, cache: Cache, clock: Clock, list_counts: Callable[[], Mapping[uuid.UUID, int]]
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._list_counts = list_counts
        self._written: dict[uuid.UUID, Written] = {}

    async def run(self) -> None:
        """Write what is due, round after round."""
        while True:
            await self.write()
            await asyncio.sleep(WRITE_EVERY_S)

    async def write(self) -> None:
        """Write one round."""
        now_s = self._clock.monotonic_s()
        counts = self._list_counts()
        due = decide_due(counts, self._written, now_s)
        self._written = {key: known for key, known in self._written.items() if key in counts}
        if due and await write_viewer_counts(self._cache, due):
            self._written.update({key: Written(count, now_s) for key, count in due.items()})


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

    due = sorted(filter(is_due, counts), key=find_age)[:COUNTS_PER_WRITE_MAX]
    return {room_id: counts[room_id] for room_id in due}
