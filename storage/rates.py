"""Counting against limits: the generic cell rate algorithm on Valkey, in memory while it is away.

A limit of n per window admits n at once and refills evenly, so no window edge admits twice as
much. Used by the API; which limits count for whom is decided in `serve_apps/access/rates.py`.
GCRA: ITU-T I.371 appendix; the arrival time is Valkey's own clock, so replicas agree.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from kit.clock import Clock
from kit.logs import get_log
from storage.cache import AWAY, Cache

KEY_PREFIX = "rate:"
KEYS_MAX = 50_000
WAIT_S = 0.25
PAUSE_S = 1.0
log = get_log("storage.rates")

# KEYS: one per limit; ARGV: interval and window of each limit, in microseconds. Returns per limit
# the microseconds until the allowance is full again and until the next call is admitted (0: was).
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local fulls, waits, refused = {}, {}, false
for i = 1, #KEYS do
  local interval, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local full = math.max(tonumber(redis.call('GET', KEYS[i]) or '0'), now)
  local wait = full + interval - window - now
  fulls[i], waits[i] = full, math.max(wait, 0)
  if wait > 0 then refused = true end
end
local answer = {}
for i = 1, #KEYS do
  if not refused then
    fulls[i] = fulls[i] + tonumber(ARGV[2 * i - 1])
    local life = math.ceil((fulls[i] - now) / 1000)
    redis.call('SET', KEYS[i], string.format('%.0f', fulls[i]), 'PX', life)
  end
  answer[2 * i - 1], answer[2 * i] = fulls[i] - now, waits[i]
end
return answer
"""


@dataclass(frozen=True)
class RateLimit:
    """At most `calls` per `window_s` seconds."""

    calls: int
    window_s: int


@dataclass(frozen=True)
class RateVerdict:
    """The tightest limit's state after a call."""

    admitted: bool
    limit: int
    remaining: int
    full_in_s: float
    retry_after_s: float


class RateBook:
    """Counts calls by key; one per process, safe to share between tasks."""

    def __init__(self, cache: Cache | None, clock: Clock, wait_s: float = WAIT_S) -> None:
        self._cache = cache
        self._clock = clock
        self._wait_s = wait_s
        self._memory: OrderedDict[str, float] = OrderedDict()
        self._paused_until_s = -math.inf

    async def count(self, key: str, limits: Sequence[RateLimit]) -> RateVerdict | None:
        """Count one call; None without limits. A refused call counts against nothing."""
        if not limits:
            return None
        names = [f"{KEY_PREFIX}{key}:{limit.window_s}" for limit in limits]
        if self._cache is not None and self._clock.monotonic_s() >= self._paused_until_s:
            try:
                async with asyncio.timeout(self._wait_s):
                    return await self._count_shared(self._cache, names, limits)
            except AWAY as error:
                self._paused_until_s = self._clock.monotonic_s() + PAUSE_S
                log.warning("rates.counted_in_memory", error=type(error).__name__)
        return self._count_here(names, limits)

    async def forget(self, key: str, limits: Sequence[RateLimit]) -> None:
        """Give the whole allowance back, as after a login that succeeded."""
        names = [f"{KEY_PREFIX}{key}:{limit.window_s}" for limit in limits]
        for name in names:
            self._memory.pop(name, None)
        if self._cache is None or self._clock.monotonic_s() < self._paused_until_s:
            return
        try:
            async with asyncio.timeout(self._wait_s):
                await self._cache.client.delete(*names)
        except AWAY as error:
            self._paused_until_s = self._clock.monotonic_s() + PAUSE_S
            log.warning("rates.forget_failed", error=type(error).__name__)

    async def _count_shared(
        self, cache: Cache, names: list[str], limits: Sequence[RateLimit]
    ) -> RateVerdict:
        numbers: list[int] = []
        for limit in limits:
            numbers += [limit.window_s * 1_000_000 // limit.calls, limit.window_s * 1_000_000]
        script = cache.client.register_script(SCRIPT)
        answer = await script(keys=names, args=numbers)
        full_us, waits_us = answer[0::2], answer[1::2]
        states = [
            _read_state(limit, full / 1e6, wait / 1e6)
            for limit, full, wait in zip(limits, full_us, waits_us, strict=True)
        ]
        now_s = self._clock.monotonic_s()
        self._remember(names, [now_s + full / 1e6 for full in full_us])
        return _pick_tightest(states)

    def _count_here(self, names: list[str], limits: Sequence[RateLimit]) -> RateVerdict:
        now_s = self._clock.monotonic_s()
        fulls = [max(self._memory.get(name, now_s), now_s) for name in names]
        intervals = [limit.window_s / limit.calls for limit in limits]
        waits = [
            max(full + interval - limit.window_s - now_s, 0.0)
            for full, interval, limit in zip(fulls, intervals, limits, strict=True)
        ]
        if all(wait <= 1e-6 for wait in waits):
            fulls = [full + interval for full, interval in zip(fulls, intervals, strict=True)]
            waits = [0.0 for _ in waits]
            self._remember(names, fulls)
        states = [
            _read_state(limit, full - now_s, wait)
            for limit, full, wait in zip(limits, fulls, waits, strict=True)
        ]
        return _pick_tightest(states)

    def _remember(self, names: list[str], fulls: list[float]) -> None:
        """Keep when allowances are full again; what Valkey said last counts on while it is away."""
        for name, full in zip(names, fulls, strict=True):
            self._memory[name] = full
            self._memory.move_to_end(name)
        while len(self._memory) > KEYS_MAX:
            self._memory.popitem(last=False)


def _read_state(limit: RateLimit, full_in_s: float, wait_s: float) -> RateVerdict:
    left = (limit.window_s - full_in_s) * limit.calls / limit.window_s
    return RateVerdict(
        admitted=wait_s <= 0,
        limit=limit.calls,
        remaining=max(0, math.floor(left + 1e-3)),
        full_in_s=max(0.0, full_in_s),
        retry_after_s=wait_s,
    )


def _pick_tightest(states: list[RateVerdict]) -> RateVerdict:
    """The refusing limit that lasts longest, else the one with the smallest share left."""
    refusing = [state for state in states if not state.admitted]
    if refusing:
        return max(refusing, key=lambda state: state.retry_after_s)
    return min(states, key=lambda state: state.remaining)
