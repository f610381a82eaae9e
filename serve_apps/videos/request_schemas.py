"""What the videos API takes: announcements of files and imports, and changes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from serve_apps.access.visibility import Visibility
from serve_apps.videos.chapters import CHAPTERS_MAX, Chapter
from serve_apps.videos.labels import TAG_CHARS_MAX, TAGS_MAX, Category, LabelChange, clean_tags
from serve_apps.videos.schemas import ChapterBody

TITLE_CHARS_MAX = 200
DESCRIPTION_CHARS_MAX = 5000
FILENAME_CHARS_MAX = 255
DURATION_MS_MAX = 1 << 40

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
PublicationTime = Annotated[
    AwareDatetime,
    Field(
        description="When it becomes so visible, within a year; it is private until then.",
        examples=["2026-01-01T18:00:00Z"],
    ),
]

Protected = Annotated[
    bool | None,
    Field(
        description="Whether it is encrypted, its keys given only to whoever may watch at that "
        "moment, and no file of it offered; null: as this site does."
    ),
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
    duration_ms: int | None = Field(
        default=None,
        ge=0,
        le=DURATION_MS_MAX,
        description="How long it plays, if you know: what is too long is refused at once.",
    )
    description: Description = ""
    visibility: Visibility = Visibility.PUBLIC
    publish_at: PublicationTime | None = None
    protected: Protected = None


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
    publish_at: PublicationTime | None = None
    protected: Protected = None


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
