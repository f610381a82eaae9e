"""WHIP (RFC 9725), WHEP and their session addresses: single-use ticket in, SDP answer out.

The API hands out the tickets. There are no cookies, so any origin may call, `null` after a
redirect included. Candidates are complete in the answer: nothing is left to trickle from us.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import hdrs, web
from multidict import CIMultiDict

from kit.clock import Clock
from kit.errors import AppError, Unavailable
from kit.ids import parse_id
from kit.logs import get_log
from kit.metrics import MEDIA_REFUSED
from kit.setting_sections import AuthSettings
from media.sfu.errors import SessionEnded
from media.sfu.options import SessionAnswer
from serve_apps.access.grants import Ticket, TicketBook, TicketInvalid, TicketKind, read_ticket
from serve_apps.access.stream_keys import KEY_CLAIM
from serve_apps.access.tokens import SessionRevoked
from serve_apps.edge.bodies import read_bounded
from serve_apps.edge.ice_servers import IceServers
from serve_apps.edge.layers import JSON_TYPE, LAYER_EXTENSION, LayerRoutes
from serve_apps.edge.media_sessions import MediaSessions
from serve_apps.edge.publisher_checks import PublisherChecks
from serve_apps.edge.refusals import Handler, build_refusal

log = get_log("edge")

SDP_TYPE = "application/sdp"
FRAGMENT_TYPE = "application/trickle-ice-sdpfrag"
SDP_BYTES_MAX = 64 << 10
LABEL_CHARS = 6  # of a session's id: enough to find it in a log
PREFLIGHT: dict[str, str] = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, PATCH, DELETE, OPTIONS",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type, If-Match",
    hdrs.ACCESS_CONTROL_MAX_AGE: "86400",
}
EXPOSED = "Location, ETag, Link, Retry-After, Accept-Post, Accept-Patch"


class NotSdp(AppError):
    """The body must be SDP."""

    code, status, message = "not_sdp", 415, f"The body must be of the type {SDP_TYPE}."


class SdpTooLarge(AppError):
    """No offer is so long."""

    code, status, message = "sdp_too_large", 413, "The offer is too large."


class SdpNotText(AppError):
    """The offer is not UTF-8."""

    code, status, message = "offer_malformed", 400, "The SDP offer is not valid."


class MethodRefused(AppError):
    """These addresses take what RFC 9725 names and nothing else."""

    code, status, message = "method_not_allowed", 405, "This address does not take that method."


@dataclass(frozen=True)
class WhipPorts:
    """What the addresses need: who this edge is, its tickets, its sessions."""

    auth: AuthSettings
    clock: Clock
    edge_url: str
    tickets: TicketBook
    sessions: MediaSessions
    is_revoked: Callable[[uuid.UUID], bool]
    ice_servers: IceServers
    publishers: PublisherChecks
    check_viewer: Callable[[uuid.UUID, uuid.UUID | None], Awaitable[None]]
    """Raises unless the person may (still) see the room."""
    bring: Callable[[uuid.UUID], Awaitable[None]]
    """Returns once the room's packets are at this edge; raises RoomNotLive."""


def add_whip_routes(app: web.Application, ports: WhipPorts) -> None:
    """Put /whip, /whep/{room} and /sessions/{session} with its layer on the edge."""
    server = _WhipServer(ports)
    for path, post in (("/whip", server.publish), ("/whep/{room_id}", server.watch)):
        app.router.add_route(hdrs.METH_POST, path, server.answer(post))
        app.router.add_route(hdrs.METH_OPTIONS, path, server.answer(server.describe))
        app.router.add_route(hdrs.METH_ANY, path, server.refuse_others("POST, OPTIONS"))
    layers, path = LayerRoutes(ports.sessions), "/sessions/{session_id}/layer"
    app.router.add_route(hdrs.METH_GET, path, server.answer(layers.show))
    app.router.add_route(hdrs.METH_POST, path, server.answer(layers.choose))
    app.router.add_route(hdrs.METH_OPTIONS, path, server.answer(server.describe_layer))
    app.router.add_route(hdrs.METH_ANY, path, server.refuse_others("GET, POST, OPTIONS"))
    path = "/sessions/{session_id}"
    app.router.add_route(hdrs.METH_DELETE, path, server.answer(server.end))
    app.router.add_route(hdrs.METH_PATCH, path, server.answer(server.trickle))
    app.router.add_route(hdrs.METH_OPTIONS, path, server.answer(server.describe_session))
    app.router.add_route(hdrs.METH_ANY, path, server.refuse_others("DELETE, PATCH, OPTIONS"))


