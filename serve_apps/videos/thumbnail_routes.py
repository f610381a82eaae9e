"""Routes of a video's picture: look what was found, choose one, bring one along."""

from __future__ import annotations

import uuid
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kit.errors import PermissionDenied
from media.vod.own_picture import PictureUnreadable
from serve_apps.access.permissions import Permission
from serve_apps.access.playback import make_terms
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import Routes
from serve_apps.http.state import CurrentUser, Ports, Transaction
from serve_apps.videos import service, thumbnails
from serve_apps.videos.playback import make_base
from serve_apps.videos.routes import show_video
from serve_apps.videos.schemas import EXAMPLE_ID, VideoDetailBody

CANDIDATES_MAX = 20
PICTURE_CHARS_MAX = 1_000_000

routes = Routes("/videos", "videos")


class ThumbnailBody(BaseModel):
    """A picture to choose."""

    index: int
    url: str
    is_chosen: bool


class ThumbnailsBody(BaseModel):
    """What the processing found, the best first; none while it has not looked yet."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "index": 0,
                            "url": f"http://localhost:8001/v/{EXAMPLE_ID}/thumbnails/0.jpg",
                            "is_chosen": True,
                        }
                    ]
                }
            ]
        }
    )

    items: list[ThumbnailBody]


class ThumbnailRequest(BaseModel):
    """Names one of those found, or brings one along."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"index": 1}]})

    index: int | None = Field(default=None, ge=0, lt=CANDIDATES_MAX)
    picture: str | None = Field(
        default=None,
        min_length=1,
        max_length=PICTURE_CHARS_MAX,
        description="A JPEG, PNG or WebP in base64; it is scaled to 1280 pixels and written anew.",
    )

    @model_validator(mode="after")
    def check_one(self) -> Self:
        """Take exactly one of both."""
        if (self.index is None) == (self.picture is None):
            raise ValueError("give either index or picture")
        return self


@routes.get(
    "/{video_id}/thumbnails",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="List the pictures found in your video, the best first.",
    errors=(service.VideoNotFound, PermissionDenied),
)
async def list_thumbnails(
    video_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> ThumbnailsBody:
    """List the candidates."""
    found = await thumbnails.list_found(connection, user, video_id)
    video = await service.get_own_video(connection, user, video_id)
    terms = await make_terms(connection, ports.settings, user, ports.clock.now())
    base = make_base(video, terms)
    return ThumbnailsBody(
        items=[
            ThumbnailBody(
                index=each.index,
                url=f"{base}/thumbnails/{each.index}.jpg",
                is_chosen=each.is_chosen,
            )
            for each in found
        ]
    )


@routes.put(
    "/{video_id}/thumbnail",
    permission=Permission.OWNER,
    rate=RateTier.UPLOAD,
    summary="Choose the picture of your video: one that was found, or your own.",
    errors=(
        service.VideoNotFound,
        PermissionDenied,
        thumbnails.ThumbnailUnknown,
        PictureUnreadable,
    ),
)
async def choose_thumbnail(
    video_id: uuid.UUID, body: ThumbnailRequest, user: CurrentUser, ports: Ports
) -> VideoDetailBody:
    """Choose the picture."""
    if body.picture is not None:
        await thumbnails.bring_own(ports.database, ports.objects, user, video_id, body.picture)
    async with ports.database.transaction() as connection:
        if body.index is not None:
            await thumbnails.choose_found(connection, user, video_id, body.index)
        video = await service.get_own_video(connection, user, video_id)
        return await show_video(connection, ports, user, video)
