"""Which lives were hidden, shown or deleted a moment ago: one book per edge.

Notices arrive by NOTIFY; a poll each second finds what a lost notice would have told. Whoever
shows a live to people is told once per change and looks again who may stay.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from kit.errors import Unavailable
from kit.logs import get_log
from storage.database import LOST_CONNECTION, Database
from storage.lives import ACCESS_CHANNEL, list_changed_accesses

POLL_EVERY_S = 1.0
WINDOW_S = 60.0
"""How far back the poll looks: longer than any transaction and any short outage of the poll."""
log = get_log("edge.live_access")
ChangedCall = Callable[[uuid.UUID], None]


class LiveAccessBook:
    """The last change of each live; `run()` keeps it current until cancelled."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions: dict[uuid.UUID, int] = {}
        self._listeners: list[ChangedCall] = []
        self._missed_since_s = 0.0
        self.changes = 0

    def on_changed(self, call: ChangedCall) -> None:
        """Have `call(live_id)` made once per change, on the loop; it must not raise."""
        self._listeners.append(call)

    def get_version(self, live_id: uuid.UUID) -> int:
        """Return the version that an answer about this live must have at least."""
        return self._versions.get(live_id, 0)

    def note(self, live_id: uuid.UUID, version: int) -> None:
        """Record a change and tell those who asked, unless it is known."""
        if version <= self._versions.get(live_id, 0):
            return
        self._versions[live_id] = version
        self.changes += 1
        for call in self._listeners:
            call(live_id)

    async def load(self) -> None:
        """Read the recent changes; the book forgets those that are older."""
        loop = asyncio.get_running_loop()
        window_s = WINDOW_S + (loop.time() - self._missed_since_s if self._missed_since_s else 0.0)
        known = set(self._versions)
        async with self._database.connection() as connection:
            changed = await list_changed_accesses(connection, window_s)
        self._missed_since_s = 0.0
        for live_id, version in changed:
            self.note(live_id, version)
        for live_id in known.difference(live_id for live_id, _version in changed):
            del self._versions[live_id]

    async def run(self) -> None:
        """Follow changes until cancelled; survives PostgreSQL going away and coming back."""
        stop: Callable[[], Awaitable[None]] | None = None
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    if stop is None:
                        stop = await self._database.listen(ACCESS_CHANNEL, self._hear)
                    await self.load()
                except (Unavailable, *LOST_CONNECTION) as error:
                    log.info("live_access.unreachable", kind=type(error).__name__)
                    self._missed_since_s = self._missed_since_s or loop.time()
                    if stop is not None:
                        await stop()
                    stop = None
                await asyncio.sleep(POLL_EVERY_S)
        finally:
            if stop is not None:
                await stop()

    def _hear(self, payload: str) -> None:
        live_id, _, version = payload.partition(" ")
        self.note(uuid.UUID(live_id), int(version))
