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

from kit.errors import AppError, Unavailable
from kit.logs import get_log
from serve_apps.edge.admissions import make_allowance
from serve_apps.edge.followers import Follower
from serve_apps.edge.socket_frames import write_error, write_json
from serve_apps.edge.socket_words import (
    CHANNELS_PER_REQUEST_MAX,
    CHANNELS_PER_SOCKET_MAX,
    Active,
    AlreadyAuthenticated,
    Authenticate,
    Away,
    ChannelName,
    CloseCode,
    FrameMalformed,
    Ping,
    Position,
    Subscribe,
    TooManyChannels,
    Unsubscribe,
    WatchReport,
    Words,
    read_channel,
    read_words,
)
from serve_apps.edge.speech import SPOKEN, Speech
from serve_apps.edge.subscriptions import DURABLE, Subscriptions, TalkPorts

log = get_log("edge")

MALFORMED_MAX = 10
WORDS_PER_S = 50.0
WORDS_BURST = 150.0
RECHECK_PAUSE_S = 1.0


class Conversation:
    """What one client follows and is about to say."""

    __slots__ = (
        "_malformed",
        "_opening",
        "_ports",
        "_speech",
        "_subscriptions",
        "_words",
        "socket",
    )

    def __init__(self, socket: Follower, ports: TalkPorts) -> None:
        self.socket = socket
        self._words = make_allowance(WORDS_PER_S, WORDS_BURST, time.monotonic())
        self._ports = ports
        self._subscriptions = Subscriptions(socket, ports)
        self._speech = Speech(socket, ports, self._subscriptions.rooms)
        self._opening: dict[str, asyncio.Task[None]] = {}
        """Channels that are answered when they are open, each beside everything else."""
        self._malformed = 0

    async def hear(self, text: str) -> None:
        """Act on one frame; refusals are answered, never raised."""
        if not self._words.take(time.monotonic()):
            self.socket.close(CloseCode.TOO_FAST)
            return
        try:
            await self._act(read_words(text))
        except AppError as error:
            self.socket.answer(write_error(error))
            self._count_malformed(error)

    async def _act(self, words: Words) -> None:
        """Do what one frame says; raises what refuses it."""
        if isinstance(words, (*SPOKEN, Active)):
            self._subscriptions.note_activity(time.monotonic())
        if isinstance(words, SPOKEN):
            self._speech.hear(words)
        elif isinstance(words, Away):
            self._subscriptions.note_attention(is_attended=False)
        elif isinstance(words, Subscribe):
            await self.subscribe(words)
        elif isinstance(words, Unsubscribe):
            self._unsubscribe(words)
        elif isinstance(words, Authenticate):
            await self._authenticate(words)
        elif isinstance(words, WatchReport):
            self._subscriptions.note_watching(words)
        elif isinstance(words, Ping):
            self.socket.answer(write_json({"type": "pong"}))

    @property
    def is_idle(self) -> bool:
        """Whether the client neither said who it is nor follows anything."""
        return self.socket.member is None and not self.socket.channels

    async def close(self) -> None:
        """Forget everything; called when the connection is gone."""
        await self._speech.close()
        opening = list(self._opening.values())
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        for name in list(self.socket.channels):
            self._subscriptions.drop(read_channel(name))

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
            self._subscriptions.become(member.identity.user_id)
        self.socket.member = member
        user = {
            "id": str(member.identity.user_id),
            "username": member.identity.username,
            "display_name": member.display_name,
            "role": str(member.identity.role),
        }
        self.socket.answer(write_json({"type": "authenticated", "user": user}))

    # Channels

    async def subscribe(self, words: Subscribe) -> None:
        """Check every channel, and follow those that this client may.

        Channels of a moment are answered together. Each durable one is answered by itself once its
        host opened it, within its own deadline: none waits for another.
        """
        if len(words.channels) > CHANNELS_PER_REQUEST_MAX:
            raise TooManyChannels
        answer: dict[str, object] = {"type": "subscribed"}
        admitted: list[ChannelName] = []
        changes = self._ports.audience.changes
        names = list(dict.fromkeys(words.channels))
        checks = await asyncio.gather(
            *(self._check(name) for name in names), return_exceptions=True
        )
        for name, check in zip(names, checks, strict=True):
            try:
                if isinstance(check, BaseException):
                    raise check
                self._check_space()
            except AppError as error:
                self.socket.answer(write_error(error, channel=name))
                continue
            if check.kind in DURABLE:
                self._follow_beside(check, words.since.get(name), changes)
            else:
                answer[name] = self._subscriptions.admit_ephemeral(check)
                admitted.append(check)
        if admitted:
            self.socket.answer(write_json(answer))
        for channel in admitted:
            await self._subscriptions.follow(channel)
        if self._ports.audience.changes != changes:
            for channel in admitted:
                await self._look(channel)  # once: the client's next words wait here

    def _check_space(self) -> None:
        """Raise TooManyChannels when the client follows, or is about to, as many as it may."""
        opening = sum(other not in self.socket.channels for other in self._opening)
        if len(self.socket.channels) + opening >= CHANNELS_PER_SOCKET_MAX:
            raise TooManyChannels

    def _follow_beside(self, channel: ChannelName, since: Position | None, changes: int) -> None:
        """Follow a durable channel that nothing else of this connection waits for."""
        name = str(channel)
        self._stop_opening(name)
        task = asyncio.create_task(self._open(channel, since, changes), name="channel-opening")
        self._opening[name] = task

    async def _open(self, channel: ChannelName, since: Position | None, changes: int) -> None:
        """Answer with the channel's position once it is open, replay, and follow on.

        `changes` is how many lives had changed when the client's right was looked at.
        """
        name = str(channel)
        try:
            start = await self._subscriptions.admit(channel, since)
            self.socket.answer(write_json({"type": "subscribed", name: start}))
            await self._subscriptions.follow(channel, start.offset)
            if self._ports.audience.changes != changes:
                await self.recheck([channel])
        except AppError as error:
            self.socket.answer(write_error(error, channel=name))
        finally:
            if self._opening.get(name) is asyncio.current_task():
                del self._opening[name]

    def _stop_opening(self, name: str) -> bool:
        """Do not wait any more for a channel that is being opened; False: none is."""
        task = self._opening.pop(name, None)
        return task is not None and task.cancel()

    async def _check(self, name: str) -> ChannelName:
        """Return the channel of this name; raises when there is none or not for this client."""
        channel = read_channel(name)
        await self._ports.audience.check_channel(channel, self._viewer_id)
        return channel

    async def recheck(self, channels: Iterable[ChannelName]) -> None:
        """Let go of channels that this client may not follow any more, and say so.

        Looks again while nobody can tell, so nothing else of the connection may wait for it.
        """
        unsure = list(channels)
        while unsure:
            unsure = [channel for channel in unsure if not await self._look(channel)]
            if unsure:
                await asyncio.sleep(RECHECK_PAUSE_S)

    async def _look(self, channel: ChannelName) -> bool:
        """Let go of a channel if need be; False when nobody can tell now."""
        name = str(channel)
        if name not in self.socket.channels:
            return True
        try:
            await self._ports.audience.check_channel(channel, self._viewer_id)
        except Unavailable:
            return False
        except AppError as error:
            if name in self.socket.channels:
                self._subscriptions.drop(channel)
                self.socket.answer(write_error(error, channel=name))
        return True

    def _unsubscribe(self, words: Unsubscribe) -> None:
        dropped = []
        for name in words.channels[:CHANNELS_PER_REQUEST_MAX]:
            is_given_up = self._stop_opening(name)
            if name in self.socket.channels:
                self._subscriptions.drop(read_channel(name))
                dropped.append(name)
            elif is_given_up:
                dropped.append(name)
        self.socket.answer(write_json({"type": "unsubscribed", "channels": dropped}))

    def _count_malformed(self, error: AppError) -> None:
        if isinstance(error, FrameMalformed):
            self._malformed += 1
            if self._malformed >= MALFORMED_MAX:
                self.socket.close(CloseCode.MALFORMED)
