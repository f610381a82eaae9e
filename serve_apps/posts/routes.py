"""Routes of posts: write, look, delete; likes; a person's posts."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Path, Response

from kit.cursors import CursorMalformed
from serve_apps.access.identity import Identity
from serve_apps.access.permissions import Permission
from serve_apps.access.playback import make_terms
from serve_apps.access.rates import RateTier
from serve_apps.access.visibility import ForSubscribers
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import ItemPage, PageRequest
from serve_apps.http.state import ApiPorts, CurrentUser, OptionalUser, Ports, Transaction
from serve_apps.posts import errors, service
from serve_apps.posts.schemas import (
    EXAMPLE_ID,
    LikeBody,
    PostBody,
    PostRequest,
    describe_post,
)
from storage.database import Connection
from storage.posts import PostRow

routes = Routes("", "posts")
Username = Annotated[str, Path(pattern="^[A-Za-z0-9_]{1,30}$", examples=["ada"])]


@routes.post(
    "/posts",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Write a post; followers see it in their home feed. Takes Idempotency-Key.",
    status=201,
    repeatable=True,
    errors=(errors.PostEmpty, errors.TextTooLong, errors.PostVideoNotFound),
)
async def create_post(
    body: PostRequest, user: CurrentUser, ports: Ports, connection: Transaction
) -> PostBody:
    """Write a post."""
    wish = service.PostWish(body.text, body.visibility, tuple(body.video_ids))
    row = await service.create_post(
        connection, user, wish, ports.settings.limits, ports.clock.now()
    )
    return (await describe_rows(connection, ports, user, [row]))[0]


@routes.get(
    "/posts/{post_id}",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="Look at a post.",
    errors=(errors.PostNotFound, ForSubscribers),
)
async def get_post(
    post_id: uuid.UUID, viewer: OptionalUser, ports: Ports, connection: Transaction
) -> PostBody:
    """Answer one post."""
    row = await service.get_post(connection, viewer, post_id)
    return (await describe_rows(connection, ports, viewer, [row]))[0]


@routes.delete(
    "/posts/{post_id}",
    permission=Permission.OWNER,
    rate=RateTier.STANDARD,
    summary="Delete your post; it disappears at once everywhere.",
    status=204,
    response_class=Response,
    errors=(errors.PostNotFound, errors.NotYourPost),
)
async def delete_post(
    post_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> None:
    """Delete a post."""
    await service.delete_post(connection, user, post_id, ports.clock.now())


@routes.post(
    "/posts/{post_id}/like",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Like a post; doing it again changes nothing.",
    errors=(errors.PostNotFound, ForSubscribers),
)
async def like_post(
    post_id: uuid.UUID, user: CurrentUser, ports: Ports, connection: Transaction
) -> LikeBody:
    """Like a post."""
    await service.like_post(connection, user, post_id, ports.clock.now())
    return LikeBody(post_id=post_id, liked=True)


@routes.delete(
    "/posts/{post_id}/like",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Take your like back; doing it again changes nothing.",
    example={"post_id": EXAMPLE_ID, "liked": False},
    errors=(errors.PostNotFound, ForSubscribers),
)
async def unlike_post(post_id: uuid.UUID, user: CurrentUser, connection: Transaction) -> LikeBody:
    """Take a like back."""
    await service.unlike_post(connection, user, post_id)
    return LikeBody(post_id=post_id, liked=False)


@routes.get(
    "/users/{username}/posts",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="List a person's posts that you may see, newest first.",
    errors=(errors.AuthorNotFound, CursorMalformed),
)
async def list_author_posts(
    username: Username,
    viewer: OptionalUser,
    query: PageRequest,
    ports: Ports,
    connection: Transaction,
) -> ItemPage[PostBody]:
    """List a person's posts."""
    part = service.read_slice(query.cursor, query.limit)
    page = await service.list_author_posts(connection, viewer, username, part)
    return ItemPage(
        items=await describe_rows(connection, ports, viewer, list(page.items)),
        next_cursor=page.next_cursor,
    )


async def describe_rows(
    connection: Connection, ports: ApiPorts, viewer: Identity | None, rows: list[PostRow]
) -> list[PostBody]:
    """Write posts as answers for one viewer, with their videos' addresses."""
    terms = await make_terms(connection, ports.settings, viewer, ports.clock.now())
    return [describe_post(view) for view in await service.load_views(connection, rows, terms)]
