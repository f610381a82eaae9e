"""Clips of a live: what was just seen, as a video."""

from __future__ import annotations

import uuid
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from kit.errors import PermissionDenied
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import Routes
from serve_apps.http.state import CurrentUser, Ports, Transaction
from serve_apps.live import recording, service
from serve_apps.live.schemas import EXAMPLE_ID, TITLE_CHARS_MAX

routes = Routes("/live/{live_id}", "live")
ClipTitle = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=TITLE_CHARS_MAX)
]


class ClipRequest(BaseModel):
    """Keeps the last seconds; a clip begins with a keyframe, so it is up to four seconds longer."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"seconds": 30, "title": "The jump"}]}
    )

    seconds: int = Field(default=30, ge=5, le=recording.CLIP_S_MAX)
    title: ClipTitle | None = None


class ClipBody(BaseModel):
    """The video that the clip is; it can be played at once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"video_id": EXAMPLE_ID}]})

    video_id: uuid.UUID


@routes.post(
    "/clips",
    permission=Permission.USER,
    rate=RateTier.UPLOAD,
    summary="Keep the last seconds of a live as a video of yours.",
    status=201,
    repeatable=True,
    errors=(
        service.LiveNotFound,
        PermissionDenied,
        recording.NothingToClip,
        recording.ClipsOff,
    ),
)
async def make_clip(
    live_id: uuid.UUID,
    body: ClipRequest,
    user: CurrentUser,
    ports: Ports,
    connection: Transaction,
) -> ClipBody:
    """Make a clip."""
    live = await service.get_live(connection, user, live_id)
    order = recording.ClipOrder(body.seconds, body.title, ports.settings.live.recordings_ladder)
    return ClipBody(video_id=await recording.make_clip(connection, user, live, order))
