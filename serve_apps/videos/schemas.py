"""What the videos API gives, as documented in OpenAPI; `request_schemas.py` is what it takes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from kit.clock import format_time
from serve_apps.access.visibility import Visibility
from serve_apps.videos.chapters import TITLE_CHARS_MAX as CHAPTER_CHARS_MAX
from serve_apps.videos.chapters import Chapter, list_chapters
from serve_apps.videos.labels import Category
from serve_apps.videos.playback import Playback
from serve_apps.videos.reencoding_schemas import ReencodingBody, describe_reencoding
from serve_apps.videos.service import CreatedVideo, OpenUpload
from storage.video_versions import VideoVersion
from storage.videos import Video

Status = Literal["uploading", "queued", "processing", "ready", "failed"]

EXAMPLE_ID = "01980f5f-1111-7d3e-9f10-2b6f0c9a4d12"
EXAMPLE_UPLOAD: dict[str, JsonValue] = {
    "url": "http://localhost:8001/uploads/01980f5f-2222-7d3e-9f10-2b6f0c9a4d15",
    "offset": 0,
    "size_bytes": 48_211_004,
    "expires_at": "2026-01-02T12:00:00.000Z",
}
EXAMPLE_CHAPTER: dict[str, JsonValue] = {"start_ms": 0, "title": "The old crane"}
EXAMPLE_VIDEO: dict[str, JsonValue] = {
    "id": EXAMPLE_ID,
    "title": "Sunrise over the harbour",
    "description": "Filmed from the old crane.",
    "owner": {
        "id": "01980f5d-2222-7d3e-9f10-2b6f0c9a4d13",
        "username": "ada",
        "display_name": "Ada",
    },
    "status": "ready",
    "progress": 1.0,
    "error": None,
    "visibility": "public",
    "duration_ms": 95_000,
    "width": 1920,
    "height": 1080,
    "tags": ["harbour", "sunrise"],
    "category": "nature",
    "language": "en",
    "views": 128,
    "likes": 12,
    "created_at": "2026-01-01T12:00:00.000Z",
    "published_at": "2026-01-01T12:04:00.000Z",
    "publication": None,
    "withdrawal": None,
    "playback": {
        "hls": f"http://localhost:8001/v/{EXAMPLE_ID}/master.m3u8",
        "dash": f"http://localhost:8001/v/{EXAMPLE_ID}/manifest.mpd",
        "thumbnail": f"http://localhost:8001/v/{EXAMPLE_ID}/thumbnail.jpg",
        "preview": f"http://localhost:8001/v/{EXAMPLE_ID}/preview.mp4",
        "storyboard": f"http://localhost:8001/v/{EXAMPLE_ID}/storyboard.vtt",
        "waveform": None,
        "keys": None,
        "download": f"http://localhost:8000/v1/videos/{EXAMPLE_ID}/download",
        "left_out": [],
    },
    "reencoding": None,
    "warnings": [],
    "is_recording": False,
    "protected": False,
}


class ChapterBody(BaseModel):
    """A named part; it ends where the next begins."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE_CHAPTER]})

    start_ms: int = Field(ge=0, le=1 << 40)
    title: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=CHAPTER_CHARS_MAX)
    ]


class UploadBody(BaseModel):
    """Where the bytes go by tus 1.0; any client of the owner may go on from `offset`."""

    url: str
    offset: int = Field(description="How many bytes have arrived; the next goes here.")
    size_bytes: int | None = Field(description="Size of the whole file, once it was told.")
    expires_at: str


