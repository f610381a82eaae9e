"""When which object wants to act on time: asked for what is due, never walked through. Pure."""

from __future__ import annotations

import heapq

from actors.hosting.core import ObjectKey


class Timetable:
    """The next due time of each object, in seconds of the host's clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, ObjectKey]] = []
        self._due_s: dict[ObjectKey, float] = {}

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
        if len(self._heap) > 64 + 4 * len(self._due_s):
            # Objects that were put off again and again leave outdated entries behind.
            self._heap = [(due_s, key) for key, due_s in self._due_s.items()]
            heapq.heapify(self._heap)

    def take_due(self, now_s: float, keys_max: int) -> list[ObjectKey]:
        """Return what is due, the longest due first, at most `keys_max`; it is due no more."""
        due: list[ObjectKey] = []
        while self._heap and self._heap[0][0] <= now_s and len(due) < keys_max:
            due_s, key = heapq.heappop(self._heap)
            if self._due_s.get(key) == due_s:
                del self._due_s[key]
                due.append(key)
        return due
