"""What was hidden, shown or deleted a moment ago, and who lost a right: one book per edge.

Notices arrive by NOTIFY; a poll each second finds what a lost notice would have told. Whoever
shows things to people is told once per change and looks again who may stay. Of what plays of a
video nobody is told: playback asks at each request. Changes are remembered for as long as grants
that were given before them live.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from kit.clock import Clock
from serve_apps.edge.socket_words import ChannelKind, ChannelName
from storage.access_changes import (
    CHANNEL,
    PLAYBACK,
    AccessChange,
    list_access_changes,
    read_notice,
)
from storage.database import Database

WINDOW_S = 60.0
"""How far back the poll looks: longer than any transaction and any short outage of the poll. No
change is forgotten earlier."""
ChangedCall = Callable[[ChannelName], None]
Key = tuple[str, uuid.UUID]


class AccessBook:
    """The last change of each thing and person; `run()` keeps it up to date.

    `keep_s`: how long a change is remembered, also by an edge that starts after it.
    """

    def __init__(self, database: Database, clock: Clock, keep_s: float = WINDOW_S) -> None:
        self._database = database
        self._clock = clock
        self._keep_s = max(keep_s, WINDOW_S)
        self._versions: dict[Key, int] = {}
        self._kept_until_s: dict[Key, float] = {}
        self._listeners: list[ChangedCall] = []
        self.loaded_s: float | None = None
        """When the last look for changes began that succeeded (monotonic): all changes from before
        are known here. None: there was none."""
        self.changes = 0

    def on_changed(self, call: ChangedCall) -> None:
        """Have `call(channel)` made once per change, on the loop; it must not raise."""
        self._listeners.append(call)

    def get_version(self, channel: ChannelName) -> int:
        """Return the version that an answer about this channel must have at least."""
        return self._versions.get((channel.kind, channel.id), 0)

    def get_playback_version(self, video_id: uuid.UUID) -> int:
        """Return the version that an answer about what plays of a video must have at least."""
        return self._versions.get((PLAYBACK, video_id), 0)

    def note(self, change: AccessChange) -> None:
        """Record a change and tell those who asked, unless it is known."""
        key = change.kind, change.id
        if change.version <= self._versions.get(key, 0):
            return
        self._versions[key] = change.version
        self._kept_until_s[key] = self._clock.monotonic_s() + self._keep_s
        if change.kind == PLAYBACK:
            return
        self.changes += 1
        channel = ChannelName(ChannelKind(change.kind), change.id)
        for call in self._listeners:
            call(channel)

    async def load(self) -> None:
        """Read the recent changes; the book forgets those that are older."""
        now_s = self._clock.monotonic_s()
        unseen_s = self._keep_s if self.loaded_s is None else now_s - self.loaded_s
        async with self._database.connection() as connection:
            changes = await list_access_changes(connection, WINDOW_S + unseen_s)
        for change in changes:
            self.note(change)
            self._kept_until_s[change.kind, change.id] = now_s + self._keep_s
        self.loaded_s = now_s
        for key in [key for key, end_s in self._kept_until_s.items() if end_s < now_s]:
            del self._versions[key], self._kept_until_s[key]

    async def run(self) -> None:
        """Follow changes until cancelled; survives PostgreSQL going away and coming back."""
        await self._database.follow(CHANNEL, self._hear, self.load)

    def _hear(self, payload: str) -> None:
        self.note(read_notice(payload))
