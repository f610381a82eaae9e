"""What other sites read of a video's page: Open Graph, oEmbed's address, a frame; a channel's RSS.

The page itself is the same for everybody; only its head says what a link to it shows.
"""

from __future__ import annotations

import html
import uuid
from email.utils import format_datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import Path, Request
from starlette.responses import HTMLResponse, Response

from kit.errors import NotFound
from kit.ids import parse_id
from kit.xml_text import drop_unwritable
from serve_apps.access.permissions import Permission
from serve_apps.access.playback import make_terms
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import ForSubscribers
from serve_apps.api.page import CONTENT_POLICY, PageFiles
from serve_apps.http.routes import Routes
from serve_apps.http.state import ApiPorts, Ports, Transaction
from serve_apps.videos.playback import build_playback
from serve_apps.videos.service import VideoNotFound, get_video
from storage.database import Connection
from storage.related import list_newest_of
from storage.users import find_card
from storage.videos import Video

routes = Routes("", "page")
FEED_VIDEOS = 50
EMBED_POLICY = CONTENT_POLICY.replace("frame-ancestors 'none'", "frame-ancestors *")
DESCRIPTION_CHARS_MAX = 300


class ChannelNotFound(NotFound):
    """Nobody has this name."""

    code, message = "user_not_found", "There is nobody with this name."


@routes.get(
    "/watch/{video_id}",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="The page of a video, with what a link to it shows.",
    in_schema=False,
)
async def get_watch_page(
    video_id: str, request: Request, ports: Ports, connection: Transaction
) -> Response:
    """Answer the page."""
    return await _send_page(request, ports, connection, video_id, CONTENT_POLICY)


@routes.get(
    "/embed/{video_id}",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="The player alone, for frames of other sites.",
    in_schema=False,
)
async def get_embed_page(
    video_id: str, request: Request, ports: Ports, connection: Transaction
) -> Response:
    """Answer the page that other sites may frame."""
    return await _send_page(request, ports, connection, video_id, EMBED_POLICY)


@routes.get(
    "/u/{username}/feed.xml",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="A person's newest public videos as RSS 2.0.",
    in_schema=False,
)
async def get_channel_feed(
    username: Annotated[str, Path(pattern="^[A-Za-z0-9_]{1,30}$")],
    ports: Ports,
    connection: Transaction,
) -> Response:
    """Answer the feed."""
    card = await find_card(connection, username.lower())
    if card is None:
        raise ChannelNotFound
    videos = await list_newest_of(connection, card.username, FEED_VIDEOS)
    site = ports.settings.http.public_url.rstrip("/")
    body = write_feed(site, (card.username, card.display_name or card.username), videos)
    return Response(body, media_type="application/rss+xml")


def write_feed(site: str, channel: tuple[str, str], videos: list[Video]) -> str:
    """Write RSS 2.0 (rssboard.org/rss-specification) of a channel (username, name)."""
    username, name = channel
    items = "".join(
        f"<item><title>{_escape(it.title)}</title><link>{site}/watch/{it.id}</link>"
        f'<guid isPermaLink="true">{site}/watch/{it.id}</guid>'
        f"<pubDate>{format_datetime(it.listed_at, usegmt=True)}</pubDate>"
        f"<description>{_escape(it.description)}</description></item>"
        for it in videos
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel>'
        f"<title>{_escape(name)}</title><link>{site}/u/{username}</link>"
        f"<description>Videos by {_escape(name)}</description>{items}</channel></rss>"
    )


def write_head(site: str, video: Video, thumbnail: str | None) -> str:
    """Write what a link to a video shows (ogp.me), and where its embed code is (oembed.com)."""
    page = f"{site}/watch/{video.id}"
    marks = {
        "og:type": "video.other",
        "og:site_name": "Social Flow",
        "og:title": video.title,
        "og:description": video.description[:DESCRIPTION_CHARS_MAX],
        "og:url": page,
        "og:image": thumbnail or "",
        "og:video": f"{site}/embed/{video.id}",
        "og:video:type": "text/html",
        "twitter:card": "player",
        "twitter:player": f"{site}/embed/{video.id}",
    }
    metas = "".join(
        f'<meta property="{name}" content="{html.escape(value)}" />'
        for name, value in marks.items()
        if value
    )
    embed = f"{site}/v1/oembed?url={quote(page, safe='')}"
    return (
        f'{metas}<link rel="alternate" type="application/json+oembed" href="{embed}" />'
        f'<link rel="alternate" type="application/rss+xml" href="{site}/u/'
        f'{video.owner_username}/feed.xml" />'
    )


async def _send_page(
    request: Request, ports: ApiPorts, connection: Connection, video_id: str, policy: str
) -> Response:
    pages = request.app.router.default
    assert isinstance(pages, PageFiles), "the app's last resort is the page"
    index = pages.open_index(request.scope)
    if isinstance(index, Response):
        return index
    known = parse_id(video_id)
    head = "" if known is None else await _find_head(connection, ports, known)
    text = index.replace("</head>", head + "</head>", 1)
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": policy}
    return HTMLResponse(text, headers=headers)


async def _find_head(connection: Connection, ports: ApiPorts, video_id: uuid.UUID) -> str:
    """Return what everybody may know of a video; nothing of one that not everybody may see."""
    try:
        video = await get_video(connection, None, video_id)
    except (VideoNotFound, ForSubscribers):
        return ""
    terms = await make_terms(connection, ports.settings, None, ports.clock.now())
    playback = build_playback(video, terms)
    site = ports.settings.http.public_url.rstrip("/")
    return write_head(site, video, None if playback is None else playback.thumbnail)


def _escape(text: str) -> str:
    """Write text for XML; characters that it has no way to write are left out."""
    return html.escape(drop_unwritable(text))
