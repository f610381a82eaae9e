"""Routes of users: profiles, following, and the lists of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from kit.cursors import CursorMalformed
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import Routes
from serve_apps.http.schemas import ItemPage, PageRequest, PersonBody, describe_person
from serve_apps.http.state import CurrentUser, OptionalUser, Ports, Transaction
from serve_apps.users import service
from serve_apps.users.schemas import FollowBody, ProfileBody, describe_profile

routes = Routes("/users", "users")
Username = Annotated[str, Path(pattern="^[A-Za-z0-9_]{1,30}$", examples=["ada"])]


@routes.get(
    "/{username}",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="Look at a person's profile.",
    errors=(service.UserNotFound,),
)
async def get_profile(
    username: Username, viewer: OptionalUser, connection: Transaction
) -> ProfileBody:
    """Answer a profile."""
    profile = await service.get_profile(connection, username, viewer)
    return describe_profile(profile, viewer.user_id if viewer else None)


@routes.post(
    "/{username}/follow",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Follow a person; doing it again changes nothing.",
    errors=(service.UserNotFound, service.CannotFollowYourself),
)
async def follow(
    username: Username, user: CurrentUser, ports: Ports, connection: Transaction
) -> FollowBody:
    """Follow a person."""
    person = await service.follow(connection, user, username, ports.clock.now())
    return FollowBody(username=person.username, is_following=True)


@routes.delete(
    "/{username}/follow",
    permission=Permission.USER,
    rate=RateTier.STANDARD,
    summary="Stop following a person; doing it again changes nothing.",
    example={"username": "ada", "is_following": False},
    errors=(service.UserNotFound,),
)
async def unfollow(username: Username, user: CurrentUser, connection: Transaction) -> FollowBody:
    """Stop following a person."""
    person = await service.unfollow(connection, user, username)
    return FollowBody(username=person.username, is_following=False)


@routes.get(
    "/{username}/followers",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="List who follows a person, the newest accounts first.",
    errors=(service.UserNotFound, CursorMalformed),
)
async def list_followers(
    username: Username, query: PageRequest, connection: Transaction
) -> ItemPage[PersonBody]:
    """List followers."""
    page = await service.list_followers(
        connection, username, cursor=query.cursor, limit=query.limit
    )
    return ItemPage(
        items=[describe_person(card) for card in page.items], next_cursor=page.next_cursor
    )


@routes.get(
    "/{username}/following",
    permission=Permission.PUBLIC,
    rate=RateTier.PUBLIC,
    summary="List whom a person follows, the newest accounts first.",
    errors=(service.UserNotFound, CursorMalformed),
)
async def list_following(
    username: Username, query: PageRequest, connection: Transaction
) -> ItemPage[PersonBody]:
    """List the followed."""
    page = await service.list_following(
        connection, username, cursor=query.cursor, limit=query.limit
    )
    return ItemPage(
        items=[describe_person(card) for card in page.items], next_cursor=page.next_cursor
    )
