"""How many entries an object stores per minute, without keeping their times. Pure."""

from __future__ import annotations

import math

DECAY_S = 60.0


class RateMeter:
    """A count that fades: after a minute without events a third is left."""

    def __init__(self) -> None:
        self._value = 0.0
        self._at_s = 0.0

    def count(self, events: int, now_s: float) -> None:
        """Count events that happened now."""
        self._value = self.read_per_min(now_s) + events
        self._at_s = now_s

    def read_per_min(self, now_s: float) -> float:
        """Return the rate as seen from now."""
        return self._value * math.exp(-max(0.0, now_s - self._at_s) / DECAY_S)
