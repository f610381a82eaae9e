"""Which sessions were revoked while their access tokens still live: one book per process.

The API and the edges each keep one, so that a revoked session stops counting without a query per
request. Notices arrive by NOTIFY; a poll each second finds what a lost notice would have told.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from storage.database import Database
from storage.sessions import REVOKED_CHANNEL, list_revoked_sessions

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
        await self._database.follow(REVOKED_CHANNEL, self._hear, self.load)

    def _hear(self, payload: str) -> None:
        self.note(uuid.UUID(payload))
