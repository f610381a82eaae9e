"""Routes of a video's publication and withdrawal: choose or move the times, or do without."""

from __future__ import annotations

import uuid

from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from kit.errors import PermissionDenied
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import Visibility
from serve_apps.http.routes import Routes
from serve_apps.http.state import CurrentUser, Ports, Transaction
from serve_apps.videos.publishing import (
    PublicationUnfit,
    PublicationWish,
    WithdrawalUnfit,
    cancel_publication,
    cancel_withdrawal,
    set_publication,
    set_withdrawal,
)
from serve_apps.videos.request_schemas import PublicationTime
from serve_apps.videos.routes import show_video
from serve_apps.videos.schemas import VideoDetailBody
from serve_apps.videos.service import VideoNotFound, get_own_video

routes = Routes("/videos", "videos")


class PublicationRequest(BaseModel):
    """When a video is published, and for whom."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"at": "2026-01-01T18:00:00Z", "visibility": "public"}]},
    )

    at: PublicationTime | None = Field(default=None, description="Left out: now.")
    visibility: Visibility = Visibility.PUBLIC


class WithdrawalRequest(BaseModel):
    """When a video is taken back."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"at": "2026-01-31T18:00:00Z"}]}
    )

    at: PublicationTime


@routes.put(
    "/{video_id}/publication",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Say when your video is published, or publish it now; until then only you see it.",
    errors=(VideoNotFound, PermissionDenied, PublicationUnfit),
)
async def put_publication(
    video_id: uuid.UUID,
    body: PublicationRequest,
    user: CurrentUser,
    ports: Ports,
    connection: Transaction,
) -> VideoDetailBody:
    """Choose the time."""
    await get_own_video(connection, user, video_id)
    await set_publication(connection, video_id, PublicationWish(body.at, body.visibility))
    return await show_video(
        connection, ports, user, await get_own_video(connection, user, video_id)
    )


@routes.delete(
    "/{video_id}/publication",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Take your video's time back; it stays private.",
    status=204,
    response_class=Response,
    errors=(VideoNotFound, PermissionDenied),
)
async def delete_publication(
    video_id: uuid.UUID, user: CurrentUser, connection: Transaction
) -> None:
    """Take the time back."""
    await get_own_video(connection, user, video_id)
    await cancel_publication(connection, video_id)


@routes.put(
    "/{video_id}/withdrawal",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Say until when others see your video; from then on it is private.",
    errors=(VideoNotFound, PermissionDenied, WithdrawalUnfit),
)
async def put_withdrawal(
    video_id: uuid.UUID,
    body: WithdrawalRequest,
    user: CurrentUser,
    ports: Ports,
    connection: Transaction,
) -> VideoDetailBody:
    """Choose the time."""
    await get_own_video(connection, user, video_id)
    await set_withdrawal(connection, video_id, body.at)
    return await show_video(
        connection, ports, user, await get_own_video(connection, user, video_id)
    )


@routes.delete(
    "/{video_id}/withdrawal",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Let your video stay as visible as it is.",
    status=204,
    response_class=Response,
    errors=(VideoNotFound, PermissionDenied),
)
async def delete_withdrawal(
    video_id: uuid.UUID, user: CurrentUser, connection: Transaction
) -> None:
    """Take the time back."""
    await get_own_video(connection, user, video_id)
    await cancel_withdrawal(connection, video_id)
