"""What the posts API takes and gives; the feed and the live hints give the same shapes."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from kit.clock import format_time
from serve_apps.http.schemas import PersonBody
from serve_apps.posts.service import PostView, VideoView

TEXT_CHARS_MAX = 50_000  # the site's own, lower limits are settings; this only bounds the work
VIDEOS_MAX = 4
EXAMPLE_ID = "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d11"
EXAMPLE_VIDEO_ID = "01980f5f-1111-7d3e-9f10-2b6f0c9a4d12"
EXAMPLE_PERSON: dict[str, JsonValue] = {
    "id": "01980f5d-2222-7d3e-9f10-2b6f0c9a4d13",
    "username": "ada",
    "display_name": "Ada",
}


def _strip(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _check_distinct(ids: list[uuid.UUID]) -> list[uuid.UUID]:
    if len(set(ids)) != len(ids):
        raise ValueError("each video once")
    return ids


Text = Annotated[str, BeforeValidator(_strip), Field(max_length=TEXT_CHARS_MAX)]
PostVisibility = Literal["public", "followers", "subscribers", "private"]


class PostRequest(BaseModel):
    """A new post: text, up to four of your videos, or both."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"text": "First light.", "video_ids": [EXAMPLE_VIDEO_ID], "visibility": "public"}
            ]
        },
    )

    text: Text = ""
    video_ids: Annotated[
        list[uuid.UUID], AfterValidator(_check_distinct), Field(max_length=VIDEOS_MAX)
    ] = []
    visibility: PostVisibility = "public"


class PostPlayback(BaseModel):
    """Where a video in a post plays."""

    hls: str


class PostVideoBody(BaseModel):
    """A video in a post; `playback` is null until it plays."""

    id: uuid.UUID
    title: str
    status: str
    duration_ms: int | None
    thumbnail: str | None
    playback: PostPlayback | None


class PostCountersBody(BaseModel):
    """Numbers below a post; they follow a change within about a second."""

    likes: int
    comments: int


class PostBody(BaseModel):
    """A post as you see it; `liked` is about you."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "author": EXAMPLE_PERSON,
                    "text": "First light.",
                    "visibility": "public",
                    "created_at": "2026-01-01T12:00:00.000Z",
                    "videos": [
                        {
                            "id": EXAMPLE_VIDEO_ID,
                            "title": "Sunrise",
                            "status": "ready",
                            "duration_ms": 12_000,
                            "thumbnail": f"http://localhost:8001/v/{EXAMPLE_VIDEO_ID}/thumbnail.jpg",
                            "playback": {
                                "hls": f"http://localhost:8001/v/{EXAMPLE_VIDEO_ID}/master.m3u8"
                            },
                        }
                    ],
                    "counters": {"likes": 3, "comments": 1},
                    "liked": False,
                }
            ]
        }
    )

    id: uuid.UUID
    author: PersonBody
    text: str
    visibility: PostVisibility
    created_at: str
    videos: list[PostVideoBody]
    counters: PostCountersBody
    liked: bool


class LikeBody(BaseModel):
    """Whether you like the post now."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"post_id": EXAMPLE_ID, "liked": True}]}
    )

    post_id: uuid.UUID
    liked: bool


def describe_post(view: PostView) -> PostBody:
    """Write a post as an answer."""
    post = view.post
    return PostBody.model_validate(
        {
            "id": post.id,
            "author": {
                "id": post.author_id,
                "username": post.author_username,
                "display_name": post.author_display_name,
            },
            "text": post.text,
            "visibility": post.visibility,
            "created_at": format_time(post.created_at),
            "videos": [_describe_video(video) for video in view.videos],
            "counters": {"likes": post.likes, "comments": post.comments},
            "liked": post.is_liked,
        }
    )


def _describe_video(view: VideoView) -> PostVideoBody:
    video = view.video
    return PostVideoBody(
        id=video.id,
        title=video.title,
        status=video.status,
        duration_ms=video.duration_ms,
        thumbnail=view.thumbnail,
        playback=None if view.hls is None else PostPlayback(hls=view.hls),
    )
