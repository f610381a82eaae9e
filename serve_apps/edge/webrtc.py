"""WHIP and WHEP on the edge (RFC 9725 and its egress twin): offers in, answers out.

The API sends publishers and viewers here with single-use tickets; who may do what was decided
there. A session's address is absolute and unguessable: whoever knows it may end it. `server.py`
adds these routes and hears of sessions through the SFU's events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from kit.clock import Clock
from kit.errors import AppError, NotFound, Unavailable
from kit.ids import parse_id
from kit.logs import get_log
from kit.settings import Settings
from media.sfu.options import SessionAnswer
from media.sfu.server import Sfu
from serve_apps.access.grants import Ticket, TicketBook, TicketInvalid, TicketKind, read_ticket
from serve_apps.edge.refusals import Handler, build_refusal

log = get_log("webrtc")

OFFER_BYTES_MAX = 64 << 10
OFFER_TYPE = "application/sdp"
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, DELETE, PATCH, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Expose-Headers": "Location, ETag, Link, Retry-After",
    "Access-Control-Max-Age": "600",
}


class OfferTypeUnsupported(AppError):
    """The body is not an SDP offer."""

    code, status = "offer_type_unsupported", 415
    message = f"The body must be of the type {OFFER_TYPE}."


class OfferTooLarge(AppError):
    """An offer of this size is none."""

    code, status, message = "offer_too_large", 413, "The SDP offer is too large."


class SessionNotFound(NotFound):
    """The session has ended, or never was."""

    code, message = "session_not_found", "This session has ended."


class EdgeDraining(Unavailable):
    """The edge is about to stop and takes nobody new."""

    code, message = "edge_draining", "This media server is stopping; ask for another address."


@dataclass(frozen=True)
class WebRtcPorts:
    """What the routes need: the edge's own base `url`, its SFU, its book of used tickets."""

    settings: Settings
    url: str
    sfu: Sfu
    tickets: TicketBook
    clock: Clock
    is_admitting: Callable[[], bool]


def add_webrtc_routes(app: web.Application, ports: WebRtcPorts) -> None:
    """Add WHIP, WHEP and their sessions to the edge's app."""
    desk = _Desk(ports)
    app.router.add_post("/whip", desk.answer_plainly(desk.publish))
    app.router.add_post("/whep/{room}", desk.answer_plainly(desk.watch))
    app.router.add_delete("/sessions/{session}", desk.answer_plainly(desk.end_session))
    app.router.add_patch("/sessions/{session}", desk.answer_plainly(desk.take_candidates))
    for path in ("/whip", "/whep/{room}", "/sessions/{session}"):
        app.router.add_options(path, desk.answer_plainly(desk.describe))


class _Desk:
    def __init__(self, ports: WebRtcPorts) -> None:
        self._ports = ports

    def answer_plainly(self, handler: Handler) -> Handler:
        """Turn refusals into answers that pages of any origin may read."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                response = await handler(request)
            except AppError as error:
                log.info("webrtc.refused", path=request.path, code=error.code)
                response = build_refusal(error, self._ports.clock.now())
            response.headers.update(CORS)
            return response

        return answer

    async def publish(self, request: web.Request) -> web.Response:
        """POST /whip: open a publisher's session in the ticket's room."""
        ticket = self._check_ticket(request, TicketKind.WHIP)
        offer = await _read_offer(request)
        return self._answer(self._ports.sfu.publish(str(ticket.resource), offer))

    async def watch(self, request: web.Request) -> web.Response:
        """POST /whep/{room}: open a viewer's session."""
        ticket = self._check_ticket(request, TicketKind.WHEP)
        if ticket.resource != parse_id(request.match_info["room"]):
            raise TicketInvalid
        offer = await _read_offer(request)
        return self._answer(self._ports.sfu.watch(str(ticket.resource), offer))

    async def end_session(self, request: web.Request) -> web.Response:
        """DELETE a session's address: end it."""
        if not self._ports.sfu.close_session(request.match_info["session"]):
            raise SessionNotFound
        return web.Response(status=200)

    async def take_candidates(self, request: web.Request) -> web.Response:
        """PATCH with trickled candidates: not needed, an ICE-lite side only answers checks."""
        known = {session.session_id for session in self._ports.sfu.list_sessions()}
        if request.match_info["session"] not in known:
            raise SessionNotFound
        return web.Response(status=204)

    async def describe(self, _request: web.Request) -> web.Response:
        """OPTIONS: what is taken here; also the browsers' preflight."""
        return web.Response(status=204, headers={"Accept-Post": OFFER_TYPE})

    def _check_ticket(self, request: web.Request, kind: TicketKind) -> Ticket:
        """Refuse a ticket that is not ours, for elsewhere, late, or used; mark this one used."""
        if not self._ports.is_admitting():
            raise EdgeDraining(retry_after_s=1)
        now = self._ports.clock.now()
        public_key = self._ports.settings.auth.grant_public_key
        text = request.query.get("ticket", "")
        ticket = read_ticket(public_key, text, kind, self._ports.url, now)
        self._ports.tickets.check_first_use(ticket, now)
        return ticket

    def _answer(self, answer: SessionAnswer) -> web.Response:
        headers = {
            "Location": f"{self._ports.url}/sessions/{answer.session_id}",
            "ETag": answer.etag,
            "Cache-Control": "no-store",
        }
        return web.Response(status=201, text=answer.sdp, content_type=OFFER_TYPE, headers=headers)


async def _read_offer(request: web.Request) -> str:
    if request.content_type != OFFER_TYPE:
        raise OfferTypeUnsupported
    if (request.content_length or 0) > OFFER_BYTES_MAX:
        raise OfferTooLarge
    body = await request.content.read(OFFER_BYTES_MAX + 1)
    while not request.content.at_eof() and len(body) <= OFFER_BYTES_MAX:
        body += await request.content.read(OFFER_BYTES_MAX + 1 - len(body))
    if len(body) > OFFER_BYTES_MAX:
        raise OfferTooLarge
    return body.decode("utf-8", "replace")
