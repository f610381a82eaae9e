"""Rooms as this edge shows them: recent events as bytes, who follows, how many watch.

Hears of rooms from their hosts through `HostClient`; writes each event once and hands the same
frame to every follower. A follower that comes back gets exactly what it missed, from here or from
the host. Runs while there is a follower or a media session.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from actors.hosting.core import ObjectKey
from actors.hosting.messages import EntryLine, Opened
from actors.live_room.chat_state import MESSAGE_DELETED
from actors.live_room.client import RoomClient
from actors.live_room.messages import SessionEnd, Way
from kit.errors import Unavailable
from kit.logs import get_log
from kit.metrics import SOCKET_DELIVERIES, SOCKET_RESUMES
from serve_apps.edge.followers import Follower
from serve_apps.edge.room_pages import Line, RoomPages
from serve_apps.edge.socket_frames import (
    join_events,
    write_durable_event,
    write_ephemeral_event,
    write_json,
)
from serve_apps.edge.socket_words import CloseCode, Position

log = get_log("edge")

RING_MAX = 500
REPLAY_MAX = 10_000
EVENTS_PER_FRAME_MAX = 50
FRAME_BYTES_AIM = 64 << 10
OPEN_TIMEOUT_S = 3.0
REPORT_EVERY_S = 0.2
REPEATED_KINDS = frozenset({"viewer_count", "room"})


class RoomNotReached(Unavailable):
    """The room's host did not answer in time."""

    code, message = "room_not_reached", "The room cannot be reached right now; try again."


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


class RoomMirror:
    """One room on this edge."""

    def __init__(self, room_id: uuid.UUID, client: RoomClient) -> None:
        self.id = room_id
        self.channel = f"room:{room_id}"
        self.epoch = ""
        self.head = 0
        self.holds = 0
        self.watchers = Watchers()
        self.followers: dict[Follower, None] = {}
        self._client = client
        self._ring: deque[Line] = deque(maxlen=RING_MAX)
        self._pages = RoomPages(self._read_older)
        self._latest: dict[str, bytes] = {}
        self._opened = asyncio.Event()
        self._reporting: asyncio.TimerHandle | None = None

    # What the host says

    def be_opened(self, opened: Opened) -> None:
        """Take the room's position; followers begin anew when it could not be continued."""
        self.watchers.owner_id = uuid.UUID(opened.facts["owner_id"])
        if self.epoch and opened.is_complete:
            return
        is_first = not self.epoch
        self.epoch, self.head = opened.epoch, opened.head
        self._ring.clear()
        self._pages.clear()
        self._opened.set()
        if not is_first:
            for socket in list(self.followers):
                self.send_reload(socket)

    def add_entries(self, entries: list[EntryLine]) -> None:
        """Keep entries and show them to every follower, in one frame."""
        before = self.head
        events = []
        for entry in entries:
            event = write_durable_event(entry.kind, self.channel, self.epoch, entry.seq, entry.data)
            self._ring.append((entry.seq, event))
            self.head = entry.seq
            events.append(event)
            if entry.kind == MESSAGE_DELETED:
                self._blank(int(msgspec.json.decode(entry.data)["offset"]))
        frame = join_events(events)
        for socket in list(self.followers):
            if not socket.send(frame):
                self._hold_back(socket, before)
        SOCKET_DELIVERIES.labels("durable").inc(len(self.followers))

    def show(self, kind: str, data: bytes) -> None:
        """Show a latest state; a follower that lags does without."""
        frame = join_events([write_ephemeral_event(kind, self.channel, data)])
        if kind in REPEATED_KINDS:
            self._latest[kind] = frame
        for socket in list(self.followers):
            socket.send(frame)
        SOCKET_DELIVERIES.labels("ephemeral").inc(len(self.followers))

    # Followers

    async def wait_opened(self) -> None:
        """Return once the room was open; raises RoomNotReached after a few seconds."""
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._opened.wait()
        except TimeoutError as error:
            raise RoomNotReached(retry_after_s=1) from error

    def decide_start(self, since: Position | None) -> tuple[int, bool]:
        """Return the offset to continue after, and whether that is the client's own."""
        if since is None or since.epoch != self.epoch:
            return self.head, False
        if not 0 <= self.head - since.offset <= REPLAY_MAX:
            return self.head, False
        return since.offset, True

    async def attach(self, socket: Follower, offset: int) -> bool:
        """Replay what follows `offset` and follow on without a gap; False: could not."""
        epoch, source = self.epoch, "memory"
        while socket.is_open and self.epoch == epoch:
            first = self._ring[0][0] if self._ring else self.head + 1
            if self.channel not in socket.channels:
                return True  # unsubscribed meanwhile
            if offset >= first - 1:
                missed = [line for line in self._ring if line[0] > offset]
                page = cut_page(missed)
                if len(page) == len(missed):
                    self._follow(socket, page)
                    SOCKET_RESUMES.labels(source).inc()
                    return True
            else:
                source = "storage"
                page = cut_page(await self._pages.read_after(offset))
            size = sum(len(event) for _seq, event in page)
            if not page or not await socket.wait_room(size) or self.epoch != epoch:
                break
            self._replay(socket, page)
            offset = page[-1][0]
        return False

    def detach(self, socket: Follower) -> None:
        """Stop showing the room to a socket."""
        self.followers.pop(socket, None)
        socket.held_back.pop(self.channel, None)

    def send_reload(self, socket: Follower) -> None:
        """Tell a follower to begin anew at the head."""
        SOCKET_RESUMES.labels("reload").inc()
        position = {"epoch": self.epoch, "offset": self.head}
        socket.answer(write_json({"type": "reload", "channel": self.channel, **position}))

    async def catch_up(self, socket: Follower) -> None:
        """Go on with a follower that has read what it was behind with."""
        offset = socket.held_back.pop(self.channel, None)
        if offset is None:
            return
        try:
            is_attached = await self.attach(socket, offset)
        except Unavailable:
            is_attached = False
        if not is_attached:
            socket.close(CloseCode.TOO_SLOW)

    # Counting

    def count_watcher(self, user_id: uuid.UUID | None, way: Way, change: int) -> None:
        """Count a watcher in or out; the host hears of it soon."""
        self.watchers.add(user_id, way, change)
        if self._reporting is None:
            loop = asyncio.get_running_loop()
            self._reporting = loop.call_later(REPORT_EVERY_S, self._report)

    def stop(self) -> None:
        """Forget what is due."""
        self._pages.clear()
        if self._reporting is not None:
            self._reporting.cancel()

    def _report(self) -> None:
        self._reporting = None
        self._client.report_viewers(self.id, self.watchers.count())

    def _follow(self, socket: Follower, missed: list[Line]) -> None:
        """Replay the last of what was missed and follow on: nothing comes in between."""
        self._replay(socket, missed)
        for frame in self._latest.values():
            socket.answer(frame)
        self.followers[socket] = None

    async def _read_older(self, offset: int, limit: int) -> list[Line]:
        """Return events after `offset` that this edge has not kept, from the host."""
        lines = await self._client.read_history(self.id, offset, limit)
        return [
            (e.seq, write_durable_event(e.kind, self.channel, self.epoch, e.seq, e.data))
            for e in lines
        ]

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

    def _replay(self, socket: Follower, events: list[Line]) -> None:
        if events:
            socket.answer(join_events([event for _seq, event in events]))

    def _hold_back(self, socket: Follower, offset: int) -> None:
        """The viewer does not read: remember where it stands instead of queueing for it."""
        del self.followers[socket]
        if socket.is_open:
            socket.held_back[self.channel] = offset


