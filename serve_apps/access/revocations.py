"""Which sessions were revoked while their access tokens still live: one book per process.

The API and the edges each keep one, so that a revoked session stops counting without a query per
request. Notices arrive by NOTIFY; a poll each second finds what a lost notice would have told.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from kit.errors import Unavailable
from kit.logs import get_log
from storage.database import LOST_CONNECTION, Database
from storage.sessions import REVOKED_CHANNEL, list_revoked_sessions

POLL_EVERY_S = 1.0
log = get_log("access.revocations")
RevokedCall = Callable[[uuid.UUID], None]


class RevocationBook:
    """The ids of recently revoked sessions; `run()` keeps it current until cancelled."""

    def __init__(self, database: Database, access_ttl_s: int) -> None:
        self._database = database
        self._window_s = access_ttl_s + 60
        self._revoked: set[uuid.UUID] = set()
        self._listeners: list[RevokedCall] = []

    def is_revoked(self, session_id: uuid.UUID) -> bool:
        """Say whether tokens of this session have stopped counting."""
        return session_id in self._revoked

    def note(self, session_id: uuid.UUID) -> None:
        """Record a revocation now and tell those who asked (`on_revoked`)."""
        if session_id in self._revoked:
            return
        self._revoked.add(session_id)
        for call in self._listeners:
            call(session_id)

    def on_revoked(self, call: RevokedCall) -> None:
        """Have `call(session_id)` made once per revocation, on the loop; it must not raise."""
        self._listeners.append(call)

    async def load(self) -> None:
        """Read the present revocations; the book forgets those older than any living token."""
        known = set(self._revoked)
        async with self._database.connection() as connection:
            current = await list_revoked_sessions(connection, self._window_s)
        for session_id in current:
            self.note(session_id)
        self._revoked -= known.difference(current)

    async def run(self) -> None:
        """Follow revocations until cancelled; survives PostgreSQL going away and coming back."""
        stop: Callable[[], Awaitable[None]] | None = None
        try:
            while True:
                try:
                    if stop is None:
                        stop = await self._database.listen(REVOKED_CHANNEL, self._hear)
                    await self.load()
                except (Unavailable, *LOST_CONNECTION) as error:
                    log.info("revocations.unreachable", kind=type(error).__name__)
                    if stop is not None:
                        await stop()
                    stop = None
                await asyncio.sleep(POLL_EVERY_S)
        finally:
            if stop is not None:
                await stop()

    def _hear(self, payload: str) -> None:
        self.note(uuid.UUID(payload))
