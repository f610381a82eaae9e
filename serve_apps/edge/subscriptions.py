"""The channels that one connection follows: where each stands, what follows a subscription.

A conversation owns one and has checked who may follow what. Rooms and people are durable channels
with a mirror each; posts, videos and hints come from the bus.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from actors.live_room.client import RoomClient
from actors.live_room.messages import Way
from kit.errors import AppError
from kit.logs import get_log
from serve_apps.edge.audience import Audience
from serve_apps.edge.channel_mirrors import ChannelMirror, MirrorShelf
from serve_apps.edge.ephemeral import EphemeralChannels
from serve_apps.edge.followers import Follower
from serve_apps.edge.logins import Logins
from serve_apps.edge.room_mirrors import RoomMirrors
from serve_apps.edge.socket_answers import ChannelState
from serve_apps.edge.socket_words import (
    ChannelKind,
    ChannelName,
    Position,
    WatchReport,
    read_room,
)
from serve_apps.edge.user_mirrors import UserMirror, UserMirrors

log = get_log("edge")

DURABLE = (ChannelKind.ROOM, ChannelKind.USER)


class Start(msgspec.Struct, frozen=True):
    """Where a durable channel begins for a client: what it is answered (`ChannelState`)."""

    epoch: str
    offset: int
    recovered: bool


@dataclass(frozen=True)
class TalkPorts:
    """What all conversations of an edge share."""

    logins: Logins
    audience: Audience
    rooms: RoomMirrors
    users: UserMirrors
    client: RoomClient
    ephemeral: EphemeralChannels

    def find_mirror(self, channel: ChannelName) -> ChannelMirror | None:
        """Return the mirror of a durable channel that is held."""
        if channel.kind is ChannelKind.ROOM:
            return self.rooms.find(channel.id)
        return self.users.find(channel.id) if channel.kind is ChannelKind.USER else None

    async def repeat_latest(self, socket: Follower, channel: ChannelName) -> None:
        """Send the latest states of an ephemeral channel."""
        if channel.kind is not ChannelKind.PRESENCE:
            await self.ephemeral.repeat_latest(socket, str(channel))
            return
        mirror = self.users.find(channel.id)
        if mirror is not None:
            mirror.repeat_presence(socket)


class Subscriptions:
    """What one connection follows; each channel is admitted, then followed, then dropped."""

    __slots__ = ("_is_attended", "_ports", "_socket", "rooms")

    def __init__(self, socket: Follower, ports: TalkPorts) -> None:
        self._socket = socket
        self._ports = ports
        self.rooms: list[uuid.UUID] = []
        self._is_attended = True
        """Whether somebody is at the page; a fresh one is opened by somebody."""

    def admit_ephemeral(self, channel: ChannelName) -> ChannelState:
        """Take a channel without offsets; returns what this client is answered."""
        name = str(channel)
        if channel.kind is ChannelKind.PRESENCE and name not in self._socket.channels:
            self._ports.users.hold(channel.id)
        self._socket.channels.add(name)
        return ChannelState(recovered=True)

    async def admit(self, channel: ChannelName, since: Position | None) -> Start:
        """Wait until a durable channel is open; returns where it stands for this client."""
        mirror = await self._hold(channel)
        mirror.detach(self._socket)
        offset, is_recovered = mirror.decide_start(since)
        return Start(epoch=mirror.epoch, offset=offset, recovered=is_recovered)

    async def follow(self, channel: ChannelName, offset: int = 0) -> None:
        """Replay what was missed, and show what comes from now on."""
        name = str(channel)
        if name not in self._socket.channels:
            return
        mirror = self._ports.find_mirror(channel)
        if mirror is not None:
            await self._attach(mirror, offset)
        if channel.kind is ChannelKind.PRESENCE:
            person = self._ports.users.find(channel.id)
            if person is not None:
                person.watch_presence(self._socket)
        elif channel.kind is not ChannelKind.ROOM and name in self._socket.channels:
            self._ports.ephemeral.attach(self._socket, name)
            await self._ports.ephemeral.repeat_latest(self._socket, name)

    def drop(self, channel: ChannelName) -> None:
        """Follow a channel no more."""
        name = str(channel)
        self._socket.channels.discard(name)
        if channel.kind is ChannelKind.ROOM:
            room = self._ports.rooms.find(channel.id)
            if channel.id in self.rooms:
                self.rooms.remove(channel.id)
            if room is not None:
                room.detach(self._socket)
                room.forget_reporter(self._socket)
                room.count_watcher(self._user_id, Way.CHAT, -1)
                self._ports.rooms.release(channel.id)
            return
        person = self._ports.users.find(channel.id)
        if channel.kind is ChannelKind.PRESENCE:
            if person is not None:
                person.unwatch_presence(self._socket)
                self._ports.users.release(channel.id)
            return
        self._ports.ephemeral.detach(self._socket, name)
        if channel.kind is ChannelKind.USER and person is not None:
            person.detach(self._socket)
            person.count_socket(self._login, -1, is_attended=self._is_attended)
            self._ports.users.release(channel.id)

    def become(self, user_id: uuid.UUID) -> None:
        """A stranger became somebody: they count as that person in rooms followed already."""
        for room_id in self.rooms:
            mirror = self._ports.rooms.find(room_id)
            if mirror is not None:
                mirror.count_watcher(None, Way.CHAT, -1)
                mirror.count_watcher(user_id, Way.CHAT, +1)

    def note_watching(self, report: WatchReport) -> None:
        """Take how watching goes, of a room that is followed; raises ChannelUnknown."""
        room_id = read_room(report.room)
        mirror = self._ports.rooms.find(room_id) if room_id in self.rooms else None
        if mirror is not None:
            mirror.take_watch_report(self._socket, report)

    def note_activity(self, now_s: float) -> None:
        """The person at the other end did something."""
        self.note_attention(is_attended=True)
        person = self._find_own()
        if person is not None:
            person.note_activity(now_s)

    def note_attention(self, *, is_attended: bool) -> None:
        """Somebody came to the page at the other end, or left it."""
        if self._is_attended is is_attended:
            return
        self._is_attended = is_attended
        person = self._find_own()
        if person is not None:
            person.count_attention(1 if is_attended else -1)

    # Within

    @property
    def _user_id(self) -> uuid.UUID | None:
        member = self._socket.member
        return None if member is None else member.identity.user_id

    def _find_own(self) -> UserMirror | None:
        """Return the person's own channel when it is followed here: presence goes with it."""
        user_id = self._user_id
        if user_id is None or f"{ChannelKind.USER}:{user_id}" not in self._socket.channels:
            return None
        return self._ports.users.find(user_id)

    @property
    def _login(self) -> str:
        member = self._socket.member
        assert member is not None, "only the person follows their own channel"
        return str(member.identity.session_id)

    async def _hold(self, channel: ChannelName) -> ChannelMirror:
        """Hold a durable channel, once per connection, and wait until it is open."""
        shelf: MirrorShelf[Any] = (
            self._ports.rooms if channel.kind is ChannelKind.ROOM else self._ports.users
        )
        mirror: ChannelMirror = shelf.hold(channel.id)
        try:
            await shelf.wait_opened(mirror)
        except BaseException:
            shelf.release(channel.id)
            raise
        if str(channel) in self._socket.channels:
            shelf.release(channel.id)
            return mirror
        self._socket.channels.add(str(channel))
        if channel.kind is ChannelKind.USER:
            person = self._ports.users.find(channel.id)
            assert person is not None, "held above"
            person.count_socket(self._login, +1, is_attended=self._is_attended)
        else:
            room = self._ports.rooms.find(channel.id)
            assert room is not None, "held above"
            room.count_watcher(self._user_id, Way.CHAT, +1, self._socket.visitor)
            self.rooms.append(channel.id)
        return mirror

    async def _attach(self, mirror: ChannelMirror, offset: int) -> None:
        try:
            is_attached = await mirror.attach(self._socket, offset)
        except AppError as error:
            log.info("channel.replay_failed", code=error.code)
            is_attached = False
        if not is_attached:
            mirror.send_reload(self._socket)
            await mirror.attach(self._socket, mirror.head)
