"""Time as an argument: rules take a `Clock`, so that a test owns it.

`now()` is wall time in UTC for rows and messages; `monotonic_s()` is for timers and deadlines.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where rules get the time from."""

    def now(self) -> datetime:
        """Return wall time, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never go backwards, for timers."""
        ...


class SystemClock:
    """The machine's clock; leases also count time spent asleep (CLOCK_BOOTTIME)."""

    def now(self) -> datetime:
        """Return wall time, UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return CLOCK_BOOTTIME in seconds."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class ManualClock:
    """A clock that moves only when told to; for tests and simulations."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 1, tzinfo=UTC)
        self._monotonic_s = 1000.0

    def now(self) -> datetime:
        """Return the set wall time."""
        return self._now

    def monotonic_s(self) -> float:
        """Return the set monotonic time in seconds."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by `seconds`."""
        assert seconds >= 0, "a clock does not go backwards"
        self._now += timedelta(seconds=seconds)
        self._monotonic_s += seconds


def format_time(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC with milliseconds."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
