"""How a live goes and how it went, for its owner."""

from __future__ import annotations

import uuid

from fastapi import Response

from kit.errors import PermissionDenied
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import Routes
from serve_apps.http.state import CurrentUser, Ports, Transaction
from serve_apps.http.tables import CSV_TYPE, answer_table
from serve_apps.live import service
from serve_apps.live.analytics import CSV_FIELDS, list_rows, read_analytics
from serve_apps.live.health_schemas import (
    AnalyticsBody,
    HealthBody,
    describe_analytics,
    describe_health,
)

routes = Routes("/live/{live_id}", "live")
EXAMPLE_TABLE = ",".join(CSV_FIELDS) + "\r\n2026-01-01T21:12:40.000Z,10000,5,3,1,1,…\r\n"


@routes.get(
    "/health",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="See how your live goes: what comes in, and how its viewers fare.",
    errors=(service.LiveNotFound, service.LiveEnded, PermissionDenied),
)
async def get_live_health(live_id: uuid.UUID, user: CurrentUser, ports: Ports) -> HealthBody:
    """See how a live goes; its room tells, outside of any transaction of ours."""
    async with ports.database.connection() as connection:
        live = await service.get_own_live(connection, user, live_id)
    if live.status == "ended":
        raise service.LiveEnded
    return describe_health(await ports.rooms.ask_health(live_id))


@routes.get(
    "/analytics",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="See how your live went: viewers over time, time watched, chat, quality.",
    errors=(service.LiveNotFound, PermissionDenied),
)
async def get_live_analytics(
    live_id: uuid.UUID, user: CurrentUser, connection: Transaction
) -> AnalyticsBody:
    """See how a live went; of one on air, up to some seconds ago."""
    return describe_analytics(await read_analytics(connection, user, live_id))


@routes.get(
    "/analytics.csv",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="The same as a table.",
    response_class=Response,
    media_type=CSV_TYPE,
    example=EXAMPLE_TABLE,
    errors=(service.LiveNotFound, PermissionDenied),
)
async def get_live_analytics_table(
    live_id: uuid.UUID, user: CurrentUser, connection: Transaction
) -> Response:
    """See how a live went, as CSV."""
    analytics = await read_analytics(connection, user, live_id)
    return answer_table(f"live-{live_id}", list_rows(analytics.samples))
