"""What was hidden, shown or deleted a moment ago, and who lost a right: one book per edge.

Notices arrive by NOTIFY; a poll each second finds what a lost notice would have told. Whoever
shows things to people is told once per change and looks again who may stay. Changes are remembered
for as long as grants that were given before them live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from serve_apps.edge.socket_words import ChannelKind, ChannelName
from storage.access_changes import CHANNEL, AccessChange, list_access_changes, read_notice
from storage.database import Database

WINDOW_S = 60.0
"""How far back the poll looks: longer than any transaction and any short outage of the poll."""
ChangedCall = Callable[[ChannelName], None]


class AccessBook:
    """The last change of each thing and person, by channel; `run()` keeps it up to date.

    `keep_s`: how long a change is remembered, also by an edge that starts after it.
    """

    def __init__(self, database: Database, keep_s: float = WINDOW_S) -> None:
        self._database = database
        self._keep_s = keep_s
        self._versions: dict[ChannelName, int] = {}
        self._kept_until_s: dict[ChannelName, float] = {}
        self._listeners: list[ChangedCall] = []
        self._loaded_at_s = 0.0
        self.changes = 0

    def on_changed(self, call: ChangedCall) -> None:
        """Have `call(channel)` made once per change, on the loop; it must not raise."""
        self._listeners.append(call)

    def get_version(self, channel: ChannelName) -> int:
        """Return the version that an answer about this channel must have at least."""
        return self._versions.get(channel, 0)

    def note(self, channel: ChannelName, version: int) -> None:
        """Record a change and tell those who asked, unless it is known."""
        if version <= self._versions.get(channel, 0):
            return
        self._versions[channel] = version
        self._kept_until_s[channel] = asyncio.get_running_loop().time() + self._keep_s
        self.changes += 1
        for call in self._listeners:
            call(channel)

    async def load(self) -> None:
        """Read the recent changes; the book forgets those that are older."""
        now_s = asyncio.get_running_loop().time()
        window_s = WINDOW_S + (now_s - self._loaded_at_s if self._loaded_at_s else self._keep_s)
        async with self._database.connection() as connection:
            changes = await list_access_changes(connection, window_s)
        self._loaded_at_s = now_s
        for change in changes:
            self.note(_name(change), change.version)
            self._kept_until_s[_name(change)] = now_s + self._keep_s
        for channel in [name for name, end_s in self._kept_until_s.items() if end_s < now_s]:
            del self._versions[channel], self._kept_until_s[channel]

    async def run(self) -> None:
        """Follow changes until cancelled; survives PostgreSQL going away and coming back."""
        await self._database.follow(CHANNEL, self._hear, self.load)

    def _hear(self, payload: str) -> None:
        change = read_notice(payload)
        self.note(_name(change), change.version)


def _name(change: AccessChange) -> ChannelName:
    return ChannelName(ChannelKind(change.kind), change.id)
