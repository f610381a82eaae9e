"""What the videos API takes and gives, as documented in OpenAPI."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from kit.clock import format_time
from serve_apps.access.visibility import Visibility
from serve_apps.videos.chapters import CHAPTERS_MAX, Chapter, list_chapters
from serve_apps.videos.chapters import TITLE_CHARS_MAX as CHAPTER_CHARS_MAX
from serve_apps.videos.labels import (
    TAG_CHARS_MAX,
    TAGS_MAX,
    Category,
    LabelChange,
    clean_tags,
)
from serve_apps.videos.playback import Playback
from serve_apps.videos.service import CreatedVideo, OpenUpload
from storage.videos import Video

TITLE_CHARS_MAX = 200
DESCRIPTION_CHARS_MAX = 5000
FILENAME_CHARS_MAX = 255

Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=TITLE_CHARS_MAX)
]
Description = Annotated[str, StringConstraints(max_length=DESCRIPTION_CHARS_MAX)]
Filename = Annotated[str, StringConstraints(min_length=1, max_length=FILENAME_CHARS_MAX)]
Tags = Annotated[
    list[Annotated[str, StringConstraints(max_length=TAG_CHARS_MAX)]],
    AfterValidator(clean_tags),
    Field(max_length=TAGS_MAX),
]
Language = Annotated[
    str, StringConstraints(max_length=35, pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
]
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
    "playback": {
        "hls": f"http://localhost:8001/v/{EXAMPLE_ID}/master.m3u8",
        "dash": f"http://localhost:8001/v/{EXAMPLE_ID}/manifest.mpd",
        "thumbnail": f"http://localhost:8001/v/{EXAMPLE_ID}/thumbnail.jpg",
        "storyboard": f"http://localhost:8001/v/{EXAMPLE_ID}/storyboard.vtt",
        "waveform": None,
        "download": f"http://localhost:8001/v/{EXAMPLE_ID}/download/best.mp4",
        "left_out": [],
    },
    "is_recording": False,
}


class ChapterBody(BaseModel):
    """A named part; it ends where the next begins."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE_CHAPTER]})

    start_ms: int = Field(ge=0, le=1 << 40)
    title: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=CHAPTER_CHARS_MAX)
    ]


class VideoRequest(BaseModel):
    """Announces a file; its bytes go to the address in the answer, by tus 1.0."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "title": "Sunrise over the harbour",
                    "filename": "sunrise.mp4",
                    "size_bytes": 48_211_004,
                    "description": "Filmed from the old crane.",
                    "visibility": "public",
                }
            ]
        },
    )

    title: Title
    filename: Filename
    size_bytes: int = Field(gt=0, le=1 << 50, description="Size of the file in bytes.")
    description: Description = ""
    visibility: Visibility = Visibility.PUBLIC


class VideoImportRequest(BaseModel):
    """Names an address that a video is fetched from."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"url": "https://example.org/sunrise.mp4", "title": "Sunrise"}]
        },
    )

    url: Annotated[str, StringConstraints(min_length=8, max_length=2048)]
    title: Title
    description: Description = ""
    visibility: Visibility = Visibility.PUBLIC


class VideoChangeRequest(BaseModel):
    """Changes what is given and leaves the rest."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"title": "Sunrise, from the old crane", "visibility": "unlisted"}]
        },
    )

    title: Title | None = None
    description: Description | None = None
    visibility: Visibility | None = None
    tags: Tags | None = None
    category: Category | Literal[""] | None = Field(
        default=None, description="An empty text takes it away."
    )
    language: Language | Literal[""] | None = Field(
        default=None, description="What is spoken, as BCP 47 (`en`, `pt-BR`); empty: not said."
    )
    chapters: list[ChapterBody] | None = Field(
        default=None,
        max_length=CHAPTERS_MAX,
        description="Your own chapters; an empty list: as the description lists them.",
    )


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

    what: Literal["download", "dash", "storyboard", "thumbnail"]
    code: str
    message: str


class PlaybackBody(BaseModel):
    """Absolute addresses on an edge."""

    hls: str
    dash: str | None = Field(description="Once the video is ready.")
    thumbnail: str | None
    storyboard: str | None = Field(description="WebVTT of small pictures for scrubbing.")
    waveform: str | None = Field(
        description="Of sound without a picture: `duration_ms` and `peaks` of 0 to 100 as JSON."
    )
    download: str | None = Field(
        description="One MP4 file of the best quality; `best` may be a quality's name, as `720p`."
    )
    left_out: list[LeftOutBody] = Field(
        description="What there will never be of a ready video, with the reasons."
    )


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
    is_recording: bool = Field(description="It is a live that was recorded, or a clip of one.")
    playback: PlaybackBody | None


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
class Mine:
    """Where a viewer goes on in a video, and whether they like it; None for a stranger."""

    resume_ms: int | None
    is_liked: bool | None


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
        **dict(describe_video(video, playback)),
        upload=described,
        resume_ms=mine.resume_ms,
        liked=mine.is_liked,
        chapters=[ChapterBody(start_ms=it.start_ms, title=it.title) for it in chapters],
    )


def read_labels(body: VideoChangeRequest) -> LabelChange:
    """Read what changes about a video's labels."""
    chapters = body.chapters
    return LabelChange(
        tags=None if body.tags is None else tuple(body.tags),
        category=body.category,
        language=body.language,
        chapters=None
        if chapters is None
        else tuple(Chapter(chapter.start_ms, chapter.title) for chapter in chapters),
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
            "tags": video.tags,
            "category": video.category,
            "language": video.language,
            "views": video.views,
            "likes": video.likes,
            "created_at": _write_time(video.created_at),
            "is_recording": video.is_recording,
            "playback": None if playback is None else asdict(playback),
        }
    )


def _describe_upload(upload: OpenUpload) -> UploadBody:
    return UploadBody(
        url=upload.url,
        offset=upload.offset_bytes,
        size_bytes=upload.size_bytes,
        expires_at=_write_time(upload.expires_at),
    )


def _write_time(moment: datetime) -> str:
    return format_time(moment)
