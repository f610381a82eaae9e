"""Rules of posts and likes: what may be written, and who sees what. Never commits.

Every change writes its event in the same transaction; counters and followers' timelines follow
through `jobs.py`. What a caller may not see does not exist for them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from kit.cursors import Page, cut_page, make_moment_key, read_moment_cursor
from kit.events import EventName
from kit.ids import make_id
from kit.setting_sections import LimitSettings
from serve_apps.access.identity import Identity, Role
from serve_apps.access.playback import PlaybackTerms, make_video_base
from serve_apps.access.sight import Sight, check_sight
from serve_apps.access.visibility import can_view
from serve_apps.posts.errors import (
    AuthorNotFound,
    NotYourPost,
    PostEmpty,
    PostNotFound,
    PostVideoNotFound,
    TextTooLong,
)
from storage import likes, posts, timelines
from storage.database import Connection
from storage.events import append_event
from storage.follows import list_followed
from storage.posts import PostDraft, PostHead, PostRow, PostSlice, PostVideo
from storage.subscriptions import list_subscribed
from storage.users import find_card

MODERATING = (Role.MODERATOR, Role.ADMIN)


@dataclass(frozen=True)
class PostWish:
    """What somebody wants to post."""

    text: str
    visibility: str
    video_ids: tuple[uuid.UUID, ...]


@dataclass(frozen=True)
class VideoView:
    """A video in a post; the addresses are None until it plays."""

    video: PostVideo
    hls: str | None
    thumbnail: str | None


@dataclass(frozen=True)
class PostView:
    """A post with the videos its viewer may see."""

    post: PostRow
    videos: tuple[VideoView, ...]


async def create_post(
    connection: Connection, author: Identity, wish: PostWish, limits: LimitSettings, now: datetime
) -> PostRow:
    """Write a post; raises PostEmpty, TextTooLong, PostVideoNotFound."""
    if not wish.text and not wish.video_ids:
        raise PostEmpty
    if len(wish.text) > limits.post_chars_max:
        raise TextTooLong(chars_max=limits.post_chars_max)
    own = await posts.list_own_videos(connection, author.user_id, wish.video_ids)
    missing = [video_id for video_id in wish.video_ids if video_id not in own]
    if missing:
        raise PostVideoNotFound(video_id=str(missing[0]))
    draft = PostDraft(make_id(), author.user_id, wish.text, wish.visibility, now, wish.video_ids)
    await posts.insert_post(connection, draft)
    head = PostHead(draft.id, draft.author_id, draft.visibility, draft.created_at)
    await timelines.add_own_post(connection, head)
    await append_event(
        connection,
        EventName.POST_CREATED,
        subject_id=draft.id,
        actor_id=author.user_id,
        data={"visibility": draft.visibility},
    )
    row = await posts.find_post(connection, draft.id, author.user_id)
    if row is None:  # the author's account was deleted while their token still counted
        raise PostNotFound
    return row


async def get_post(connection: Connection, viewer: Identity | None, post_id: uuid.UUID) -> PostRow:
    """Return a post the viewer may see; raises PostNotFound, ForSubscribers."""
    await check_post_visible(connection, viewer, post_id)
    row = await posts.find_post(connection, post_id, viewer.user_id if viewer else None)
    if row is None:
        raise PostNotFound
    return row


async def check_post_visible(
    connection: Connection, viewer: Identity | None, post_id: uuid.UUID
) -> PostHead:
    """Return the head of a post the viewer may see; raises PostNotFound, ForSubscribers."""
    head = await posts.find_post_head(connection, post_id)
    if head is None:
        raise PostNotFound
    viewer_id = viewer.user_id if viewer else None
    await check_sight(connection, Sight(head.author_id, head.visibility), viewer_id, PostNotFound)
    return head


async def delete_post(
    connection: Connection, caller: Identity, post_id: uuid.UUID, now: datetime
) -> None:
    """Delete a post; raises PostNotFound, NotYourPost."""
    head = await check_post_visible(connection, caller, post_id)
    if head.author_id != caller.user_id and caller.role not in MODERATING:
        raise NotYourPost
    if await posts.delete_post(connection, post_id, now):
        await append_event(
            connection,
            EventName.POST_DELETED,
            subject_id=post_id,
            actor_id=caller.user_id,
            data={"author_id": str(head.author_id)},
        )


async def like_post(
    connection: Connection, caller: Identity, post_id: uuid.UUID, now: datetime
) -> None:
    """Like a post; again changes nothing. Raises PostNotFound."""
    await check_post_visible(connection, caller, post_id)
    if await likes.add_like(connection, post_id, caller.user_id, now):
        await append_event(
            connection, EventName.POST_LIKED, subject_id=post_id, actor_id=caller.user_id
        )


async def unlike_post(connection: Connection, caller: Identity, post_id: uuid.UUID) -> None:
    """Take a like back; again changes nothing. Raises PostNotFound."""
    await check_post_visible(connection, caller, post_id)
    if await likes.remove_like(connection, post_id, caller.user_id):
        await append_event(
            connection, EventName.POST_UNLIKED, subject_id=post_id, actor_id=caller.user_id
        )


async def list_author_posts(
    connection: Connection, viewer: Identity | None, username: str, part: PostSlice
) -> Page[PostRow]:
    """List what the viewer may see of a person, newest first; raises AuthorNotFound."""
    author = await find_card(connection, username.lower())
    if author is None:
        raise AuthorNotFound
    viewer_id = viewer.user_id if viewer else None
    found = await posts.list_author_posts(connection, viewer_id, author.id, ask_one_more(part))
    return cut_posts(found, part.limit)


async def load_views(
    connection: Connection, rows: list[PostRow], terms: PlaybackTerms
) -> list[PostView]:
    """Add to each post those of its videos that the viewer may see, with their addresses."""
    shown = await posts.list_post_videos(connection, [row.id for row in rows])
    viewer_id = terms.viewer.user_id if terms.viewer else None
    followed, subscribed = set[uuid.UUID](), set[uuid.UUID]()
    if viewer_id is not None and shown:
        owners = list({video.owner_id for video in shown})
        followed = await list_followed(connection, viewer_id, owners)
        subscribed = await list_subscribed(connection, viewer_id, owners)
    by_post: dict[uuid.UUID, list[VideoView]] = {}
    for video in shown:
        ties = {"follows": video.owner_id in followed, "subscribes": video.owner_id in subscribed}
        if can_view(video.visibility, video.owner_id, viewer_id, **ties):
            by_post.setdefault(video.post_id, []).append(_view_video(video, terms))
    return [PostView(row, tuple(by_post.get(row.id, ()))) for row in rows]


def read_slice(cursor: str | None, limit: int) -> PostSlice:
    """Read which part of a list is asked for; raises CursorMalformed."""
    created_before, id_before = read_moment_cursor(cursor) or (None, None)
    return PostSlice(limit, created_before, id_before)


def ask_one_more(part: PostSlice) -> PostSlice:
    """Return the slice with one more row, which tells whether a page follows."""
    return PostSlice(part.limit + 1, part.created_before, part.id_before)


def cut_posts(found: list[PostRow], limit: int) -> Page[PostRow]:
    """Cut one page of posts from a list that was asked for one more."""
    return cut_page(found, limit, lambda row: make_moment_key(row.created_at, row.id))


def _view_video(video: PostVideo, terms: PlaybackTerms) -> VideoView:
    base = make_video_base(
        terms, video.id, visibility=video.visibility, access_version=video.access_version
    )
    return VideoView(
        video,
        hls=f"{base}/master.m3u8" if video.is_playable else None,
        thumbnail=f"{base}/thumbnail.jpg" if video.has_thumbnail else None,
    )
