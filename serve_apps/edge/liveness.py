"""Says that this edge is alive: heartbeats from a thread of its own, plus the loop's progress.

A busy loop is not taken for a dead one, and a stuck loop not for a living one: the thread writes
the edge's row while the loop has moved within the last seconds, and stops writing when it has not.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass

from kit.errors import AppError
from kit.logs import get_log
from kit.metrics import LOOP_LAG
from storage.database import LOST_CONNECTION, Database, PoolOptions
from storage.edges import renew_edge

log = get_log("edge")

BEAT_EVERY_S = 1.0
TTL_S = 5.0
STUCK_S = 4.0
LAG_EVERY_S = 0.1
BREATHLESS_FOR_S = 1.0


class LoopWatch:
    """Measures how late the event loop runs; read from any thread."""

    def __init__(self, lag_max_s: float) -> None:
        self.moved_at_s = time.monotonic()
        self._lag_max_s = lag_max_s
        self._late_at_s = float("-inf")

    @property
    def is_breathless(self) -> bool:
        """Whether the loop ran later than it may within the last second."""
        return time.monotonic() - self._late_at_s < BREATHLESS_FOR_S

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(LAG_EVERY_S)
            now_s = time.monotonic()
            lag_s = max(0.0, now_s - before_s - LAG_EVERY_S)
            LOOP_LAG.observe(lag_s)
            self.moved_at_s = now_s
            if lag_s > self._lag_max_s:
                self._late_at_s = now_s


@dataclass
class EdgeVitals:
    """What the next heartbeat says; the loop writes it, the thread reads it."""

    state: str = "live"
    load: float = 0.0


class Heartbeat(threading.Thread):
    """Writes the row of `edge` (node, slot, incarnation) once a second until stopped."""

    def __init__(
        self, dsn: str, edge: tuple[str, int, int], watch: LoopWatch, vitals: EdgeVitals
    ) -> None:
        super().__init__(name="edge-heartbeat", daemon=True)
        self._dsn = dsn
        self._edge = edge
        self._watch = watch
        self._vitals = vitals
        self._stopping = threading.Event()
        self.is_replaced = False

    def run(self) -> None:
        """Beat on an event loop of this thread's own."""
        asyncio.run(self._beat())

    def stop(self) -> None:
        """End the thread; it says "gone" first. Blocks for a second at most."""
        self._vitals.state = "gone"
        self._stopping.set()
        self.join(timeout=2.0)

    async def _beat(self) -> None:
        database = Database(self._dsn, PoolOptions(size=1, name="edge-heartbeat"))
        await database.open()
        try:
            while not self.is_replaced:
                is_last = self._stopping.is_set()
                if is_last or time.monotonic() - self._watch.moved_at_s < STUCK_S:
                    await self._write(database)
                if is_last:
                    return
                await asyncio.to_thread(self._stopping.wait, BEAT_EVERY_S)
        finally:
            await database.close()

    async def _write(self, database: Database) -> None:
        try:
            async with asyncio.timeout(BEAT_EVERY_S), database.connection() as connection:
                is_ours = await renew_edge(
                    connection,
                    self._edge,
                    state=self._vitals.state,
                    load=self._vitals.load,
                    ttl_s=TTL_S,
                )
        except (AppError, *LOST_CONNECTION) as error:
            log.warning("edge.heartbeat_failed", error=type(error).__name__)
            return
        except Exception:
            # A full disk, a server that may only read for a while: the next beat may be written.
            log.exception("edge.heartbeat_refused")
            return
        if not is_ours:
            log.error("edge.replaced", slot=self._edge[1])
            self.is_replaced = True
