"""Reads of many callers as one query: whoever asks while a query runs shares the next one.

When thousands of sockets come back at once, what they need to know is asked for in batches, and
answers are kept for a moment. A key that is not found is never kept.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from kit.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

BATCH_MAX = 500
GATHER_S = 0.01
"""A query that closely follows another waits so long for company."""
ENTRIES_MAX = 20_000
PATIENCE_S = 3.0
"""Whoever asks hears that storage is silent as soon as whoever writes does (`WRITE_TIMEOUT_S`)."""


@dataclass(frozen=True)
class _Kept(Generic[V]):
    value: V
    read_s: float


class BatchedReads(Generic[K, V]):
    """`read(keys)` returns what was found; its errors reach everybody who waited for it."""

    def __init__(
        self,
        read: Callable[[list[K]], Awaitable[dict[K, V]]],
        clock: Clock,
        fresh_s: float,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self._read = read
        self._clock = clock
        self._fresh_s = fresh_s
        self._kept: OrderedDict[K, _Kept[V]] = OrderedDict()
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._runner: asyncio.Task[None] | None = None
        self._read_at_s = self._forgotten_s = float("-inf")

    async def get(self, key: K) -> V | None:
        """Return the value, at most `fresh_s` old; None when there is none.

        Raises TimeoutError when nothing is heard for `patience_s`.
        """
        kept = self._kept.get(key)
        if kept is not None and self._clock.monotonic_s() - kept.read_s < self._fresh_s:
            return kept.value
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            if self._runner is None:
                self._runner = asyncio.create_task(self._run(), name="batched-reads")
        # Shielded: a caller that goes away must not take the others' answer with it.
        async with asyncio.timeout(self._patience_s):
            return await asyncio.shield(future)

    def forget(self, key: K) -> None:
        """Ask anew for this key. A query that runs already may still bring the old answer."""
        self._kept.pop(key, None)

    def forget_all(self) -> None:
        """Ask anew for every key; what a query that runs already brings is not kept."""
        self._kept.clear()
        self._forgotten_s = self._clock.monotonic_s()

    async def _run(self) -> None:
        try:
            while self._waiting:
                if self._clock.monotonic_s() - self._read_at_s < GATHER_S:
                    await asyncio.sleep(GATHER_S)
                keys = list(self._waiting)[:BATCH_MAX]
                await self._answer({key: self._waiting.pop(key) for key in keys})
                self._read_at_s = self._clock.monotonic_s()
        finally:
            self._runner = None

    async def _answer(self, asked: dict[K, asyncio.Future[V | None]]) -> None:
        started_s = self._clock.monotonic_s()
        try:
            found = await self._read(list(asked))
        except Exception as error:  # noqa: BLE001 - handed to every caller, who knows what to do
            for future in asked.values():
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # seen, should its callers all be gone
            return
        except BaseException:
            for future in asked.values():
                future.cancel()
            raise
        for key, future in asked.items():
            value = found.get(key)
            if value is not None and started_s > self._forgotten_s:
                self._keep(key, _Kept(value, started_s))
            if not future.done():
                future.set_result(value)

    def _keep(self, key: K, kept: _Kept[V]) -> None:
        self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > ENTRIES_MAX:
            self._kept.popitem(last=False)
