"""At what rate connections are let in: by edge and by caller, before anything is kept of them.

Pure but for its counters; the clock is an argument. What is refused comes back after a moment.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass

from kit.errors import RateLimited, Unavailable
from kit.metrics import SOCKETS_REFUSED
from kit.setting_sections import EdgeSettings
from serve_apps.access.callers import is_of_this_machine

CALLERS_MAX = 10_000


class EdgeFull(Unavailable):
    """This edge takes no more sockets at this moment."""

    code, message = "edge_full", "This edge is full; ask for another one."


class TooManyArrivals(RateLimited):
    """One address opens connections faster, or keeps more of them, than it may."""

    code = "too_many_arrivals"
    message = "Too many connections come from your address; wait a moment."


@dataclass(slots=True)
class Allowance:
    """A bucket that fills at `per_s` up to `burst`; every take costs one."""

    per_s: float
    burst: float
    left: float
    filled_at_s: float

    def take(self, now_s: float) -> bool:
        """Take one; False when none is left."""
        self.left = min(self.burst, self.left + (now_s - self.filled_at_s) * self.per_s)
        self.filled_at_s = now_s
        if self.left < 1:
            return False
        self.left -= 1
        return True


def make_allowance(per_s: float, burst: float, now_s: float) -> Allowance:
    """Return a full bucket."""
    return Allowance(per_s, burst, burst, now_s)


class Admissions:
    """Who may come in now; callers on this machine (a proxy) count against the edge alone."""

    def __init__(self, settings: EdgeSettings, now_s: float) -> None:
        self._settings = settings
        rate = float(settings.handshakes_per_s_max)
        self._all = make_allowance(rate, rate, now_s)
        self._callers: OrderedDict[str, Allowance] = OrderedDict()
        self._open: Counter[str] = Counter()

    def admit(self, caller: str, open_count: int, now_s: float) -> None:
        """Count an arrival; raises EdgeFull or TooManyArrivals, both with when to come back."""
        if open_count >= self._settings.sockets_max:
            self.refuse("full")
        if not is_of_this_machine(caller):
            self._admit_caller(caller, now_s)
        if not self._all.take(now_s):
            self.refuse("storm")

    def refuse(self, reason: str) -> None:
        """Count and raise EdgeFull."""
        SOCKETS_REFUSED.labels(reason).inc()
        raise EdgeFull(retry_after_s=1)

    def note_opened(self, caller: str) -> None:
        """One more connection of the caller is open."""
        self._open[caller] += 1

    def note_closed(self, caller: str) -> None:
        """One of the caller's connections ended."""
        self._open[caller] -= 1
        if self._open[caller] <= 0:
            del self._open[caller]

    def _admit_caller(self, caller: str, now_s: float) -> None:
        rate = float(self._settings.handshakes_per_address_s_max)
        allowance = self._callers.get(caller)
        if allowance is None:
            allowance = self._callers[caller] = make_allowance(rate, rate, now_s)
            while len(self._callers) > CALLERS_MAX:
                self._callers.popitem(last=False)
        self._callers.move_to_end(caller)
        is_over = self._open[caller] >= self._settings.sockets_per_address_max
        if is_over or not allowance.take(now_s):
            SOCKETS_REFUSED.labels("address").inc()
            raise TooManyArrivals(retry_after_s=1)