class _WhipServer:
    """The handlers, sharing the ports."""

    def __init__(self, ports: WhipPorts) -> None:
        self._ports = ports

    def answer(self, handler: Handler) -> Handler:
        """Wrap a handler with error answers and the headers that let any page read them."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response: web.StreamResponse
            try:
                response = await handler(request)
            except AppError as error:
                log.info("whip.refused", code=error.code, path=request.path.split("/")[1])
                if error.status == 503:
                    MEDIA_REFUSED.labels(error.code).inc()
                response = build_refusal(error, self._ports.clock.now())
            headers = response.headers
            headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
            headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED
            headers[hdrs.CACHE_CONTROL] = "no-store"
            return response

        return answer

    async def describe(self, _request: web.Request) -> web.StreamResponse:
        """Say what an endpoint takes (OPTIONS; also the browser's preflight)."""
        return web.Response(status=204, headers=PREFLIGHT | {"Accept-Post": SDP_TYPE})

    async def describe_session(self, _request: web.Request) -> web.StreamResponse:
        """Say what a session takes."""
        return web.Response(status=204, headers=PREFLIGHT | {"Accept-Patch": FRAGMENT_TYPE})

    async def describe_layer(self, _request: web.Request) -> web.StreamResponse:
        """Say what the layers of a session take."""
        return web.Response(status=204, headers=PREFLIGHT | {"Accept-Post": JSON_TYPE})

    def refuse_others(self, taken: str) -> Handler:
        """Return what refuses GET, HEAD, PUT and the like (RFC 9725 §4.1), with what is taken."""

        async def refuse(request: web.Request) -> web.StreamResponse:
            error = MethodRefused(method=request.method)
            response = build_refusal(error, self._ports.clock.now())
            response.headers[hdrs.ALLOW] = taken
            return response

        return self.answer(refuse)

    async def publish(self, request: web.Request) -> web.StreamResponse:
        """WHIP: take an offer that sends."""
        self._ports.sessions.check_room_left()
        offer = await _read_body(request, SDP_TYPE)
        ticket = self._spend_ticket(request, TicketKind.WHIP)
        key_mark = str(ticket.claims.get(KEY_CLAIM, ""))
        await self._ports.publishers.check(ticket.resource, key_mark)
        answer = self._ports.sessions.publish(
            ticket.resource, user_id=ticket.subject, key_mark=key_mark, offer=offer
        )
        return self._build_answer(answer)

    async def watch(self, request: web.Request) -> web.StreamResponse:
        """WHEP: take an offer that receives."""
        self._ports.sessions.check_room_left()
        offer = await _read_body(request, SDP_TYPE)
        ticket = self._spend_ticket(request, TicketKind.WHEP)
        if parse_id(request.match_info["room_id"]) != ticket.resource:
            raise TicketInvalid
        login = parse_id(str(ticket.claims.get("session", "")))
        await self._check_viewer(ticket, login)
        await self._ports.bring(ticket.resource)
        # That may have taken seconds, in which nobody knew whom to end.
        await self._check_viewer(ticket, login)
        answer = self._ports.sessions.watch(
            ticket.resource, user_id=ticket.subject, login=login, offer=offer
        )
        response = self._build_answer(answer)
        layer = f"{response.headers[hdrs.LOCATION]}/layer"
        response.headers.add(hdrs.LINK, f'<{layer}>; rel="{LAYER_EXTENSION}"')
        return response

    async def end(self, request: web.Request) -> web.StreamResponse:
        """End a session (DELETE); knowing its address is the right to do so.

        Of a publisher that was lost before it is said whether another one took its place.
        """
        session_id = request.match_info["session_id"]
        if not self._ports.sessions.close(session_id):
            await self._ports.publishers.check_replaced(session_id)
            raise SessionEnded
        return web.Response(status=200)

    async def trickle(self, request: web.Request) -> web.StreamResponse:
        """Take candidates, or restart ICE (PATCH)."""
        fragment = await _read_body(request, FRAGMENT_TYPE)
        restart = self._ports.sessions.patch(
            request.match_info["session_id"], request.headers.get(hdrs.IF_MATCH), fragment
        )
        if restart is None:
            return web.Response(status=204)
        return web.Response(
            text=restart.fragment, content_type=FRAGMENT_TYPE, headers={hdrs.ETAG: restart.etag}
        )

    async def _check_viewer(self, ticket: Ticket, login: uuid.UUID | None) -> None:
        """Raise unless who watches may (still) do so."""
        if login is not None and self._ports.is_revoked(login):
            raise SessionRevoked
        with suppress(Unavailable):  # nobody can tell now, and the ticket is seconds old
            await self._ports.check_viewer(ticket.resource, ticket.subject)

    def _spend_ticket(self, request: web.Request, kind: TicketKind) -> Ticket:
        """Return the request's ticket and void it; raises NotAuthenticated's kinds."""
        ports = self._ports
        now = ports.clock.now()
        text = request.query.get("ticket", "")
        ticket = read_ticket(ports.auth.grant_public_key, text, kind, ports.edge_url, now)
        ports.tickets.check_first_use(ticket, now)
        return ticket

    def _build_answer(self, answer: SessionAnswer) -> web.StreamResponse:
        headers = CIMultiDict(
            {
                hdrs.LOCATION: f"{self._ports.edge_url}/sessions/{answer.session_id}",
                hdrs.ETAG: answer.etag,
            }
        )
        now = self._ports.clock.now()
        for link in self._ports.ice_servers.list_links(answer.session_id[:LABEL_CHARS], now):
            headers.add(hdrs.LINK, link)
        return web.Response(status=201, text=answer.sdp, content_type=SDP_TYPE, headers=headers)


async def _read_body(request: web.Request, wanted: str) -> str:
    """Return the body as text; raises NotSdp, SdpTooLarge, SdpNotText, BodyLate, BodyMalformed."""
    if request.content_type != wanted:
        raise NotSdp(f"The body must be of the type {wanted}.")
    body = await read_bounded(request, SDP_BYTES_MAX)
    if body is None:
        raise SdpTooLarge
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise SdpNotText from error
