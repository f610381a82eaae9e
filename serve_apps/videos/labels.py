"""What a video is about: tags, category, language, chapters. Routes call it; it never commits."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass

import msgspec

from serve_apps.access.identity import Identity
from serve_apps.videos.chapters import Chapter, check_chapters
from serve_apps.videos.service import get_own_video
from storage import video_labels
from storage.database import Connection

TAGS_MAX = 15
TAG_CHARS_MAX = 30


class Category(enum.StrEnum):
    """What sort of thing a video is; the site's own short list."""

    ART = "art"
    COMEDY = "comedy"
    EDUCATION = "education"
    FILM = "film"
    FOOD = "food"
    GAMES = "games"
    HOWTO = "howto"
    MUSIC = "music"
    NATURE = "nature"
    NEWS = "news"
    PEOPLE = "people"
    SCIENCE = "science"
    SPORT = "sport"
    TECHNOLOGY = "technology"
    TRAVEL = "travel"


@dataclass(frozen=True)
class LabelChange:
    """What changes; None leaves it. An empty text or list takes it away."""

    tags: tuple[str, ...] | None = None
    category: str | None = None
    language: str | None = None
    chapters: tuple[Chapter, ...] | None = None


def clean_tags(tags: list[str]) -> list[str]:
    """Write tags in one way: without #, in lower case, single spaces, each once, in order."""
    cleaned = (" ".join(tag.lstrip("#").lower().split()) for tag in tags)
    return list(dict.fromkeys(tag for tag in cleaned if tag))


async def change_labels(
    connection: Connection, caller: Identity, video_id: uuid.UUID, change: LabelChange
) -> None:
    """Change the caller's own video; raises VideoNotFound, PermissionDenied, ChaptersMalformed."""
    video = await get_own_video(connection, caller, video_id)
    if change.chapters is not None:
        check_chapters(change.chapters, video.duration_ms)
    labels = video_labels.VideoLabels(
        tags=None if change.tags is None else list(change.tags),
        category=change.category,
        language=change.language,
        chapters=None if change.chapters is None else msgspec.to_builtins(list(change.chapters)),
    )
    await video_labels.change_labels(connection, video_id, labels)
