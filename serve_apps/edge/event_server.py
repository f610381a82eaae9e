"""GET /events: the socket's channels as server-sent events, for clients without a WebSocket.

The same checks, resume and slow-reader rules as /ws. Any origin may call: there are no cookies,
the right comes as a bearer token or as the ticket of `join`.
"""

from __future__ import annotations

from aiohttp import hdrs, web

from kit.errors import AppError, MalformedRequest
from kit.logs import get_log
from serve_apps.edge.conversation import Conversation
from serve_apps.edge.event_streams import EventStream, read_positions
from serve_apps.edge.followers import Member
from serve_apps.edge.refusals import build_refusal
from serve_apps.edge.socket_server import SocketServer
from serve_apps.edge.socket_words import (
    CHANNELS_PER_REQUEST_MAX,
    CloseCode,
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
ALLOWED_HEADERS = "Authorization, Last-Event-ID, Cache-Control"
PREFLIGHT_MAX_AGE_S = 86_400


class NoChannels(MalformedRequest):
    """The address names nothing to follow."""

    code, message = "channels_missing", "Name channels: /events?channels=room:…,post:…"


class EventServer:
    """The handlers, beside the sockets of the same edge."""

    def __init__(self, sockets: SocketServer, talk: TalkPorts) -> None:
        self._sockets = sockets
        self._talk = talk

    async def describe(self, _request: web.Request) -> web.StreamResponse:
        """Answer a browser's preflight."""
        response = web.Response(status=204, headers=CORS)
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET, OPTIONS"
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
            log.info("events.refused", code=error.code)
            refusal = build_refusal(error, self._sockets.clock.now())
            refusal.headers.update(CORS)
            return refusal
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
        try:
            if member is not None and not self._talk.logins.has_standing(member):
                stream.close(CloseCode.SESSION_REVOKED)  # it ended while we looked at the rows
            await conversation.subscribe(words)
            await stream.ended.wait()
        finally:
            await self._sockets.forget(stream, caller)
        return response

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
