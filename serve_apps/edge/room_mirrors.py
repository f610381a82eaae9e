"""Rooms as this edge shows them: a durable channel, and how many watch.

What goes for every durable channel is in `channel_mirrors.py`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from dataclasses import dataclass, field

import msgspec

from actors.hosting.core import ObjectKey
from actors.hosting.messages import EntryLine, Opened
from actors.live_room.chat_state import MESSAGE_DELETED
from actors.live_room.client import RoomClient
from actors.live_room.messages import Way
from serve_apps.edge.channel_mirrors import ChannelMirror, History, MirrorShelf
from serve_apps.edge.socket_frames import write_durable_event

REPORT_EVERY_S = 0.2


@dataclass
class Watchers:
    """Distinct watchers of a room on this edge.

    Somebody who is signed in counts once, however many sockets and players they have open, and as
    watching when one of them is a player; the owner does not count. Strangers cannot be told
    apart, and a page opens one socket and one player: sockets beyond the players are chat alone.
    """

    owner_id: uuid.UUID | None = None
    people: dict[uuid.UUID, Counter[Way]] = field(default_factory=dict)
    strangers: Counter[Way] = field(default_factory=Counter)

    def add(self, user_id: uuid.UUID | None, way: Way, change: int) -> None:
        """Count a socket (`CHAT`) or a player in (+1) or out (-1)."""
        if user_id is None:
            self.strangers[way] += change
            return
        ways = self.people.setdefault(user_id, Counter())
        ways[way] += change
        if not +ways:
            del self.people[user_id]

    def count(self) -> dict[Way, int]:
        """Return the present numbers."""
        watching = self.strangers[Way.WEBRTC]
        counts = {Way.WEBRTC: watching, Way.CHAT: max(0, self.strangers[Way.CHAT] - watching)}
        for user_id, ways in self.people.items():
            if user_id != self.owner_id:
                counts[Way.WEBRTC if ways[Way.WEBRTC] > 0 else Way.CHAT] += 1
        return counts


class RoomMirror(ChannelMirror):
    """One room on this edge."""

    REPEATED = frozenset({"viewer_count", "room"})

    def __init__(self, key: ObjectKey, history: History, client: RoomClient) -> None:
        super().__init__(key, history)
        self.watchers = Watchers()
        self._client = client
        self._reporting: asyncio.TimerHandle | None = None

    def be_opened(self, opened: Opened) -> None:
        """Take the room's position, and whose it is."""
        self.watchers.owner_id = uuid.UUID(opened.facts["owner_id"])
        super().be_opened(opened)

    def add_entries(self, entries: list[EntryLine]) -> None:
        """Keep entries and show them; what a deleted line said is forgotten."""
        super().add_entries(entries)
        for entry in entries:
            if entry.kind == MESSAGE_DELETED:
                self._blank(int(msgspec.json.decode(entry.data)["offset"]))

    def count_watcher(self, user_id: uuid.UUID | None, way: Way, change: int) -> None:
        """Count a watcher in or out; the host hears of it soon."""
        self.watchers.add(user_id, way, change)
        if self._reporting is None:
            loop = asyncio.get_running_loop()
            self._reporting = loop.call_later(REPORT_EVERY_S, self._report)

    def stop(self) -> None:
        """Forget what is due."""
        super().stop()
        if self._reporting is not None:
            self._reporting.cancel()

    def _report(self) -> None:
        self._reporting = None
        self._client.report_viewers(self.key.id, self.watchers.count())

    def _blank(self, offset: int) -> None:
        """Forget what a deleted line said: whoever comes later gets its number alone."""
        self._pages.clear()
        first = self._ring[0][0]
        if not first <= offset <= self.head:
            return
        event = msgspec.json.decode(self._ring[offset - first][1])
        data = {**event["data"], "text": "", "deleted": True}
        blank = write_durable_event(
            event["type"], self.channel, self.epoch, offset, msgspec.json.encode(data)
        )
        self._ring[offset - first] = (offset, blank)


RoomMirrors = MirrorShelf[RoomMirror]
"""All rooms shown or fed by this edge."""
