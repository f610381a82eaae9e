"""Routes of what leads from video to video: related ones, and the embed code for other sites."""

from __future__ import annotations

import html
import uuid
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import Query
from pydantic import BaseModel, ConfigDict, JsonValue

from kit.errors import NotFound
from kit.ids import parse_id
from serve_apps.access.permissions import Permission
from serve_apps.access.playback import make_terms
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import ForSubscribers
from serve_apps.http.routes import Routes
from serve_apps.http.state import OptionalUser, Ports, Transaction
from serve_apps.videos.playback import build_playback
from serve_apps.videos.schemas import EXAMPLE_VIDEO, VideoBody, describe_video
from serve_apps.videos.service import VideoNotFound, get_video
from storage.related import list_related

routes = Routes("", "videos")
RELATED_MAX = 24
CANDIDATES_MAX = 48
"""Among so many does a ranker choose."""
WIDTH_DEFAULT = 640
EXAMPLE_PAGE = "http://localhost:8000/watch/01980f5f-1111-7d3e-9f10-2b6f0c9a4d12"
EXAMPLE_EMBED: dict[str, JsonValue] = {
    "version": "1.0",
    "type": "video",
    "title": "Sunrise over the harbour",
    "author_name": "Ada",
    "author_url": "http://localhost:8000/u/ada",
    "provider_name": "Social Flow",
    "provider_url": "http://localhost:8000",
    "html": '<iframe src="http://localhost:8000/embed/01980f5f-1111-7d3e-9f10-2b6f0c9a4d12"'
    ' width="640" height="360" allow="fullscreen; picture-in-picture" style="border:0"></iframe>',
    "width": 640,
    "height": 360,
    "thumbnail_url": None,
}


class NotEmbeddable(NotFound):
    """The address is no video's page of this site, or not for everybody."""

    code, message = "not_embeddable", "This address is not one of a video that everybody may see."


class RelatedBody(BaseModel):
    """Videos that go with another, the closest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [EXAMPLE_VIDEO]}]})

    items: list[VideoBody]


class EmbedBody(BaseModel):
    """How another site shows the video (oembed.com, version 1.0, type `video`)."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_EMBED]})

    version: Literal["1.0"] = "1.0"
    type: Literal["video"] = "video"
    title: str
    author_name: str
    author_url: str
    provider_name: Literal["Social Flow"] = "Social Flow"
    provider_url: str
    html: str
    width: int
    height: int
    thumbnail_url: str | None


@routes.get(
    "/videos/{video_id}/related",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="List videos that go with this one: of its channel, with its tags, then new ones.",
    errors=(VideoNotFound, ForSubscribers),
)
async def list_related_videos(
    video_id: uuid.UUID,
    viewer: OptionalUser,
    ports: Ports,
    limit: Annotated[int, Query(ge=1, le=RELATED_MAX)] = 12,
) -> RelatedBody:
    """List related videos; whoever ranks them is asked when no transaction is open any more."""
    async with ports.database.transaction() as connection:
        terms = await make_terms(connection, ports.settings, viewer, ports.clock.now())
        video = await get_video(connection, viewer, video_id)
        candidates = await list_related(connection, video, CANDIDATES_MAX)
    known = {candidate.id: candidate for candidate in candidates}
    order = await ports.related.rank(video_id, list(known), viewer.user_id if viewer else None)
    shown = [known[each] for each in dict.fromkeys(order) if each in known][:limit]
    return RelatedBody(items=[describe_video(it, build_playback(it, terms)) for it in shown])


@routes.get(
    "/oembed",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="Give the code with which another site shows a video (oEmbed).",
    errors=(NotEmbeddable,),
)
async def get_embed(
    url: Annotated[str, Query(max_length=2048, examples=[EXAMPLE_PAGE])],
    ports: Ports,
    connection: Transaction,
    maxwidth: Annotated[int, Query(ge=64, le=4096)] = WIDTH_DEFAULT,
    maxheight: Annotated[int | None, Query(ge=64, le=4096, examples=[360])] = None,
) -> EmbedBody:
    """Give the embed code."""
    site = ports.settings.http.public_url.rstrip("/")
    video_id = find_page_video(url, site)
    if video_id is None:
        raise NotEmbeddable
    try:
        video = await get_video(connection, None, video_id)
    except (VideoNotFound, ForSubscribers) as error:
        raise NotEmbeddable from error
    terms = await make_terms(connection, ports.settings, None, ports.clock.now())
    playback = build_playback(video, terms)
    width = min(maxwidth, WIDTH_DEFAULT, (maxheight or maxwidth) * 16 // 9)
    height = width * 9 // 16
    address = html.escape(f"{site}/embed/{video_id}")
    return EmbedBody(
        title=video.title,
        author_name=video.owner_display_name or video.owner_username,
        author_url=f"{site}/u/{video.owner_username}",
        provider_url=site,
        html=f'<iframe src="{address}" width="{width}" height="{height}"'
        ' allow="fullscreen; picture-in-picture" style="border:0"></iframe>',
        width=width,
        height=height,
        thumbnail_url=None if playback is None else playback.thumbnail,
    )


def find_page_video(url: str, site: str) -> uuid.UUID | None:
    """Return whose page an address is: `/watch/{id}` or `/embed/{id}` of this site."""
    try:
        given, own = urlsplit(url), urlsplit(site)
    except ValueError:
        return None
    parts = given.path.strip("/").split("/")
    if given.netloc != own.netloc or len(parts) != 2 or parts[0] not in ("watch", "embed"):
        return None
    return parse_id(parts[1])
