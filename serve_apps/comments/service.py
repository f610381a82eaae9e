"""Rules of comments: who reads, writes, changes, deletes, likes and pins them. Never commits.

Whoever may see a post or video reads its comments, and comments when logged in. A reply to a reply
joins the same thread. Every change writes its event in the same transaction (`jobs.py` tells it).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from kit.cursors import (
    CursorMalformed,
    Page,
    cut_page,
    decode_cursor,
    encode_cursor,
    read_moment_cursor,
)
from kit.events import EventName
from serve_apps.access.identity import Identity, Role
from serve_apps.comments.errors import CommentNotFound, NotYourComment
from serve_apps.posts.errors import TextTooLong
from serve_apps.posts.service import check_post_visible
from serve_apps.videos.service import get_video
from serve_apps.videos.viewing_service import enqueue_sum
from storage import comments
from storage.comments import CommentDraft, CommentRow, CommentSlice, CommentSort, Place
from storage.database import Connection
from storage.events import append_event

MODERATING = (Role.MODERATOR, Role.ADMIN)
LIKES_MAX = (1 << 31) - 1
COMMENTED = {"post": EventName.POST_COMMENTED, "video": EventName.VIDEO_COMMENTED}


@dataclass(frozen=True)
class CommentAct:
    """Who does something to which comment, and when."""

    caller: Identity
    comment_id: uuid.UUID
    now: datetime


@dataclass(frozen=True)
class CommentQuery:
    """Which part of a place's comments is asked for."""

    sort: CommentSort
    cursor: str | None
    limit: int


async def find_owner(connection: Connection, viewer: Identity | None, place: Place) -> uuid.UUID:
    """Return whose place it is; raises PostNotFound, VideoNotFound for who may not see it."""
    if place.kind == "post":
        return (await check_post_visible(connection, viewer, place.id)).author_id
    return (await get_video(connection, viewer, place.id)).owner_id


async def add_comment(
    connection: Connection, author: Identity, draft: CommentDraft, *, chars_max: int
) -> CommentRow:
    """Write a comment or a reply; raises CommentNotFound, TextTooLong and what hides the place."""
    _check_length(draft.text, chars_max)
    await find_owner(connection, author, draft.place)
    if draft.parent_id is not None:
        answered = await comments.find_comment(connection, draft.parent_id)
        if answered is None or answered.place != draft.place:
            raise CommentNotFound
        thread_id = answered.parent_id or answered.id
        draft = CommentDraft(
            draft.id, draft.place, draft.author_id, draft.text, draft.created_at, thread_id
        )
    await comments.insert_comment(connection, draft)
    await _note(connection, COMMENTED[draft.place.kind], draft.place, author, draft.id)
    await _count(connection, draft.place, draft.created_at, draft.created_at)
    row = await comments.find_comment(connection, draft.id, author.user_id)
    if row is None:  # the author's account was deleted while their token still counted
        raise CommentNotFound
    return row


async def change_comment(
    connection: Connection, act: CommentAct, text: str, *, chars_max: int
) -> CommentRow:
    """Put another text in place of one's own; raises CommentNotFound, NotYourComment."""
    _check_length(text, chars_max)
    row, _ = await _open(connection, act)
    if row.author_id != act.caller.user_id:
        raise NotYourComment
    if text != row.text:
        await comments.change_comment(connection, row.id, text, act.now)
        await _note(connection, EventName.COMMENT_CHANGED, row.place, act.caller, row.id)
    return await _read_back(connection, act)


async def delete_comment(connection: Connection, act: CommentAct) -> None:
    """Delete a comment with its replies; raises CommentNotFound, NotYourComment."""
    row, owner_id = await _open(connection, act)
    is_theirs = act.caller.user_id in (row.author_id, owner_id)
    if not is_theirs and act.caller.role not in MODERATING:
        raise NotYourComment
    if await comments.delete_comment(connection, row.id, act.now):
        await _note(connection, EventName.COMMENT_DELETED, row.place, act.caller, row.id)
        await _count(connection, row.place, row.created_at, act.now)


