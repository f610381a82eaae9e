"""/events: the socket's channels as server-sent events, for clients without a WebSocket.

GET follows, with the same checks, resume and slow-reader rules as /ws. POST takes what the socket's
clients say, a frame at a time; only who reads a stream knows its key, and what is answered comes
there. Any origin may call: there are no cookies, the right comes as a bearer token, as the ticket
of `join`, or as that key.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field

from aiohttp import ClientError, hdrs, web

from kit.errors import AppError, MalformedRequest, NotFound
from kit.logs import get_log
from serve_apps.edge.conversation import Conversation
from serve_apps.edge.event_streams import EventStream, read_positions
from serve_apps.edge.followers import Member
from serve_apps.edge.refusals import build_refusal
from serve_apps.edge.socket_frames import write_json
from serve_apps.edge.socket_server import SocketServer
from serve_apps.edge.socket_words import (
    CHANNELS_PER_REQUEST_MAX,
    FRAME_BYTES_MAX,
    CloseCode,
    FrameMalformed,
    Subscribe,
    TooManyChannels,
    read_channel,
)
from serve_apps.edge.subscriptions import TalkPorts
from serve_apps.edge.visits import mark_visit

log = get_log("edge")

BEARER = "bearer "
RETRY_MS = 2000
CORS: dict[str, str] = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "Retry-After",
}
STREAM_KEY = "Stream-Key"
ALLOWED_HEADERS = f"Authorization, Cache-Control, Content-Type, Last-Event-ID, {STREAM_KEY}"
PREFLIGHT_MAX_AGE_S = 86_400
KEY_BYTES = 18
SAYING_TIMEOUT_S = 10.0
"""How long what is said may be on its way."""


class NoChannels(MalformedRequest):
    """The address names nothing to follow."""

    code, message = "channels_missing", "Name channels: /events?channels=room:…,post:…"


class StreamUnknown(NotFound):
    """There is no such stream, or no more."""

    code, message = "stream_unknown", "This stream has ended. Open another one."


class WordUnmeasured(AppError):
    """Nobody said how long it is."""

    code, status, message = "length_required", 411, "Say how long the frame is: Content-Length."


class WordTooLarge(AppError):
    """More than one frame of a socket holds."""

    code, status, message = "word_too_large", 413, "Say at most 64 KiB at a time."


class WordLate(AppError):
    """It did not arrive in time, or broke off."""

    code, status, message = "word_late", 408, "This did not arrive whole in time."
    retryable = True


@dataclass(frozen=True)
class _Talk:
    """A stream that is spoken to: one word at a time, and none once it ended."""

    stream: EventStream
    conversation: Conversation
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class EventServer:
    """The handlers, beside the sockets of the same edge."""

    def __init__(self, sockets: SocketServer, talk: TalkPorts) -> None:
        self._sockets = sockets
        self._talk = talk
        self._by_key: dict[str, _Talk] = {}

    def add_routes(self, app: web.Application) -> None:
        """Answer below /events."""
        app.router.add_get("/events", self.serve)
        app.router.add_post("/events", self.hear)
        app.router.add_options("/events", self.describe)

    async def describe(self, _request: web.Request) -> web.StreamResponse:
        """Answer a browser's preflight."""
        response = web.Response(status=204, headers=CORS)
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET, POST, OPTIONS"
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = ALLOWED_HEADERS
        response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = str(PREFLIGHT_MAX_AGE_S)
        return response

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Follow what the address names until the client or the edge goes."""
        try:
            caller = self._sockets.admit(request)
            words = _read_words(request)
            member = await self._authenticate(request)
            await self._check_any(words, member)
        except AppError as error:
            return self._refuse(error)
        response = web.StreamResponse(
            headers=CORS
            | {
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(f"retry: {RETRY_MS}\n\n".encode())
        if request.transport is None:
            return response
        stream = EventStream(request.transport)
        stream.limit_kernel_memory()
        stream.visitor = mark_visit(caller, request.headers.get(hdrs.USER_AGENT, ""))
        stream.member = member
        conversation = Conversation(stream, self._talk)
        self._sockets.welcome(stream, conversation, caller)
        key, talk = secrets.token_urlsafe(KEY_BYTES), _Talk(stream, conversation)
        self._by_key[key] = talk
        try:
            stream.answer(write_json({"type": "stream", "key": key}))
            if member is not None and not self._talk.logins.has_standing(member):
                stream.close(CloseCode.SESSION_REVOKED)  # it ended while we looked at the rows
            async with talk.turn:
                await conversation.subscribe(words)
            await stream.ended.wait()
        finally:
            del self._by_key[key]
            async with talk.turn:  # what is heard at the moment would hold channels for nobody
                await self._sockets.forget(stream, caller)
        return response

    async def hear(self, request: web.Request) -> web.StreamResponse:
        """Take one word of a stream's client, as a frame of a socket; 204 says that it came."""
        try:
            talk = self._find(request)  # strangers send nothing
            text = await _read_word(request)
            async with talk.turn:
                await self._find(request).conversation.hear(text)
        except AppError as error:
            return self._refuse(error)
        return web.Response(status=204, headers=CORS)

    def _find(self, request: web.Request) -> _Talk:
        """Return the stream that the key names; raises StreamUnknown."""
        talk = self._by_key.get(request.headers.get(STREAM_KEY, ""))
        if talk is None or not talk.stream.is_open:
            raise StreamUnknown
        return talk

    def _refuse(self, error: AppError) -> web.Response:
        log.info("events.refused", code=error.code)
        refusal = build_refusal(error, self._sockets.clock.now())
        refusal.headers.update(CORS)
        return refusal

    async def _authenticate(self, request: web.Request) -> Member | None:
        """Return who asks, None when anonymous; raises NotAuthenticated's kinds."""
        header = request.headers.get(hdrs.AUTHORIZATION, "")
        token = request.query.get("ticket", "")
        if header.lower().startswith(BEARER):
            token = header[len(BEARER) :].strip()
        return await self._talk.logins.authenticate(token) if token else None

    async def _check_any(self, words: Subscribe, member: Member | None) -> None:
        """Refuse with the first channel's reason when none may be followed."""
        viewer_id = None if member is None else member.identity.user_id
        refusal: AppError | None = None
        for name in words.channels:
            try:
                await self._talk.audience.check_channel(read_channel(name), viewer_id)
            except AppError as error:
                refusal = refusal or error
            else:
                return
        assert refusal is not None, "there is a channel"
        raise refusal


def _read_words(request: web.Request) -> Subscribe:
    """Read what to follow, and from where; raises NoChannels, TooManyChannels."""
    names = [name for name in request.query.get("channels", "").split(",") if name]
    if not names:
        raise NoChannels
    if len(names) > CHANNELS_PER_REQUEST_MAX:
        raise TooManyChannels
    last = request.headers.get("Last-Event-ID") or request.query.get("last_event_id", "")
    return Subscribe(names, read_positions(last))


async def _read_word(request: web.Request) -> str:
    """Read a body of bounded length.

    Raises WordUnmeasured, WordTooLarge, WordLate, FrameMalformed.
    """
    if request.content_length is None:
        raise WordUnmeasured
    if request.content_length > FRAME_BYTES_MAX:
        raise WordTooLarge
    try:
        async with asyncio.timeout(SAYING_TIMEOUT_S):
            return (await request.read()).decode()
    except UnicodeDecodeError as error:
        raise FrameMalformed from error
    except (TimeoutError, ClientError, ConnectionError) as error:
        raise WordLate from error
