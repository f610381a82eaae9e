"""When which object wants to act on time: asked or awaited for, never walked through."""

from __future__ import annotations

import asyncio
import heapq
import math

from actors.hosting.core import ObjectKey

LOOK_EVERY_S = 2.0
"""How long nobody looks where nothing is due: the clock may have jumped meanwhile."""


class Timetable:
    """The next due time of each object, in seconds of the host's clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, ObjectKey]] = []
        self._due_s: dict[ObjectKey, float] = {}
        self._sooner = asyncio.Event()
        self._awaited_s = -math.inf
        """Until when somebody waits."""

    def __len__(self) -> int:
        return len(self._due_s)

    def set_due(self, key: ObjectKey, due_s: float | None) -> None:
        """Say when the object wants to act next; None: not before it says so again."""
        if self._due_s.get(key) == due_s:
            return
        if due_s is None:
            del self._due_s[key]
            return
        self._due_s[key] = due_s
        heapq.heappush(self._heap, (due_s, key))
        if due_s < self._awaited_s:
            self._sooner.set()
        if len(self._heap) > 64 + 4 * len(self._due_s):
            # Objects that were put off again and again leave outdated entries behind.
            self._heap = [(due_s, key) for key, due_s in self._due_s.items()]
            heapq.heapify(self._heap)

    async def wait_due(self, now_s: float) -> None:
        """Return when something is due, or was to be before it was put off, or may be after all."""
        next_s = self._heap[0][0] if self._heap else math.inf
        wait_s = min(next_s - now_s, LOOK_EVERY_S)
        if wait_s <= 0:
            return
        self._awaited_s = now_s + wait_s
        self._sooner.clear()
        look = asyncio.get_running_loop().call_later(wait_s, self._sooner.set)
        try:
            await self._sooner.wait()
        finally:
            look.cancel()
            self._awaited_s = -math.inf

    def take_due(self, now_s: float, keys_max: int) -> list[ObjectKey]:
        """Return what is due, the longest due first, at most `keys_max`; it is due no more."""
        due: list[ObjectKey] = []
        while self._heap and self._heap[0][0] <= now_s and len(due) < keys_max:
            due_s, key = heapq.heappop(self._heap)
            if self._due_s.get(key) == due_s:
                del self._due_s[key]
                due.append(key)
        return due
