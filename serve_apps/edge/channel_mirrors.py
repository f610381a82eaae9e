"""Durable channels as this edge shows them: recent events as bytes, and who follows.

Hears of hosted objects through `HostClient`; writes each event once and hands the same frame to
every follower. A follower that comes back gets exactly what it missed, from here or from the host.
Runs while somebody holds it. Kinds add what is theirs (`room_mirrors.py`, `user_mirrors.py`).
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from actors.hosting.client import HostClient
from actors.hosting.core import ObjectKey
from actors.hosting.followed import RequestFailed
from actors.hosting.messages import EntryLine, Opened
from actors.hosting.supervision import ObjectFailing
from kit.errors import Unavailable
from kit.metrics import SOCKET_DELIVERIES, SOCKET_RESUMES
from serve_apps.edge.channel_pages import ChannelPages, Line
from serve_apps.edge.followers import Follower
from serve_apps.edge.socket_frames import (
    join_events,
    write_durable_event,
    write_ephemeral_event,
    write_json,
)
from serve_apps.edge.socket_words import CloseCode, Position

RING_MAX = 500
REPLAY_MAX = 10_000
EVENTS_PER_FRAME_MAX = 50
FRAME_BYTES_AIM = 64 << 10


class ChannelNotReached(Unavailable):
    """The host of the channel did not answer in time."""

    code, message = "channel_not_reached", "This cannot be reached right now; try again."


class History(Protocol):
    """Where older entries come from; `HostClient` is one."""

    async def read_history(self, key: ObjectKey, seq: int, limit: int) -> list[EntryLine]:
        """Return entries after `seq`, oldest first, at most one page."""
        ...


class ChannelMirror:
    """One durable channel on this edge, and the latest states that go with it."""

    REPEATED: ClassVar[frozenset[str]] = frozenset()
    """Kinds of latest states that whoever follows anew is shown first."""
    OPEN_TIMEOUT_S: ClassVar[float] = 3.0
    """How long whoever follows waits for the host at most."""

    def __init__(self, key: ObjectKey, history: History) -> None:
        self.key = key
        self.channel = f"{key.kind}:{key.id}"
        self.epoch = ""
        self.head = 0
        self.holds = 0
        self.followers: dict[Follower, None] = {}
        self._history = history
        self._ring: deque[Line] = deque(maxlen=RING_MAX)
        self._pages = ChannelPages(self._read_older)
        self._latest: dict[str, bytes] = {}

    # What the host says

    def be_opened(self, opened: Opened) -> None:
        """Take the channel's position; followers begin anew when it could not be continued."""
        if self.epoch and opened.is_complete:
            return
        is_first = not self.epoch
        self.epoch, self.head = opened.epoch, opened.head
        self._ring.clear()
        self._pages.clear()
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
        frame = join_events(events)
        for socket in list(self.followers):
            if not socket.send(frame):
                self._hold_back(socket, before)
        SOCKET_DELIVERIES.labels("durable").inc(len(self.followers))

    def show(self, kind: str, data: bytes) -> None:
        """Show a latest state; a follower that lags does without."""
        frame = join_events([write_ephemeral_event(kind, self.channel, data)])
        if kind in self.REPEATED:
            self._latest[kind] = frame
        for socket in list(self.followers):
            socket.send(frame)
        SOCKET_DELIVERIES.labels("ephemeral").inc(len(self.followers))

    # Followers

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
            if not page or page[0][0] != offset + 1:
                break  # what is missing was purged
            if not await socket.wait_room(size) or self.epoch != epoch:
                break
            self._replay(socket, page)
            offset = page[-1][0]
        return False

    def detach(self, socket: Follower) -> None:
        """Stop showing the channel to a socket."""
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

    def stop(self) -> None:
        """Forget what is due."""
        self._pages.clear()

    # Within

    def _follow(self, socket: Follower, missed: list[Line]) -> None:
        """Replay the last of what was missed and follow on: nothing comes in between."""
        self._replay(socket, missed)
        for frame in self._latest.values():
            socket.answer(frame)
        self.followers[socket] = None

    async def _read_older(self, offset: int, limit: int) -> list[Line]:
        """Return events after `offset` that this edge has not kept, from the host."""
        lines = await self._history.read_history(self.key, offset, limit)
        return [
            (e.seq, write_durable_event(e.kind, self.channel, self.epoch, e.seq, e.data))
            for e in lines
        ]

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


