"""Rooms as this edge shows them: a durable channel, and how many watch.

What goes for every durable channel is in `channel_mirrors.py`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from actors.hosting.core import ObjectKey
from actors.hosting.messages import EntryLine
from actors.live_room.chat_state import MESSAGE_DELETED
from actors.live_room.client import RoomClient
from actors.live_room.messages import ViewersReport, Way
from serve_apps.edge.channel_mirrors import ChannelMirror, History, MirrorShelf
from serve_apps.edge.followers import Follower
from serve_apps.edge.quality_book import QualityBook
from serve_apps.edge.socket_frames import write_durable_event
from serve_apps.edge.socket_words import WatchReport
from serve_apps.edge.visits import salt_visit

REPORT_EVERY_S = 0.2
QUALITY_EVERY_S = 2.0
VISITORS_PER_REPORT_MAX = 10_000


@dataclass
class Watchers:
    """Distinct watchers of a room on this edge.

    Somebody who is signed in is one, however many sockets and players they have open, and watches
    when one of them is a player; the room counts them once over all edges. Strangers cannot be told
    apart; the room takes their players off their sockets.
    """

    people: dict[uuid.UUID, Counter[Way]] = field(default_factory=dict)
    strangers: Counter[Way] = field(default_factory=Counter)
    _changed: set[uuid.UUID] = field(default_factory=set)
    """People who may watch in another way than was last reported."""
    _visitors: set[bytes] = field(default_factory=set)
    """Marks of strangers who came since the last report."""

    def add(self, user_id: uuid.UUID | None, way: Way, change: int, visitor: bytes = b"") -> None:
        """Count a socket (`CHAT`) or a player (any other way) in (+1) or out (-1)."""
        if user_id is None:
            self.strangers[way] += change
            if visitor and len(self._visitors) < VISITORS_PER_REPORT_MAX:
                self._visitors.add(visitor)
            return
        self._changed.add(user_id)
        ways = self.people.setdefault(user_id, Counter())
        ways[way] += change
        if not +ways:
            del self.people[user_id]

    def take_reports(self) -> tuple[ViewersReport, ViewersReport]:
        """Return who watches, and what of it is new since this was last asked."""
        changed, self._changed = self._changed, set()
        strangers = {way: self.strangers[way] for way in Way}
        gone = b"".join(user_id.bytes for user_id in changed if user_id not in self.people)
        visitors, self._visitors = b"".join(self._visitors), set()
        whole = ViewersReport(strangers, self._name(self.people), visitors=visitors)
        new = self._name(changed & self.people.keys())
        return whole, ViewersReport(strangers, new, gone, is_whole=False, visitors=visitors)

    def _name(self, people: Iterable[uuid.UUID]) -> dict[Way, bytes]:
        """Write people by the best way they have."""
        named: dict[Way, list[bytes]] = {way: [] for way in Way}
        for user_id in people:
            ways = self.people[user_id]
            named[next(way for way in Way if ways[way] > 0)].append(user_id.bytes)
        return {way: b"".join(ids) for way, ids in named.items()}


class RoomMirror(ChannelMirror):
    """One room on this edge."""

    REPEATED = frozenset({"viewer_count", "room"})

    def __init__(self, key: ObjectKey, history: History, client: RoomClient) -> None:
        super().__init__(key, history)
        self.watchers = Watchers()
        self._client = client
        self._reporting: asyncio.TimerHandle | None = None
        self._quality = QualityBook()
        self._summing: asyncio.TimerHandle | None = None

    def add_entries(self, entries: list[EntryLine]) -> None:
        """Keep entries and show them; what a deleted line said is forgotten."""
        super().add_entries(entries)
        for entry in entries:
            if entry.kind == MESSAGE_DELETED:
                self._blank(int(msgspec.json.decode(entry.data)["offset"]))

    def count_watcher(
        self, user_id: uuid.UUID | None, way: Way, change: int, visitor: bytes = b""
    ) -> None:
        """Count a watcher in or out; the host hears of it soon."""
        self.watchers.add(user_id, way, change, salt_visit(self.key.id, visitor))
        if self._reporting is None:
            loop = asyncio.get_running_loop()
            self._reporting = loop.call_later(REPORT_EVERY_S, self._report)

    def stop(self) -> None:
        """Forget what is due."""
        super().stop()
        for timer in (self._reporting, self._summing):
            if timer is not None:
                timer.cancel()

    def take_watch_report(self, follower: Follower, report: WatchReport) -> None:
        """Take how watching goes for one follower; the host hears the sum of all soon."""
        loop = asyncio.get_running_loop()
        self._quality.take(follower, report, loop.time())
        if self._summing is None:
            self._summing = loop.call_later(QUALITY_EVERY_S, self._sum_up)

    def forget_reporter(self, follower: Follower) -> None:
        """A follower left: what it said does not count any more."""
        self._quality.forget(follower)

    def _report(self) -> None:
        self._reporting = None
        self._client.report_viewers(self.key.id, *self.watchers.take_reports())

    def _sum_up(self) -> None:
        """Tell how watching goes, again and again while anybody says so."""
        loop = asyncio.get_running_loop()
        self._client.report_quality(self.key.id, self._quality.sum_up(loop.time()))
        again = len(self._quality) > 0
        self._summing = loop.call_later(QUALITY_EVERY_S, self._sum_up) if again else None

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
