"""Repeats a plane's ticks from start to stop; one that fails is said, and the next one comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from kit.logs import get_log

TICK_S = 0.05
SAID_EVERY_S = 5.0
"""So often at most is a failure said: it may come with every tick."""
FAILED_MAX = 200
"""So many failures one behind the other, ten seconds, end the ticks: nobody new is taken then."""

log = get_log("sfu")


class Ticker:
    """Owns the task that calls `tick`."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._task: asyncio.Task[None] | None = None
        self._said_s = float("-inf")

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither stopped nor ended by failures."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Begin; within a running loop."""
        self._task = asyncio.create_task(self._run(), name="sfu-ticks")

    async def stop(self) -> None:
        """End; stopping twice does nothing."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        failed = 0
        while failed < FAILED_MAX:
            await asyncio.sleep(TICK_S)
            failed += 1
            try:
                self._tick()
                failed = 0
            except Exception:  # what one session does must not end the care for all others
                if self._is_due_to_say():
                    log.exception("sfu.tick_failed")
        log.error("sfu.ticks_stopped")

    def _is_due_to_say(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        is_due = now_s - self._said_s >= SAID_EVERY_S
        if is_due:
            self._said_s = now_s
        return is_due
