"""Which posts a feed shows, page by page. Never commits."""

from __future__ import annotations

import uuid

from kit.cursors import CursorMalformed, Page, decode_cursor, encode_cursor
from kit.ids import parse_id
from serve_apps.access.identity import Identity
from serve_apps.access.visibility import Visibility
from serve_apps.posts.service import ask_one_more, cut_page, read_slice
from serve_apps.users.service import get_person
from storage import posts
from storage.database import Connection
from storage.follows import is_following
from storage.posts import PostRow
from storage.videos import Video, list_owned_videos


async def list_home(
    connection: Connection, viewer: Identity, *, cursor: str | None, limit: int
) -> Page[PostRow]:
    """List the posts of those the viewer follows and their own, newest first."""
    part = read_slice(cursor, limit)
    return cut_page(await posts.list_home(connection, viewer.user_id, ask_one_more(part)), limit)


async def list_explore(
    connection: Connection, viewer: Identity | None, *, cursor: str | None, limit: int
) -> Page[PostRow]:
    """List public posts, newest first."""
    part = read_slice(cursor, limit)
    viewer_id = viewer.user_id if viewer else None
    return cut_page(await posts.list_explore(connection, viewer_id, ask_one_more(part)), limit)


async def list_person_videos(
    connection: Connection,
    viewer: Identity | None,
    username: str,
    *,
    cursor: str | None,
    limit: int,
) -> Page[Video]:
    """List a person's ready videos that the viewer may find, newest first."""
    owner = await get_person(connection, username)
    shown = [Visibility.PUBLIC]
    if viewer is not None and viewer.user_id == owner.id:
        shown = list(Visibility)
    elif viewer is not None and await is_following(connection, viewer.user_id, owner.id):
        shown.append(Visibility.FOLLOWERS)
    found = await list_owned_videos(
        connection, owner.id, visibilities=shown, before=_read_last(cursor), limit=limit + 1
    )
    items = found[:limit]
    return Page(items, encode_cursor(str(items[-1].id)) if len(found) > limit else None)


def _read_last(cursor: str | None) -> uuid.UUID | None:
    if cursor is None:
        return None
    last = parse_id(str(decode_cursor(cursor, 1)[0]))
    if last is None:
        raise CursorMalformed
    return last
