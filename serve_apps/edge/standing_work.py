"""What an edge does as long as it runs: work that fails is said, counted, and begun anew.

`server.py` owns it. Nobody awaits such work, so that one fault would otherwise end it unheard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from kit.logs import get_log
from kit.metrics import EDGE_WORK_FAILED

AGAIN_AFTER_S = 1.0
"""A fault that comes at once each time costs no more than this often."""

log = get_log("edge")


class StandingWork:
    """All such work of one edge; `close` ends it."""

    def __init__(self, again_after_s: float = AGAIN_AFTER_S) -> None:
        self._again_after_s = again_after_s
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, works: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        """Do works, by name, until closed."""
        for name, work in works.items():
            task = asyncio.create_task(self._keep(name, work), name=f"edge-{name}")
            self._tasks.append(task)

    async def close(self) -> None:
        """End all work; closing twice does nothing."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception:  # whatever it is, viewers and publishers go on
                log.exception("edge.work_failed", work=name)
                EDGE_WORK_FAILED.labels(name).inc()
            await asyncio.sleep(self._again_after_s)
