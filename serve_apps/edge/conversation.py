"""One client's talk on its socket: authenticate, subscribe, write lines.

`socket_server.py` makes one per connection and feeds it frames in order. Whoever authenticated
speaks for themselves; strangers may only follow what is open to all. Lines are sent to the room's
host and acknowledged when stored, each in a task of its own so that a slow room holds up nobody.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable

from actors.live_room.messages import Way
from kit.errors import AppError, Unavailable
from kit.logs import get_log
from serve_apps.edge.admissions import make_allowance
from serve_apps.edge.followers import Follower
from serve_apps.edge.socket_frames import write_error, write_json
from serve_apps.edge.socket_words import (
    CHANNELS_PER_REQUEST_MAX,
    CHANNELS_PER_SOCKET_MAX,
    AlreadyAuthenticated,
    Authenticate,
    ChannelKind,
    ChannelName,
    CloseCode,
    FrameMalformed,
    Ping,
    Position,
    Subscribe,
    TooManyChannels,
    Unsubscribe,
    read_channel,
    read_words,
)
from serve_apps.edge.speech import SPOKEN, Speech, TalkPorts

log = get_log("edge")

MALFORMED_MAX = 10
WORDS_PER_S = 50.0
WORDS_BURST = 150.0


class Conversation:
    """What one client follows and is about to say."""

    def __init__(self, socket: Follower, ports: TalkPorts) -> None:
        self.socket = socket
        self._words = make_allowance(WORDS_PER_S, WORDS_BURST, time.monotonic())
        self._ports = ports
        self._rooms: set[uuid.UUID] = set()
        self._speech = Speech(socket, ports, self._rooms)
        self._malformed = 0

    async def hear(self, text: str) -> None:
        """Act on one frame; refusals are answered, never raised."""
        if not self._words.take(time.monotonic()):
            self.socket.close(CloseCode.TOO_FAST)
            return
        try:
            words = read_words(text)
            if isinstance(words, SPOKEN):
                self._speech.hear(words)
            elif isinstance(words, Subscribe):
                await self.subscribe(words)
            elif isinstance(words, Unsubscribe):
                self._unsubscribe(words)
            elif isinstance(words, Authenticate):
                await self._authenticate(words)
            elif isinstance(words, Ping):
                self.socket.answer(write_json({"type": "pong"}))
        except AppError as error:
            self.socket.answer(write_error(error))
            self._count_malformed(error)

    @property
    def is_idle(self) -> bool:
        """Whether the client neither said who it is nor follows anything."""
        return self.socket.member is None and not self.socket.channels

    async def close(self) -> None:
        """Forget everything; called when the connection is gone."""
        await self._speech.close()
        for name in list(self.socket.channels):
            self._drop(read_channel(name))

    # Who

    @property
    def _viewer_id(self) -> uuid.UUID | None:
        member = self.socket.member
        return None if member is None else member.identity.user_id

    async def _authenticate(self, words: Authenticate) -> None:
        member = await self._ports.logins.authenticate(words.token)
        before = self.socket.member
        if member is None:
            if before is not None:
                raise AlreadyAuthenticated
            self.socket.answer(write_json({"type": "authenticated", "user": None}))
            return
        if before is not None and before.identity.user_id != member.identity.user_id:
            raise AlreadyAuthenticated
        if before is None:
            self._recount(member.identity.user_id)
        self.socket.member = member
        user = {
            "id": str(member.identity.user_id),
            "username": member.identity.username,
            "display_name": member.display_name,
            "role": str(member.identity.role),
        }
        self.socket.answer(write_json({"type": "authenticated", "user": user}))

    def _recount(self, user_id: uuid.UUID) -> None:
        """A stranger became somebody: they count as that person in rooms followed already."""
        for room_id in self._rooms:
            mirror = self._ports.rooms.find(room_id)
            if mirror is not None:
                mirror.count_watcher(None, Way.CHAT, -1)
                mirror.count_watcher(user_id, Way.CHAT, +1)

    # Channels

    async def subscribe(self, words: Subscribe) -> None:
        """Check every channel, answer with their positions, then replay and follow on."""
        if len(words.channels) > CHANNELS_PER_REQUEST_MAX:
            raise TooManyChannels
        answer: dict[str, object] = {"type": "subscribed"}
        admitted: list[tuple[ChannelName, int]] = []
        changes = self._ports.audience.changes
        names = list(dict.fromkeys(words.channels))
        checks = await asyncio.gather(
            *(self._check(name) for name in names), return_exceptions=True
        )
        for name, check in zip(names, checks, strict=True):
            try:
                if isinstance(check, BaseException):
                    raise check
                if len(self.socket.channels) >= CHANNELS_PER_SOCKET_MAX:
                    raise TooManyChannels
                offset = await self._admit(check, words.since.get(name), answer)
            except AppError as error:
                self.socket.answer(write_error(error, channel=name))
            else:
                admitted.append((check, offset))
        if len(answer) > 1:
            self.socket.answer(write_json(answer))
        for channel, offset in admitted:
            await self._follow(channel, offset)
        if self._ports.audience.changes != changes:
            await self.recheck([channel for channel, _offset in admitted])

    async def _check(self, name: str) -> ChannelName:
        """Return the channel of this name; raises when there is none or not for this client."""
        channel = read_channel(name)
        await self._ports.audience.check_channel(channel, self._viewer_id)
        return channel

    async def recheck(self, channels: Iterable[ChannelName]) -> None:
        """Let go of channels that this client may not follow any more, and say so."""
        for channel in channels:
            name = str(channel)
            try:
                await self._ports.audience.check_channel(channel, self._viewer_id)
            except Unavailable:
                continue  # nobody can tell now; the next change or reconnect asks again
            except AppError as error:
                if name in self.socket.channels:
                    self._drop(channel)
                    self.socket.answer(write_error(error, channel=name))

    async def _admit(
        self, channel: ChannelName, since: Position | None, answer: dict[str, object]
    ) -> int:
        """Note where a channel stands for this client; returns the offset to continue after."""
        name = str(channel)
        if channel.kind is not ChannelKind.ROOM:
            self.socket.channels.add(name)
            answer[name] = {"recovered": True}
            return 0
        is_fresh = channel.id not in self._rooms
        mirror = self._ports.rooms.hold(channel.id)
        try:
            await mirror.wait_opened()
        except BaseException:
            self._ports.rooms.release(channel.id)
            raise
        if is_fresh:
            self._rooms.add(channel.id)
            mirror.count_watcher(self._viewer_id, Way.CHAT, +1)
        else:
            self._ports.rooms.release(channel.id)
        self.socket.channels.add(name)
        mirror.detach(self.socket)
        offset, is_recovered = mirror.decide_start(since)
        answer[name] = {"epoch": mirror.epoch, "offset": offset, "recovered": is_recovered}
        return offset

    async def _follow(self, channel: ChannelName, offset: int) -> None:
        name = str(channel)
        if channel.kind is not ChannelKind.ROOM:
            self._ports.ephemeral.attach(self.socket, name)
            await self._ports.ephemeral.repeat_latest(self.socket, name)
            return
        mirror = self._ports.rooms.find(channel.id)
        if mirror is None or name not in self.socket.channels:
            return
        try:
            is_attached = await mirror.attach(self.socket, offset)
        except AppError as error:
            log.info("room.replay_failed", code=error.code)
            is_attached = False
        if not is_attached:
            mirror.send_reload(self.socket)
            await mirror.attach(self.socket, mirror.head)

    def _unsubscribe(self, words: Unsubscribe) -> None:
        dropped = []
        for name in words.channels[:CHANNELS_PER_REQUEST_MAX]:
            if name in self.socket.channels:
                self._drop(read_channel(name))
                dropped.append(name)
        self.socket.answer(write_json({"type": "unsubscribed", "channels": dropped}))

    def _drop(self, channel: ChannelName) -> None:
        name = str(channel)
        self.socket.channels.discard(name)
        if channel.kind is not ChannelKind.ROOM:
            self._ports.ephemeral.detach(self.socket, name)
            return
        self._rooms.discard(channel.id)
        mirror = self._ports.rooms.find(channel.id)
        if mirror is not None:
            mirror.detach(self.socket)
            mirror.count_watcher(self._viewer_id, Way.CHAT, -1)
            self._ports.rooms.release(channel.id)

    def _count_malformed(self, error: AppError) -> None:
        if isinstance(error, FrameMalformed):
            self._malformed += 1
            if self._malformed >= MALFORMED_MAX:
                self.socket.close(CloseCode.MALFORMED)
