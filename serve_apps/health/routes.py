"""`/health*` and `/metrics`: for load balancers, orchestrators and operators; never counted."""

from __future__ import annotations

import asyncio

from fastapi import Request, Response

from kit.errors import AppError, Unavailable
from kit.metrics import CONTENT_TYPE, join_metrics
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.health.schemas import DetailedHealth, Health, PartReport
from serve_apps.health.service import DOWN, check_parts, decide_status, read_version
from serve_apps.http.routes import Routes
from serve_apps.http.state import Ports

HOSTS_WAIT_S = 3.0
"""Of the ten seconds that Prometheus waits for a scrape."""
routes = Routes(prefix="", tag="health")


class NotReady(Unavailable):
    """The replica lives and cannot answer requests that need the database."""

    code, message = "not_ready", "The database does not answer or is not migrated yet."


@routes.get(
    "/health",
    permission=Permission.PUBLIC,
    rate=RateTier.NONE,
    summary="The replica's state in one word",
)
async def get_health(ports: Ports) -> Health:
    """Answer 200 while the process runs, with ok, degraded or down."""
    parts = await check_parts(ports.database, ports.cache)
    return Health(status=decide_status(parts), version=read_version())


@routes.get(
    "/health/live",
    permission=Permission.PUBLIC,
    rate=RateTier.NONE,
    summary="Whether the process runs",
)
async def get_liveness() -> Health:
    """Answer 200 without asking anyone else."""
    return Health(status="ok", version=read_version())


@routes.get(
    "/health/ready",
    permission=Permission.PUBLIC,
    rate=RateTier.NONE,
    summary="Whether requests may be sent here",
    errors=(NotReady,),
)
async def get_readiness(ports: Ports) -> Health:
    """Answer 503 while the database is away."""
    status = decide_status(await check_parts(ports.database, ports.cache))
    if status == DOWN:
        raise NotReady(retry_after_s=1)
    return Health(status=status, version=read_version())


@routes.get(
    "/health/startup",
    permission=Permission.PUBLIC,
    rate=RateTier.NONE,
    summary="Whether starting has finished",
    errors=(NotReady,),
)
async def get_startup(ports: Ports) -> Health:
    """Answer 503 until the database has answered and carries the schema."""
    return await get_readiness(ports)


@routes.get(
    "/health/detailed",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="The replica's parts and their answer times",
)
async def get_detailed_health(ports: Ports, request: Request) -> DetailedHealth:
    """List each part; names and times only, no addresses."""
    parts = await check_parts(ports.database, ports.cache)
    uptime_s = ports.clock.monotonic_s() - request.app.state.started_s
    return DetailedHealth(
        status=decide_status(parts),
        version=read_version(),
        uptime_s=round(uptime_s, 1),
        parts=[
            PartReport(name=part.name, status=part.status, took_ms=part.took_ms) for part in parts
        ],
    )


@routes.get(
    "/metrics",
    permission=Permission.PUBLIC,
    rate=RateTier.NONE,
    summary="Metrics of this replica and of every host, for Prometheus",
    in_schema=False,
)
async def get_metrics(ports: Ports) -> Response:
    """Write every metric in the text format; a host that is silent, or cannot be found, is not."""
    try:
        async with asyncio.timeout(HOSTS_WAIT_S):
            hosts = await ports.measure_hosts()
    except (AppError, TimeoutError):
        hosts = {}
    return Response(join_metrics("host", hosts), media_type=CONTENT_TYPE)
