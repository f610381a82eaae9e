"""Taking a live down: what a moderator of the site does to somebody else's."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import Routes
from serve_apps.http.state import CurrentUser, Ports
from serve_apps.live.service import LiveNotFound
from serve_apps.live.takedown import TakedownOrder, take_down

routes = Routes("/live/{live_id}", "live")
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class TakedownRequest(BaseModel):
    """Says why, for the record and for the owner."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "Shows a film of others."}]}
    )

    reason: Reason


@routes.post(
    "/takedown",
    permission=Permission.MODERATOR,
    rate=RateTier.STANDARD,
    summary="Take a live down with its recording: nobody sees or reads it from within a second on.",
    status=204,
    response_class=Response,
    errors=(LiveNotFound,),
)
async def take_live_down(
    live_id: uuid.UUID, body: TakedownRequest, user: CurrentUser, ports: Ports
) -> None:
    """Take a live down; its viewers first, whatever becomes of its room."""
    order = TakedownOrder(live_id, user, body.reason, ports.clock.now())
    async with ports.database.transaction() as connection:
        live = await take_down(connection, ports.settings, order)
    if live.status in ("live", "interrupted"):
        await ports.rooms.end_live(live_id)
