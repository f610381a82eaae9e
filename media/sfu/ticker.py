"""Repeats a plane's ticks from start to stop; says so when they end for any other reason."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from kit.logs import get_log

TICK_S = 0.05

log = get_log("sfu")


class Ticker:
    """Owns the task that calls `tick`."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._task is not None

    def start(self) -> None:
        """Begin; within a running loop."""
        self._task = asyncio.create_task(self._run(), name="sfu-ticks")
        self._task.add_done_callback(_report_end)

    async def stop(self) -> None:
        """End; stopping twice does nothing."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._tick()


def _report_end(ticking: asyncio.Task[None]) -> None:
    """Say so at once when ticks stop for any reason but our own; `stop` would tell too late."""
    error = None if ticking.cancelled() else ticking.exception()
    if error is not None:
        log.error("sfu.ticks_stopped", exc_info=error)
