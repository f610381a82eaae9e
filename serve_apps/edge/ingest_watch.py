"""Tells rooms what their publishers send to this edge, every two seconds."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from actors.live_room.health import IngestReport
from serve_apps.edge.broadcasts import Broadcasts

EVERY_S = 2.0


class IngestWatch:
    """Goes round the broadcasts of one edge."""

    def __init__(
        self,
        broadcasts: Broadcasts,
        report: Callable[[uuid.UUID, IngestReport], None],
        now_s: Callable[[], float],
    ) -> None:
        self._broadcasts = broadcasts
        self._report = report
        self._now_s = now_s

    async def run(self) -> None:
        """Measure and tell until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            for broadcast in self._broadcasts:
                report = broadcast.measure_ingest(self._now_s())
                if report is not None:
                    self._report(broadcast.room_id, report)