async def set_like(connection: Connection, act: CommentAct, *, is_liked: bool) -> CommentRow:
    """Like a comment or take it back; again changes nothing. Raises CommentNotFound."""
    row, _ = await _open(connection, act)
    user_id = act.caller.user_id
    if is_liked:
        has_changed = await comments.add_like(connection, row.id, user_id, act.now)
    else:
        has_changed = await comments.remove_like(connection, row.id, user_id)
    if has_changed:
        await _note(connection, EventName.COMMENT_CHANGED, row.place, act.caller, row.id)
    return await _read_back(connection, act)


async def set_pin(connection: Connection, act: CommentAct, *, is_pinned: bool) -> CommentRow:
    """Put a comment first below one's own post or video; raises CommentNotFound, NotYourComment."""
    row, owner_id = await _open(connection, act)
    if act.caller.user_id != owner_id:
        raise NotYourComment
    if row.parent_id is not None:
        raise CommentNotFound(reason="a reply cannot be pinned")
    await comments.set_pin(connection, row, act.now, is_pinned=is_pinned)
    await _note(connection, EventName.COMMENT_CHANGED, row.place, act.caller, row.id)
    return await _read_back(connection, act)


async def list_comments(
    connection: Connection,
    viewer: Identity | None,
    place: Place,
    asked: CommentQuery,
) -> Page[CommentRow]:
    """List a place's comments, the pinned one before all others; raises what hides the place."""
    await find_owner(connection, viewer, place)
    viewer_id = viewer.user_id if viewer else None
    part = _read_slice(asked.sort, asked.cursor, asked.limit + 1)
    found = await comments.list_comments(connection, viewer_id, place, part)
    page = cut_page(found, asked.limit, _make_key)
    pinned = None
    if asked.cursor is None:
        pinned = await comments.find_pinned(connection, viewer_id, place)
    return page if pinned is None else Page([pinned, *page.items], page.next_cursor)


async def list_replies(
    connection: Connection,
    viewer: Identity | None,
    comment_id: uuid.UUID,
    *,
    cursor: str | None,
    limit: int,
) -> Page[CommentRow]:
    """List the replies to a comment, oldest first; raises CommentNotFound."""
    viewer_id = viewer.user_id if viewer else None
    parent = await comments.find_comment(connection, comment_id)
    if parent is None:
        raise CommentNotFound
    await find_owner(connection, viewer, parent.place)
    part = _read_slice(CommentSort.NEW, cursor, limit + 1)
    found = await comments.list_replies(connection, viewer_id, comment_id, part)
    return cut_page(found, limit, _make_key)


def _make_key(row: CommentRow) -> tuple[str | int, ...]:
    return row.likes, row.created_at.isoformat(), str(row.id)


def _read_slice(sort: CommentSort, cursor: str | None, limit: int) -> CommentSlice:
    if cursor is None:
        return CommentSlice(limit, sort)
    likes, *rest = decode_cursor(cursor, 3)
    if not isinstance(likes, int) or not 0 <= likes <= LIKES_MAX:
        raise CursorMalformed
    moment = read_moment_cursor(encode_cursor(*rest))
    assert moment is not None, "a cursor was given"
    return CommentSlice(limit, sort, likes, *moment)


async def _open(connection: Connection, act: CommentAct) -> tuple[CommentRow, uuid.UUID]:
    """Return a comment that the caller may see, and whose post or video it stands below."""
    row = await comments.find_comment(connection, act.comment_id, act.caller.user_id)
    if row is None:
        raise CommentNotFound
    return row, await find_owner(connection, act.caller, row.place)


async def _read_back(connection: Connection, act: CommentAct) -> CommentRow:
    row = await comments.find_comment(connection, act.comment_id, act.caller.user_id)
    if row is None:
        raise CommentNotFound
    return row


async def _note(
    connection: Connection, name: EventName, place: Place, actor: Identity, comment_id: uuid.UUID
) -> None:
    await append_event(
        connection,
        name,
        subject_id=place.id,
        actor_id=actor.user_id,
        data={"comment_id": str(comment_id), "place": place.kind},
    )


async def _count(connection: Connection, place: Place, written_at: datetime, now: datetime) -> None:
    """Have a video's comments of that day counted again, in its owner's numbers.

    Replies that go with a comment of another day are counted off when that day is.
    """
    if place.video_id is not None:
        await enqueue_sum(connection, place.video_id, written_at.date(), now)


def _check_length(text: str, chars_max: int) -> None:
    if len(text) > chars_max:
        raise TextTooLong(chars_max=chars_max)