def cut_page(lines: list[Line]) -> list[Line]:
    """Return the first lines, as many as one frame takes; at least one when there is any."""
    size = 0
    for count, (_seq, event) in enumerate(lines):
        size += len(event)
        if count and (size > FRAME_BYTES_AIM or count == EVENTS_PER_FRAME_MAX):
            return lines[:count]
    return lines


class RoomMirrors:
    """All rooms shown or fed by this edge; the listener of its `HostClient`."""

    def __init__(self, end_session: Callable[[str], object]) -> None:
        self._rooms: dict[uuid.UUID, RoomMirror] = {}
        self._end_session = end_session
        self._client: RoomClient | None = None

    def use(self, client: RoomClient) -> None:
        """Take the way to rooms; called once, before anything else."""
        self._client = client

    def find(self, room_id: uuid.UUID) -> RoomMirror | None:
        """Return a room that is held."""
        return self._rooms.get(room_id)

    def hold(self, room_id: uuid.UUID) -> RoomMirror:
        """Keep the room open until `release` was called as often."""
        assert self._client is not None, "use() comes first"
        mirror = self._rooms.get(room_id)
        if mirror is None:
            mirror = self._rooms[room_id] = RoomMirror(room_id, self._client)
            self._client.open_room(room_id)
        mirror.holds += 1
        return mirror

    def release(self, room_id: uuid.UUID) -> None:
        """Give up one hold; the last one closes the room here."""
        assert self._client is not None, "use() comes first"
        mirror = self._rooms[room_id]
        mirror.holds -= 1
        if mirror.holds == 0:
            mirror.stop()
            del self._rooms[room_id]
            self._client.close_room(room_id)

    def on_opened(self, opened: Opened) -> None:
        """Hear that a room is open."""
        mirror = self._rooms.get(opened.key.id)
        if mirror is not None:
            mirror.be_opened(opened)

    def on_entries(self, key: ObjectKey, entries: list[EntryLine]) -> None:
        """Hear what was stored."""
        mirror = self._rooms.get(key.id)
        if mirror is not None:
            mirror.add_entries(entries)

    def on_shown(self, key: ObjectKey, kind: str, data: bytes) -> None:
        """Hear a latest state."""
        mirror = self._rooms.get(key.id)
        if mirror is not None:
            mirror.show(kind, data)

    def on_signal(self, key: ObjectKey, signal: SessionEnd) -> None:
        """Hear that a media session is over: replaced, or the broadcast ended."""
        log.info("room.session_ended_by_host", room_id=str(key.id))
        self._end_session(signal.session_id)

    def __len__(self) -> int:
        return len(self._rooms)
