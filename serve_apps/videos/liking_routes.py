"""Routes of liking videos."""

from __future__ import annotations

import uuid

from pydantic import BaseModel, ConfigDict

from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import ForSubscribers
from serve_apps.http.routes import Routes
from serve_apps.http.state import CurrentUser, Ports, Transaction
from serve_apps.videos.liking import Liking, set_like
from serve_apps.videos.schemas import EXAMPLE_ID
from serve_apps.videos.service import VideoNotFound

routes = Routes("/videos", "videos")


class VideoLikeBody(BaseModel):
    """Whether you like the video now, and how many do."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"video_id": EXAMPLE_ID, "liked": True, "likes": 12}]}
    )

    video_id: uuid.UUID
    liked: bool
    likes: int


@routes.post(
    "/{video_id}/like",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Like a video; doing it again changes nothing.",
    errors=(VideoNotFound, ForSubscribers),
)
async def like_video(
    video_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> VideoLikeBody:
    """Like a video."""
    act = Liking(user, video_id, ports.clock.now())
    likes = await set_like(connection, act, is_liked=True)
    return VideoLikeBody(video_id=video_id, liked=True, likes=likes)


@routes.delete(
    "/{video_id}/like",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Take your like of a video back; doing it again changes nothing.",
    example={"video_id": EXAMPLE_ID, "liked": False, "likes": 11},
    errors=(VideoNotFound, ForSubscribers),
)
async def unlike_video(
    video_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> VideoLikeBody:
    """Take a like back."""
    act = Liking(user, video_id, ports.clock.now())
    likes = await set_like(connection, act, is_liked=False)
    return VideoLikeBody(video_id=video_id, liked=False, likes=likes)