class CreatedVideoBody(BaseModel):
    """A video that waits for its bytes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": EXAMPLE_ID, "status": "uploading", "upload": EXAMPLE_UPLOAD}]
        }
    )

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


class LeftOutBody(BaseModel):
    """What could not be made of a video, and why."""

    what: Literal["download", "dash", "storyboard", "thumbnail", "aac", "rungs"]
    code: str
    message: str


class PlaybackBody(BaseModel):
    """Absolute addresses on an edge; `download` is one of the API."""

    hls: str
    dash: str | None = Field(description="Once the video is ready.")
    thumbnail: str | None
    preview: str | None = Field(description="About three silent seconds as MP4, to play in a loop.")
    storyboard: str | None = Field(description="WebVTT of small pictures for scrubbing.")
    waveform: str | None = Field(
        description="Of sound without a picture: `duration_ms` and `peaks` of 0 to 100 as JSON."
    )
    keys: str | None = Field(
        description="Of a protected video: where a W3C ClearKey licence request is answered."
    )
    download: str | None = Field(
        description="Leads to one MP4 file of the best quality, for a day and while the session "
        "lives where not everybody may see it. There is none of a protected video."
    )
    left_out: list[LeftOutBody] = Field(
        description="What there will never be of a ready video, with the reasons."
    )


class PublicationBody(BaseModel):
    """When a video will be published, and for whom it is from then on."""

    at: str
    visibility: Visibility


class WithdrawalBody(BaseModel):
    """When a video is taken back."""

    at: str


class VideoBody(BaseModel):
    """One video; `playback` is null until its first rendition is complete."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_VIDEO]})

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
    tags: list[str]
    category: Category | None
    language: str | None
    views: int = Field(description="Follows within two minutes; see `POST /watch` for the rules.")
    likes: int
    created_at: str
    published_at: str | None = Field(
        description="When lists first showed it, and where they place it."
    )
    publication: PublicationBody | None = Field(
        description="While it waits for its time; its visibility is private until then."
    )
    withdrawal: WithdrawalBody | None = Field(
        description="Until when others may watch it; it is private from then on."
    )
    is_recording: bool = Field(description="It is a live that was recorded, or a clip of one.")
    protected: bool = Field(
        description="Whether its segments are encrypted; `POST /reencode` changes it."
    )
    playback: PlaybackBody | None
    reencoding: ReencodingBody | None = Field(
        default=None, description="For its owner: another version in the making, or why it failed."
    )
    warnings: list[str] = Field(
        description="For its owner: what of the file is changed or left out, in sentences."
    )


class VideoDetailBody(VideoBody):
    """One video by itself."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **EXAMPLE_VIDEO,
                    "upload": None,
                    "resume_ms": 61_500,
                    "liked": True,
                    "chapters": [EXAMPLE_CHAPTER],
                }
            ]
        }
    )

    upload: UploadBody | None = Field(
        description="For its owner, while the status is `uploading`; null for everybody else."
    )
    resume_ms: int | None = Field(
        description="Where you go on watching, 0 from the start; null when you are not logged in."
    )
    liked: bool | None = Field(description="Whether you like it; null when you are not logged in.")
    chapters: list[ChapterBody] = Field(
        description="The owner's own, else those that the description lists."
    )


@dataclass(frozen=True)
class OwnersPart:
    """What nobody but its owner is told of a video."""

    making: VideoVersion | None = None
    """Another version in the making."""
    warnings: Sequence[str] = ()
    """What of the file is changed or left out."""


STRANGERS_PART = OwnersPart()


@dataclass(frozen=True)
class Mine:
    """Where a viewer goes on in a video, and whether they like it; None for a stranger."""

    resume_ms: int | None
    is_liked: bool | None
    owners: OwnersPart = STRANGERS_PART


def describe_created(created: CreatedVideo) -> CreatedVideoBody:
    """Write a fresh video as its answer."""
    return CreatedVideoBody(
        id=created.id,
        status="uploading",
        upload=_describe_upload(created.upload),
    )


def describe_detail(
    video: Video,
    playback: Playback | None,
    upload: OpenUpload | None,
    mine: Mine,
) -> VideoDetailBody:
    """Write a video with its unfinished upload and what its viewer has to do with it."""
    described = None if upload is None else _describe_upload(upload)
    own = msgspec.convert(video.chapters or [], list[Chapter])
    chapters = list_chapters(own, video.description, video.duration_ms)
    return VideoDetailBody(
        **dict(describe_video(video, playback, mine.owners)),
        upload=described,
        resume_ms=mine.resume_ms,
        liked=mine.is_liked,
        chapters=[ChapterBody(start_ms=it.start_ms, title=it.title) for it in chapters],
    )


def describe_video(
    video: Video, playback: Playback | None, owners: OwnersPart = STRANGERS_PART
) -> VideoBody:
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
            "tags": video.tags,
            "category": video.category,
            "language": video.language,
            "views": video.views,
            "likes": video.likes,
            "created_at": _write_time(video.created_at),
            "published_at": None if video.published_at is None else _write_time(video.published_at),
            "publication": _describe_publication(video),
            "withdrawal": None
            if video.withdraw_at is None
            else {"at": _write_time(video.withdraw_at)},
            "is_recording": video.is_recording,
            "protected": video.is_protected,
            "playback": None if playback is None else asdict(playback),
            "reencoding": describe_reencoding(owners.making),
            "warnings": list(owners.warnings),
        }
    )


def _describe_publication(video: Video) -> dict[str, str | None] | None:
    if video.publish_at is None:
        return None
    return {"at": _write_time(video.publish_at), "visibility": video.publish_as}


def _describe_upload(upload: OpenUpload) -> UploadBody:
    return UploadBody(
        url=upload.url,
        offset=upload.offset_bytes,
        size_bytes=upload.size_bytes,
        expires_at=_write_time(upload.expires_at),
    )


def _write_time(moment: datetime) -> str:
    return format_time(moment)
