"""/ws: admitting sockets, keeping them, closing those that are slow, idle or no longer welcome.

`server.py` owns one. An edge that is full, draining or out of breath says 503, and the client
asks the API for another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from aiohttp import WSMsgType, hdrs, web

from kit.clock import Clock
from kit.errors import AppError
from kit.logs import get_log
from kit.metrics import SOCKETS_OPEN, SOCKETS_SLOW, SOCKETS_UNREAD
from kit.settings import Settings
from serve_apps.access.callers import find_caller, read_networks
from serve_apps.edge.admissions import Admissions
from serve_apps.edge.conversation import Conversation
from serve_apps.edge.followers import CALM_BYTES, LAG_MAX_S, Follower
from serve_apps.edge.refusals import build_refusal
from serve_apps.edge.socket_words import (
    FRAME_BYTES_MAX,
    ChannelKind,
    ChannelName,
    CloseCode,
    read_channel,
)
from serve_apps.edge.sockets import Socket
from serve_apps.edge.strict_websocket import StrictWebSocket
from serve_apps.edge.subscriptions import TalkPorts
from serve_apps.edge.visits import mark_visit

log = get_log("edge")

PING_EVERY_S = 20.0
"""A peer that does not answer within half of it is gone: dead sockets end within 30 s."""
IDLE_MAX_S = 30.0
SWEEP_EVERY_S = 0.5


class SocketServer:
    """All sockets of this edge, and the event streams beside them."""

    def __init__(
        self, settings: Settings, clock: Clock, talk: TalkPorts, is_breathless: Callable[[], bool]
    ) -> None:
        self.clock = clock
        self._proxies = settings.http.trusted_proxies
        read_networks(self._proxies)  # refused now rather than at each arrival
        self._talk = talk
        self._is_breathless = is_breathless
        self._open: dict[Follower, Conversation] = {}
        self._admissions = Admissions(settings.edge, clock.monotonic_s())
        self._is_draining = False
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Carry one socket from its handshake to its end."""
        try:
            caller = self.admit(request)
        except AppError as error:
            return build_refusal(error, self.clock.now())
        response = StrictWebSocket(FRAME_BYTES_MAX, PING_EVERY_S)
        await response.prepare(request)
        transport = request.transport
        if transport is None:
            return response
        socket = Socket(response, transport)
        socket.limit_kernel_memory()
        socket.visitor = mark_visit(caller, request.headers.get(hdrs.USER_AGENT, ""))
        conversation = Conversation(socket, self._talk)
        self.welcome(socket, conversation, caller)
        try:
            async for message in response:
                if message.type is WSMsgType.TEXT:
                    await conversation.hear(message.data)
                elif message.type is WSMsgType.BINARY:
                    socket.close(CloseCode.MALFORMED)
        finally:
            await self.forget(socket, caller)
        return response

    def admit(self, request: web.Request) -> str:
        """Count an arrival and return its caller; raises EdgeFull or TooManyArrivals."""
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
        caller = find_caller(request.remote or "", forwarded, self._proxies)
        if self._is_draining:
            self._admissions.refuse("draining")
        if self._is_breathless():
            self._admissions.refuse("breathless")
        self._admissions.admit(caller, len(self._open), self.clock.monotonic_s())
        return caller

    def welcome(self, follower: Follower, conversation: Conversation, caller: str) -> None:
        """Look after a follower until `forget`."""
        self._open[follower] = conversation
        self._admissions.note_opened(caller)
        SOCKETS_OPEN.set(len(self._open))

    async def forget(self, follower: Follower, caller: str) -> None:
        """End what a follower still does here; its connection is gone, or going."""
        conversation = self._open.pop(follower)
        self._admissions.note_closed(caller)
        SOCKETS_OPEN.set(len(self._open))
        await conversation.close()
        await follower.wait_closed()

    def end_session(self, session_id: uuid.UUID) -> None:
        """Close every socket of a login that was revoked."""
        for socket in list(self._open):
            if socket.member is not None and socket.member.identity.session_id == session_id:
                socket.close(CloseCode.SESSION_REVOKED)

    def recheck_channel(self, channel: ChannelName) -> None:
        """Something was hidden, shown or deleted: let those go who may not see it any more.

        Of a person who stopped following somebody, or is shown to others than before, everything is
        looked at, and who sees whether they are there.
        """
        if channel.kind is ChannelKind.USER:
            self._recheck_person(channel.id)
        elif channel.kind in (ChannelKind.POST, ChannelKind.VIDEO):
            self.recheck(self._talk.ephemeral.list_followers(str(channel)), channel)
        else:
            self.recheck(self._open, channel)

    def recheck(self, sockets: Iterable[Follower], channel: ChannelName) -> None:
        """Let those of these sockets go that follow a channel and may not any more."""
        for socket in list(sockets):
            conversation = self._open.get(socket)
            if conversation is not None and str(channel) in socket.channels:
                self._own(conversation.recheck([channel]), "socket-recheck")

    def _recheck_person(self, user_id: uuid.UUID) -> None:
        person = self._talk.users.find(user_id)
        if person is not None:
            self.recheck(person.watchers, ChannelName(ChannelKind.PRESENCE, user_id))
        for socket, conversation in list(self._open.items()):
            if socket.member is not None and socket.member.identity.user_id == user_id:
                channels = [read_channel(name) for name in socket.channels]
                self._own(conversation.recheck(channels), "socket-recheck")

    async def sweep(self) -> None:
        """Look after slow and idle sockets until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            now_s = time.monotonic()
            slow = unread_bytes = 0
            for socket, conversation in list(self._open.items()):
                socket.look_after(now_s)
                if socket.lagging_since_s is not None:
                    slow += 1
                    unread_bytes += socket.unread_bytes
                    self._look_after_slow(socket, now_s)
                elif conversation.is_idle and now_s - socket.opened_at_s > IDLE_MAX_S:
                    socket.close(CloseCode.IDLE)
            SOCKETS_SLOW.set(slow)
            SOCKETS_UNREAD.set(unread_bytes)

    async def drain(self, deadline_s: float) -> None:
        """Admit nobody more and close everybody with 1012, spread over a part of the deadline."""
        self._is_draining = True
        sockets = list(self._open)
        pause_s = min(0.5, deadline_s / 4) / max(1, len(sockets))
        for number, socket in enumerate(sockets):
            socket.close(CloseCode.RESTART)
            if number % 50 == 49:
                await asyncio.sleep(50 * pause_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s / 2):
                await asyncio.gather(*(socket.wait_closed() for socket in sockets))

    def _look_after_slow(self, socket: Follower, now_s: float) -> None:
        """Go on with a viewer that has read; close one that has not for too long."""
        assert socket.lagging_since_s is not None, "only lagging sockets are looked after"
        if socket.unread_bytes < CALM_BYTES:
            socket.lagging_since_s = None
            self._own(self._catch_up(socket), "socket-catch-up")
        elif now_s - socket.lagging_since_s > LAG_MAX_S:
            socket.close(CloseCode.TOO_SLOW)

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run work beside the sockets; it handles its refusals itself."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _catch_up(self, socket: Follower) -> None:
        """Show what was held back: from resume points where there are some, else latest states."""
        for name in list(socket.held_back):
            mirror = self._talk.find_mirror(read_channel(name))
            if mirror is not None:
                await mirror.catch_up(socket)
        while socket.skipped:
            name = socket.skipped.pop()
            if name in socket.channels:
                await self._talk.repeat_latest(socket, read_channel(name))
