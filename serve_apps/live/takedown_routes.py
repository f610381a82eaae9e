"""Taking a live down: what a moderator of the site does to somebody else's."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from kit.ids import make_id
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import Routes
from serve_apps.http.state import CurrentUser, Ports
from serve_apps.live.service import LiveNotFound
from storage.audit import AuditDraft, append_audit
from storage.lives import delete_live, find_live

routes = Routes("/live/{live_id}", "live")
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class TakedownRequest(BaseModel):
    """Says why, for the record."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "Shows a film of others."}]}
    )

    reason: Reason


@routes.post(
    "/takedown",
    permission=Permission.MODERATOR,
    rate=RateTier.STANDARD,
    summary="Take a live down: nobody sees, hears or reads it from within a second on.",
    status=204,
    response_class=Response,
    errors=(LiveNotFound,),
)
async def take_live_down(
    live_id: uuid.UUID, body: TakedownRequest, user: CurrentUser, ports: Ports
) -> None:
    """Take a live down; its viewers first, whatever becomes of its room."""
    now = ports.clock.now()
    async with ports.database.transaction() as connection:
        live = await find_live(connection, live_id)
        if live is None:
            raise LiveNotFound
        await delete_live(connection, live_id)
        details = {"reason": body.reason, "title": live.title, "owner": live.owner_username}
        act = AuditDraft(make_id(), user.user_id, "live.taken_down", f"live:{live_id}", details)
        await append_audit(connection, act, now)
    if live.status in ("live", "interrupted"):
        await ports.rooms.end_live(live_id)
