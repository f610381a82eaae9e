"""Routes of subtitles: list, write, remove a language."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from fastapi import Path
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from kit.errors import PermissionDenied
from media.vod.subtitles import SubtitlesMalformed
from serve_apps.access.identity import Identity
from serve_apps.access.permissions import Permission
from serve_apps.access.playback import make_terms
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import ForSubscribers
from serve_apps.http.routes import Routes
from serve_apps.http.state import ApiPorts, CurrentUser, OptionalUser, Ports, Transaction
from serve_apps.videos import service, subtitles
from serve_apps.videos.playback import make_base
from serve_apps.videos.schemas import EXAMPLE_ID
from storage.database import Connection
from storage.subtitles import list_subtitles

TEXT_CHARS_MAX = 500_000
LANGUAGE = "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$"
"""The usual part of BCP 47: language, perhaps script, perhaps region."""
LABEL = r'^[^"\x00-\x1f\x7f]+$'
"""It stands between quotes in a playlist."""
EXAMPLE_TEXT = "1\n00:00:01,000 --> 00:00:02,500\nGood morning.\n"
Language = Annotated[str, Path(pattern=LANGUAGE, examples=["en"])]

routes = Routes("/videos", "videos")


class SubtitlesBody(BaseModel):
    """One language; `url` is WebVTT on an edge."""

    language: str
    label: str
    origin: Literal["uploaded", "automatic"]
    url: str


class SubtitlesListBody(BaseModel):
    """All languages a video has as text."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "language": "en",
                            "label": "English",
                            "origin": "uploaded",
                            "url": f"http://localhost:8001/v/{EXAMPLE_ID}/subtitles/en-0d1c2b3a4f5e.vtt",
                        }
                    ]
                }
            ]
        }
    )

    items: list[SubtitlesBody]


class SubtitlesRequest(BaseModel):
    """A whole SRT or WebVTT file, and what the language is called in the menu."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"label": "English", "text": EXAMPLE_TEXT}]}
    )

    label: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40, pattern=LABEL)
    ]
    text: Annotated[str, StringConstraints(min_length=1, max_length=TEXT_CHARS_MAX)]


@routes.get(
    "/{video_id}/subtitles",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="List the languages in which a video can be read along.",
    errors=(service.VideoNotFound, ForSubscribers),
)
async def list_video_subtitles(
    video_id: uuid.UUID, viewer: OptionalUser, ports: Ports, connection: Transaction
) -> SubtitlesListBody:
    """List languages."""
    return await _describe(connection, ports, viewer, video_id)


@routes.put(
    "/{video_id}/subtitles/{language}",
    permission=Permission.OWNER,
    rate=RateTier.UPLOAD,
    summary="Write the subtitles of your video in one language, from SRT or WebVTT.",
    errors=(
        service.VideoNotFound,
        PermissionDenied,
        SubtitlesMalformed,
        subtitles.TooManyLanguages,
    ),
)
async def write_video_subtitles(
    video_id: uuid.UUID,
    language: Language,
    body: SubtitlesRequest,
    user: CurrentUser,
    ports: Ports,
) -> SubtitlesListBody:
    """Write a language."""
    draft = subtitles.Draft(language, body.label, body.text)
    await subtitles.write_subtitles(ports.database, ports.objects, user, video_id, draft)
    async with ports.database.transaction() as connection:
        return await _describe(connection, ports, user, video_id)


@routes.delete(
    "/{video_id}/subtitles/{language}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Remove the subtitles of your video in one language.",
    status=204,
    response_class=Response,
    errors=(service.VideoNotFound, PermissionDenied, subtitles.SubtitlesNotFound),
)
async def remove_video_subtitles(
    video_id: uuid.UUID, language: Language, user: CurrentUser, ports: Ports
) -> None:
    """Remove a language."""
    await subtitles.remove_subtitles(ports.database, ports.objects, user, video_id, language)


async def _describe(
    connection: Connection, ports: ApiPorts, viewer: Identity | None, video_id: uuid.UUID
) -> SubtitlesListBody:
    terms = await make_terms(connection, ports.settings, viewer, ports.clock.now())
    video = await service.get_video(connection, viewer, video_id)
    base = make_base(video, terms)
    return SubtitlesListBody(
        items=[
            SubtitlesBody.model_validate(
                {
                    "language": each.language,
                    "label": each.label,
                    "origin": each.origin,
                    "url": f"{base}/subtitles/{each.file}",
                }
            )
            for each in await list_subtitles(connection, video_id)
        ]
    )
