"""Routes of watching: players tell of themselves, owners read the numbers."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Annotated

from fastapi import Query, Request, Response

from kit.errors import PermissionDenied
from serve_apps.access.identity import Identity
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import ForSubscribers
from serve_apps.http.routes import Routes
from serve_apps.http.state import (
    CurrentUser,
    OptionalUser,
    Ports,
    Transaction,
    get_address,
    get_countries,
)
from serve_apps.http.tables import CSV_TYPE, answer_table
from serve_apps.videos import viewing_service as service
from serve_apps.videos.service import VideoNotFound
from serve_apps.videos.viewing_rules import Browser
from serve_apps.videos.viewing_schemas import (
    AnalyticsBody,
    WatchBody,
    WatchRequest,
    describe_analytics,
    read_told,
)
from serve_apps.videos.viewing_table import FIELDS, list_rows

routes = Routes("/videos", "analytics")
DAYS_MAX = 366
EXAMPLE_TABLE = (
    ",".join(FIELDS) + "\r\nday,2026-01-01,12,900.0,3,1,2\r\nretention,0 %,1.0,,,,\r\n…\r\n"
)
Days = Annotated[int, Query(ge=1, le=DAYS_MAX, description="Up to today, in UTC.")]


@routes.post(
    "/{video_id}/watch",
    permission=Permission.PUBLIC,
    rate=RateTier.WATCH,
    summary="Tell how a player's session stands; half of the video or 30 seconds make it a view.",
    errors=(VideoNotFound, ForSubscribers),
)
async def note_watching(
    video_id: uuid.UUID,
    body: WatchRequest,
    request: Request,
    viewer: OptionalUser,
    ports: Ports,
    connection: Transaction,
) -> WatchBody:
    """Take a beacon."""
    browser = _read_browser(request, viewer)
    country = get_countries(request).find(browser.address)
    sender = (replace(browser, country=country), ports.settings.auth, ports.clock.now())
    is_view = await service.note_watching(connection, viewer, video_id, read_told(body), sender)
    return WatchBody(view=is_view)


@routes.post(
    "/{video_id}/share",
    permission=Permission.PUBLIC,
    rate=RateTier.WATCH,
    summary="Tell that somebody took the video's address along; once a day and person counts.",
    status=204,
    response_class=Response,
    errors=(VideoNotFound,),
)
async def note_share(
    video_id: uuid.UUID,
    request: Request,
    viewer: OptionalUser,
    ports: Ports,
    connection: Transaction,
) -> None:
    """Count a share."""
    sender = (_read_browser(request, viewer), ports.settings.auth, ports.clock.now())
    await service.note_share(connection, viewer, video_id, sender)


@routes.get(
    "/{video_id}/analytics",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Read a video's views, watch time, retention, engagement, viewers, and how it went.",
    errors=(VideoNotFound, PermissionDenied),
)
async def get_analytics(
    video_id: uuid.UUID,
    user: CurrentUser,
    ports: Ports,
    connection: Transaction,
    days: Days = 28,
) -> AnalyticsBody:
    """Read the numbers."""
    now = ports.clock.now()
    return describe_analytics(await service.read_analytics(connection, user, video_id, days, now))


@routes.get(
    "/{video_id}/analytics.csv",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="The same as a table.",
    response_class=Response,
    media_type=CSV_TYPE,
    example=EXAMPLE_TABLE,
    errors=(VideoNotFound, PermissionDenied),
)
async def get_analytics_table(
    video_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction, days: Days = 28
) -> Response:
    """Read the numbers, as CSV."""
    now = ports.clock.now()
    found = await service.read_analytics(connection, user, video_id, days, now)
    return answer_table(f"video-{video_id}", list_rows(describe_analytics(found)))


def _read_browser(request: Request, viewer: Identity | None) -> Browser:
    return Browser(
        viewer.user_id if viewer else None,
        get_address(request),
        request.headers.get("user-agent", ""),
    )
