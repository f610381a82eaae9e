"""The WHIP, WHEP and HLS addresses of lives, at the root, where OBS and browsers expect them.

They answer 307 with a single-use ticket, because clients drop `Authorization` across origins.
"""

from __future__ import annotations

import uuid

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.access.stream_keys import LiveTakenDown, StreamKeyInvalid
from serve_apps.access.visibility import ForSubscribers
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import AvoidedEdge
from serve_apps.http.state import OptionalUser, Ports, Transaction
from serve_apps.live import service

entry_routes = Routes("", "live")
BEARER = "bearer "


@entry_routes.post(
    "/whip",
    permission=Permission.PUBLIC,
    rate=RateTier.INGEST,
    summary="WHIP (RFC 9725): publish with the stream key as bearer token.",
    status=307,
    response_class=RedirectResponse,
    errors=(StreamKeyInvalid, LiveTakenDown, service.LiveEnded, service.NoEdge),
)
async def redirect_whip(
    request: Request, ports: Ports, connection: Transaction, avoid: AvoidedEdge = ""
) -> RedirectResponse:
    """Send a publisher to an edge."""
    header = request.headers.get("authorization", "")
    key = header[len(BEARER) :].strip() if header.lower().startswith(BEARER) else ""
    now = ports.clock.now()
    location = await service.make_whip_redirect(connection, ports.settings, key, now, avoid)
    return RedirectResponse(location, status_code=307)


@entry_routes.post(
    "/whep/{live_id}",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="WHEP: watch a live by WebRTC.",
    status=307,
    response_class=RedirectResponse,
    errors=(
        service.LiveNotFound,
        ForSubscribers,
        service.LiveEnded,
        service.LiveNotOnAir,
        service.NoEdge,
    ),
)
async def redirect_whep(
    live_id: uuid.UUID,
    viewer: OptionalUser,
    ports: Ports,
    connection: Transaction,
    avoid: AvoidedEdge = "",
) -> RedirectResponse:
    """Send a viewer to an edge: where the live comes in, or one with more room."""
    watcher = service.Watcher(viewer, ports.clock.now(), avoid)
    location = await service.make_whep_redirect(connection, ports.settings, live_id, watcher)
    return RedirectResponse(location, status_code=307)


@entry_routes.get(
    "/live/{live_id}/index.m3u8",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="Watch a live by HLS: its list of variants, where it comes in.",
    status=307,
    response_class=RedirectResponse,
    errors=(service.LiveNotFound, ForSubscribers, service.NoEdge),
)
async def redirect_hls(
    live_id: uuid.UUID,
    viewer: OptionalUser,
    ports: Ports,
    connection: Transaction,
    avoid: AvoidedEdge = "",
) -> RedirectResponse:
    """Send a player to an edge; the right to see what is not public is part of the address."""
    watcher = await service.make_watcher(connection, viewer, ports.clock.now(), avoid)
    live = await service.get_live(connection, viewer, live_id)
    location = await service.make_hls_address(connection, ports.settings, live, watcher)
    return RedirectResponse(location, status_code=307, headers={"Cache-Control": "no-store"})


@entry_routes.options(
    "/whip",
    permission=Permission.PUBLIC,
    rate=RateTier.NONE,
    summary="What WHIP takes here.",
    status=204,
    response_class=Response,
)
async def describe_whip() -> Response:
    """Answer a plain OPTIONS; preflights are answered before routing."""
    return Response(status_code=204, headers={"Accept-Post": "application/sdp"})


@entry_routes.options(
    "/whep/{live_id}",
    permission=Permission.PUBLIC,
    rate=RateTier.NONE,
    summary="What WHEP takes here.",
    status=204,
    response_class=Response,
)
async def describe_whep(live_id: uuid.UUID) -> Response:  # noqa: ARG001 -- part of the path
    """Answer a plain OPTIONS; preflights are answered before routing."""
    return Response(status_code=204, headers={"Accept-Post": "application/sdp"})
