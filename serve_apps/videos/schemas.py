"""What the videos API takes and gives, as documented in OpenAPI."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from kit.clock import format_time
from serve_apps.access.visibility import Visibility
from serve_apps.videos.service import CreatedVideo, Playback
from storage.videos import Video

TITLE_CHARS_MAX = 200
DESCRIPTION_CHARS_MAX = 5000
FILENAME_CHARS_MAX = 255

Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=TITLE_CHARS_MAX)
]
Description = Annotated[str, StringConstraints(max_length=DESCRIPTION_CHARS_MAX)]
Filename = Annotated[str, StringConstraints(min_length=1, max_length=FILENAME_CHARS_MAX)]
Status = Literal["uploading", "queued", "processing", "ready", "failed"]


class VideoRequest(BaseModel):
    """Announces a file; its bytes go to the address in the answer, by tus 1.0."""

    model_config = ConfigDict(extra="forbid")

    title: Title
    filename: Filename
    size_bytes: int = Field(gt=0, le=1 << 50, description="Size of the file in bytes.")
    description: Description = ""
    visibility: Visibility = Visibility.PUBLIC


class VideoChangeRequest(BaseModel):
    """Changes what is given and leaves the rest."""

    model_config = ConfigDict(extra="forbid")

    title: Title | None = None
    description: Description | None = None
    visibility: Visibility | None = None


class UploadBody(BaseModel):
    """Where the bytes go."""

    url: str
    expires_at: str


class CreatedVideoBody(BaseModel):
    """A video that waits for its bytes."""

    id: uuid.UUID
    status: Status
    upload: UploadBody


class OwnerBody(BaseModel):
    """Whose video it is."""

    id: uuid.UUID
    username: str
    display_name: str


class VideoErrorBody(BaseModel):
    """Why a video failed."""

    code: str
    message: str


class PlaybackBody(BaseModel):
    """Absolute addresses on an edge."""

    hls: str
    dash: str | None
    thumbnail: str | None


class VideoBody(BaseModel):
    """One video; `playback` is null until its first rendition is complete."""

    id: uuid.UUID
    title: str
    description: str
    owner: OwnerBody
    status: Status
    progress: float
    error: VideoErrorBody | None
    visibility: Visibility
    duration_ms: int | None
    width: int | None
    height: int | None
    created_at: str
    playback: PlaybackBody | None


def describe_created(created: CreatedVideo) -> CreatedVideoBody:
    """Write a fresh video as its answer."""
    return CreatedVideoBody(
        id=created.id,
        status="uploading",
        upload=UploadBody(url=created.upload_url, expires_at=_write_time(created.expires_at)),
    )


def describe_video(video: Video, playback: Playback | None) -> VideoBody:
    """Write a video as its answer."""
    error = None
    if video.status == "failed":
        error = VideoErrorBody(code=video.error_code or "", message=video.error_message or "")
    return VideoBody.model_validate(
        {
            "id": video.id,
            "title": video.title,
            "description": video.description,
            "owner": {
                "id": video.owner_id,
                "username": video.owner_username,
                "display_name": video.owner_display_name,
            },
            "status": video.status,
            "progress": round(video.progress, 4),
            "error": error,
            "visibility": video.visibility,
            "duration_ms": video.duration_ms,
            "width": video.width,
            "height": video.height,
            "created_at": _write_time(video.created_at),
            "playback": None
            if playback is None
            else {"hls": playback.hls, "dash": None, "thumbnail": playback.thumbnail},
        }
    )


def _write_time(moment: datetime) -> str:
    return format_time(moment)
