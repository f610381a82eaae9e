"""Routes of comments: below posts and videos, replies, likes, pins; change and delete."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Query, Response

from kit.cursors import CursorMalformed
from kit.ids import make_id
from serve_apps.access.identity import Identity
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import ForSubscribers
from serve_apps.comments import errors, service
from serve_apps.comments.schemas import (
    EXAMPLE_COMMENT,
    CommentBody,
    CommentChangeRequest,
    CommentRequest,
    describe_comment,
)
from serve_apps.comments.service import CommentAct, CommentQuery
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import ItemPage, PageQuery, PageRequest
from serve_apps.http.state import ApiPorts, CurrentUser, OptionalUser, Ports, Transaction
from serve_apps.posts.errors import PostNotFound, TextTooLong
from serve_apps.videos.service import VideoNotFound
from storage.comments import CommentDraft, CommentSort, Place
from storage.database import Connection

routes = Routes("", "comments")
HIDDEN = (errors.CommentNotFound, PostNotFound, VideoNotFound, ForSubscribers)
Sort = Annotated[CommentSort, Query(description="Newest first, or most liked first.")]


@routes.get(
    "/posts/{post_id}/comments",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="List a post's comments; the one that its author pinned comes first.",
    errors=(PostNotFound, ForSubscribers, CursorMalformed),
)
async def list_post_comments(
    post_id: uuid.UUID,
    viewer: OptionalUser,
    query: PageRequest,
    connection: Transaction,
    sort: Sort = CommentSort.NEW,
) -> ItemPage[CommentBody]:
    """List a post's comments."""
    return await _list(connection, viewer, Place("post", post_id), sort, query)


@routes.post(
    "/posts/{post_id}/comments",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Comment on a post, or reply. Takes Idempotency-Key.",
    status=201,
    repeatable=True,
    errors=(PostNotFound, ForSubscribers, errors.CommentNotFound, TextTooLong),
)
async def add_post_comment(
    post_id: uuid.UUID,
    body: CommentRequest,
    user: CurrentUser,
    ports: Ports,
    connection: Transaction,
) -> CommentBody:
    """Comment on a post."""
    return await _add(connection, ports, user, Place("post", post_id), body)


@routes.get(
    "/videos/{video_id}/comments",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="List a video's comments; the one that its owner pinned comes first.",
    errors=(VideoNotFound, CursorMalformed),
)
async def list_video_comments(
    video_id: uuid.UUID,
    viewer: OptionalUser,
    query: PageRequest,
    connection: Transaction,
    sort: Sort = CommentSort.NEW,
) -> ItemPage[CommentBody]:
    """List a video's comments."""
    return await _list(connection, viewer, Place("video", video_id), sort, query)


@routes.post(
    "/videos/{video_id}/comments",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Comment on a video, or reply. Takes Idempotency-Key.",
    status=201,
    repeatable=True,
    errors=(VideoNotFound, errors.CommentNotFound, TextTooLong),
)
async def add_video_comment(
    video_id: uuid.UUID,
    body: CommentRequest,
    user: CurrentUser,
    ports: Ports,
    connection: Transaction,
) -> CommentBody:
    """Comment on a video."""
    return await _add(connection, ports, user, Place("video", video_id), body)


@routes.get(
    "/comments/{comment_id}/replies",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="List the replies to a comment, oldest first.",
    errors=(*HIDDEN, CursorMalformed),
)
async def list_replies(
    comment_id: uuid.UUID, viewer: OptionalUser, query: PageRequest, connection: Transaction
) -> ItemPage[CommentBody]:
    """List replies."""
    page = await service.list_replies(
        connection, viewer, comment_id, cursor=query.cursor, limit=query.limit
    )
    return ItemPage(
        items=[describe_comment(row) for row in page.items], next_cursor=page.next_cursor
    )


@routes.patch(
    "/comments/{comment_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Change the text of your comment.",
    errors=(*HIDDEN, errors.NotYourComment, TextTooLong),
)
async def change_comment(
    comment_id: uuid.UUID,
    body: CommentChangeRequest,
    user: CurrentUser,
    ports: Ports,
    connection: Transaction,
) -> CommentBody:
    """Change a comment."""
    act = CommentAct(user, comment_id, ports.clock.now())
    chars_max = ports.settings.limits.comment_chars_max
    return describe_comment(
        await service.change_comment(connection, act, body.text, chars_max=chars_max)
    )


@routes.delete(
    "/comments/{comment_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Delete your comment, or any below your post or video, with the replies to it.",
    status=204,
    response_class=Response,
    errors=(*HIDDEN, errors.NotYourComment),
)
async def delete_comment(
    comment_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> None:
    """Delete a comment."""
    await service.delete_comment(connection, CommentAct(user, comment_id, ports.clock.now()))


@routes.post(
    "/comments/{comment_id}/like",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Like a comment; doing it again changes nothing.",
    errors=HIDDEN,
)
async def like_comment(
    comment_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> CommentBody:
    """Like a comment."""
    act = CommentAct(user, comment_id, ports.clock.now())
    return describe_comment(await service.set_like(connection, act, is_liked=True))


@routes.delete(
    "/comments/{comment_id}/like",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Take your like of a comment back; doing it again changes nothing.",
    example={**EXAMPLE_COMMENT, "likes": 1, "liked": False},
    errors=HIDDEN,
)
async def unlike_comment(
    comment_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> CommentBody:
    """Take a like back."""
    act = CommentAct(user, comment_id, ports.clock.now())
    return describe_comment(await service.set_like(connection, act, is_liked=False))


@routes.post(
    "/comments/{comment_id}/pin",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Put a comment before all others below your post or video, in place of any other.",
    example={**EXAMPLE_COMMENT, "pinned": True},
    errors=(*HIDDEN, errors.NotYourComment),
)
async def pin_comment(
    comment_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> CommentBody:
    """Pin a comment."""
    act = CommentAct(user, comment_id, ports.clock.now())
    return describe_comment(await service.set_pin(connection, act, is_pinned=True))


@routes.delete(
    "/comments/{comment_id}/pin",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Put a pinned comment back among the others.",
    errors=(*HIDDEN, errors.NotYourComment),
)
async def unpin_comment(
    comment_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> CommentBody:
    """Unpin a comment."""
    act = CommentAct(user, comment_id, ports.clock.now())
    return describe_comment(await service.set_pin(connection, act, is_pinned=False))


async def _list(
    connection: Connection,
    viewer: Identity | None,
    place: Place,
    sort: CommentSort,
    query: PageQuery,
) -> ItemPage[CommentBody]:
    asked = CommentQuery(sort, query.cursor, query.limit)
    page = await service.list_comments(connection, viewer, place, asked)
    return ItemPage(
        items=[describe_comment(row) for row in page.items], next_cursor=page.next_cursor
    )


async def _add(
    connection: Connection,
    ports: ApiPorts,
    author: Identity,
    place: Place,
    body: CommentRequest,
) -> CommentBody:
    draft = CommentDraft(
        make_id(), place, author.user_id, body.text, ports.clock.now(), body.reply_to
    )
    chars_max = ports.settings.limits.comment_chars_max
    return describe_comment(
        await service.add_comment(connection, author, draft, chars_max=chars_max)
    )
