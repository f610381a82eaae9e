"""How often something may fail before it is left alone for a while: restart intensity. Pure.

After Erlang/OTP's supervisors (doc: supervisor, "maximum restart intensity"): an object that
breaks an invariant is rebuilt from storage at once, but not for ever. Used per object, per
incarnation of a host, and per process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from types import TracebackType

from kit.clock import Clock
from kit.errors import Unavailable


class ObjectFailing(Unavailable):
    """The object broke too often within a short time; it is tried again after a pause."""

    code, message = "object_failing", "This does not work right now; try again in a moment."


@dataclass(frozen=True)
class Intensity:
    """So many failures within so many seconds are borne; then comes a pause."""

    failures_max: int
    within_s: float
    pause_s: float


OBJECT_INTENSITY = Intensity(failures_max=5, within_s=60.0, pause_s=30.0)
HOST_INTENSITY = Intensity(failures_max=50, within_s=60.0, pause_s=0.0)
"""Of one incarnation: when so many objects break, its memory is what is broken."""


class FailureBook:
    """Failures by whatever fails."""

    def __init__(self, intensity: Intensity, clock: Clock) -> None:
        self._intensity = intensity
        self._clock = clock
        self._times_s: dict[Hashable, deque[float]] = {}
        self._paused_until_s: dict[Hashable, float] = {}

    def note(self, who: Hashable) -> bool:
        """Count a failure; True when it was one too many, and the pause begins."""
        now_s = self._clock.monotonic_s()
        times_s = self._times_s.setdefault(who, deque())
        times_s.append(now_s)
        while times_s[0] <= now_s - self._intensity.within_s:
            times_s.popleft()
        if len(times_s) <= self._intensity.failures_max:
            return False
        del self._times_s[who]
        self._paused_until_s[who] = now_s + self._intensity.pause_s
        return True

    def find_pause_s(self, who: Hashable) -> float | None:
        """Return how long `who` is still left alone; None: not at all."""
        until_s = self._paused_until_s.get(who)
        if until_s is None:
            return None
        left_s = until_s - self._clock.monotonic_s()
        if left_s > 0:
            return left_s
        del self._paused_until_s[who]
        return None

    def tidy(self) -> None:
        """Forget what is past."""
        if not self._times_s and not self._paused_until_s:
            return
        now_s = self._clock.monotonic_s()
        limit_s = now_s - self._intensity.within_s
        self._times_s = {who: t for who, t in self._times_s.items() if t[-1] > limit_s}
        self._paused_until_s = {w: u for w, u in self._paused_until_s.items() if u > now_s}


class Guard:
    """Ends what breaks within it, instead of whoever runs it; `is_broken` tells afterwards.

    Errors of the `passing` types go on, as cancellation does.
    """

    def __init__(self, on_broken: Callable[[Exception], None], *passing: type[Exception]) -> None:
        self._on_broken = on_broken
        self._passing = passing
        self.is_broken = False

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, self._passing):
            return False
        self.is_broken = True
        self._on_broken(error)
        return True
