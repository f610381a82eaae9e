"""Which posts a feed shows, page by page. Never commits."""

from __future__ import annotations

from kit.cursors import Page, cut_page, make_moment_key, read_moment_cursor
from serve_apps.access.identity import Identity
from serve_apps.access.visibility import Visibility
from serve_apps.posts.service import ask_one_more, cut_posts, read_slice
from serve_apps.users.service import get_person
from storage import posts
from storage.database import Connection
from storage.follows import is_following
from storage.posts import PostRow
from storage.subscriptions import is_subscribed
from storage.video_lists import list_channel_videos
from storage.videos import Video


async def list_home(
    connection: Connection, viewer: Identity, *, cursor: str | None, limit: int
) -> Page[PostRow]:
    """List the posts of those the viewer follows and their own, newest first."""
    part = read_slice(cursor, limit)
    return cut_posts(await posts.list_home(connection, viewer.user_id, ask_one_more(part)), limit)


async def list_explore(
    connection: Connection, viewer: Identity | None, *, cursor: str | None, limit: int
) -> Page[PostRow]:
    """List public posts, newest first."""
    part = read_slice(cursor, limit)
    viewer_id = viewer.user_id if viewer else None
    return cut_posts(await posts.list_explore(connection, viewer_id, ask_one_more(part)), limit)


async def list_person_videos(
    connection: Connection,
    viewer: Identity | None,
    username: str,
    *,
    cursor: str | None,
    limit: int,
) -> Page[Video]:
    """List a person's ready videos that the viewer may find, last published first."""
    owner = await get_person(connection, username)
    shown = [Visibility.PUBLIC]
    if viewer is not None and viewer.user_id == owner.id:
        shown = list(Visibility)
    elif viewer is not None:
        if await is_following(connection, viewer.user_id, owner.id):
            shown.append(Visibility.FOLLOWERS)
        if await is_subscribed(connection, viewer.user_id, owner.id):
            shown.append(Visibility.SUBSCRIBERS)
    before = read_moment_cursor(cursor)
    found = await list_channel_videos(connection, owner.id, shown, before=before, limit=limit + 1)
    return cut_page(found, limit, lambda video: make_moment_key(video.listed_at, video.id))