Mirror = TypeVar("Mirror", bound=ChannelMirror)


class MirrorShelf(Generic[Mirror]):
    """All channels of one kind that somebody on this edge holds."""

    def __init__(self, kind: str, hosts: HostClient, make: Callable[[ObjectKey], Mirror]) -> None:
        self._kind = kind
        self._hosts = hosts
        self._make = make
        self._mirrors: dict[uuid.UUID, Mirror] = {}

    def __len__(self) -> int:
        return len(self._mirrors)

    def __iter__(self) -> Iterator[Mirror]:
        return iter(list(self._mirrors.values()))

    def find(self, object_id: uuid.UUID) -> Mirror | None:
        """Return a channel that is held."""
        return self._mirrors.get(object_id)

    def hold(self, object_id: uuid.UUID) -> Mirror:
        """Keep the channel open until `release` was called as often."""
        mirror = self._mirrors.get(object_id)
        if mirror is None:
            key = ObjectKey(self._kind, object_id)
            mirror = self._mirrors[object_id] = self._make(key)
            self._hosts.follow(key)
        mirror.holds += 1
        return mirror

    async def wait_opened(self, mirror: Mirror) -> None:
        """Return once a held channel was open.

        Raises ChannelNotReached when that takes too long, and at once when its object is broken.
        """
        try:
            async with asyncio.timeout(mirror.OPEN_TIMEOUT_S):
                while not mirror.epoch:
                    await self._hear_answer(mirror.key)
        except TimeoutError as error:
            raise ChannelNotReached(retry_after_s=1) from error

    async def _hear_answer(self, key: ObjectKey) -> None:
        followed = self._hosts.find_followed(key)
        assert followed is not None, "whoever waits for a channel holds it"
        try:
            await followed.wait_open()
        except RequestFailed as failure:
            if failure.refusal.code == ObjectFailing.code:
                raise ChannelNotReached(retry_after_s=1) from failure
            # Anything else, storage that is away for instance, may pass before our patience does.

    def release(self, object_id: uuid.UUID) -> None:
        """Give up one hold; the last one closes the channel here."""
        mirror = self._mirrors[object_id]
        mirror.holds -= 1
        if mirror.holds == 0:
            mirror.stop()
            del self._mirrors[object_id]
            self._hosts.unfollow(mirror.key)


class MirrorListener:
    """Hands what hosts say to the mirrors: the listener of this edge's `HostClient`."""

    def __init__(self, on_signal: Callable[[ObjectKey, Any], None]) -> None:
        self._on_signal = on_signal
        self._shelves: Mapping[str, MirrorShelf[Any]] = {}

    def use(self, shelves: Mapping[str, MirrorShelf[Any]]) -> None:
        """Take the shelves by kind; called once, before anything else."""
        self._shelves = shelves

    def on_opened(self, opened: Opened) -> None:
        """Hear that an object is open."""
        mirror = self._find(opened.key)
        if mirror is not None:
            mirror.be_opened(opened)

    def on_entries(self, key: ObjectKey, entries: list[EntryLine]) -> None:
        """Hear what was stored."""
        mirror = self._find(key)
        if mirror is not None:
            mirror.add_entries(entries)

    def on_shown(self, key: ObjectKey, kind: str, data: bytes) -> None:
        """Hear a latest state."""
        mirror = self._find(key)
        if mirror is not None:
            mirror.show(kind, data)

    def on_signal(self, key: ObjectKey, signal: Any) -> None:
        """Hear something meant for this edge alone."""
        self._on_signal(key, signal)

    def _find(self, key: ObjectKey) -> ChannelMirror | None:
        shelf = self._shelves.get(key.kind)
        return None if shelf is None else shelf.find(key.id)
