"""Reactions, summed: everybody sees how many of each came, never one by one. Pure."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Literal, get_args

Mark = Literal["❤️", "👏", "😂", "😮", "🔥", "🎉"]
REACTIONS: tuple[str, ...] = get_args(Mark)
PER_WINDOW_MAX = 20
WINDOW_S = 10.0
SHOW_EVERY_S = 0.25


class ReactionTally:
    """What came since the last showing; each person counts at most 20 times in ten seconds."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._spent: Counter[uuid.UUID] = Counter()
        self._window_ends_s = 0.0
        self._shown_s = float("-inf")
        self.due_s: float | None = None
        """When what came is to be shown; None: nothing came."""

    def add(self, user_id: uuid.UUID, reaction: str, now_s: float) -> None:
        """Count a reaction; one that is unknown or too many is dropped."""
        if now_s >= self._window_ends_s:
            self._spent.clear()
            self._window_ends_s = now_s + WINDOW_S
        if reaction not in REACTIONS or self._spent[user_id] >= PER_WINDOW_MAX:
            return
        self._spent[user_id] += 1
        self._counts[reaction] += 1
        if self.due_s is None:
            self.due_s = max(now_s, self._shown_s + SHOW_EVERY_S)

    def take(self, now_s: float) -> dict[str, int]:
        """Return the counts since the last time when it is time, and begin anew."""
        if self.due_s is None or now_s < self.due_s:
            return {}
        counts, self._counts = self._counts, Counter()
        self._shown_s, self.due_s = now_s, None
        return dict(counts)
