"""Rules of following, and the lists of it. Never commits."""

from __future__ import annotations

from datetime import datetime

from kit.cursors import Page, cut_page, read_id_cursor
from kit.errors import Conflict, NotFound
from kit.events import EventName
from serve_apps.access.identity import Identity
from storage import follows, timelines, users
from storage.database import Connection
from storage.events import append_event
from storage.users import Profile, UserCard


class UserNotFound(NotFound):
    """Nobody has this name."""

    code, message = "user_not_found", "There is nobody with this name."


class CannotFollowYourself(Conflict):
    """Follower and followed are the same person."""

    code, message = "cannot_follow_yourself", "You cannot follow yourself."


async def get_profile(connection: Connection, username: str, viewer: Identity | None) -> Profile:
    """Return the profile; raises UserNotFound."""
    profile = await users.find_profile(
        connection, username.lower(), viewer.user_id if viewer else None
    )
    if profile is None:
        raise UserNotFound
    return profile


async def follow(
    connection: Connection, follower: Identity, username: str, now: datetime
) -> UserCard:
    """Follow somebody and see their newest posts at once; again changes nothing."""
    followee = await get_person(connection, username)
    if followee.id == follower.user_id:
        raise CannotFollowYourself
    if await follows.add_follow(connection, follower.user_id, followee.id, now):
        await timelines.backfill_timeline(connection, follower.user_id, followee.id)
        await append_event(
            connection,
            EventName.USER_FOLLOWED,
            subject_id=followee.id,
            actor_id=follower.user_id,
        )
    return followee


async def unfollow(connection: Connection, follower: Identity, username: str) -> UserCard:
    """Stop following and lose their posts from the timeline; again changes nothing."""
    followee = await get_person(connection, username)
    if await follows.remove_follow(connection, follower.user_id, followee.id):
        await timelines.remove_author(connection, follower.user_id, followee.id)
        await append_event(
            connection,
            EventName.USER_UNFOLLOWED,
            subject_id=followee.id,
            actor_id=follower.user_id,
        )
    return followee


async def get_person(connection: Connection, username: str) -> UserCard:
    """Return the person of that name; raises UserNotFound."""
    card = await users.find_card(connection, username.lower())
    if card is None:
        raise UserNotFound
    return card


async def list_followers(
    connection: Connection, username: str, *, cursor: str | None, limit: int
) -> Page[UserCard]:
    """List who follows somebody, the newest accounts first."""
    person = await get_person(connection, username)
    found = await follows.list_followers(
        connection, person.id, before=read_id_cursor(cursor), limit=limit + 1
    )
    return cut_page(found, limit, lambda card: (str(card.id),))


async def list_following(
    connection: Connection, username: str, *, cursor: str | None, limit: int
) -> Page[UserCard]:
    """List whom somebody follows, the newest accounts first."""
    person = await get_person(connection, username)
    found = await follows.list_following(
        connection, person.id, before=read_id_cursor(cursor), limit=limit + 1
    )
    return cut_page(found, limit, lambda card: (str(card.id),))
