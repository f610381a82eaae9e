"""People: their account row, their public profile, and the password hash that login compares."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import msgspec

from storage.database import Connection, read_row, read_rows
from storage.subscriptions import write_subscribes

ACCOUNT_COLUMNS = (
    "id, username, email, display_name, bio, role, plan, created_at, presence_audience"
)
STANDING_COLUMNS = "id, username, display_name, email, role, created_at, banned_at, ban_reason"


class UserCard(msgspec.Struct, frozen=True):
    """A person in a line."""

    id: uuid.UUID
    username: str
    display_name: str


class UserRow(msgspec.Struct, frozen=True):
    """An account as its owner sees it."""

    id: uuid.UUID
    username: str
    email: str
    display_name: str
    bio: str
    role: str
    plan: str
    created_at: datetime
    presence_audience: str = "everyone"
    """Who may see whether the person is there: everyone, followers or nobody."""


class Credentials(msgspec.Struct, frozen=True):
    """What login needs."""

    user_id: uuid.UUID
    password_hash: str
    banned_at: datetime | None = None
    ban_reason: str = ""


class Standing(msgspec.Struct, frozen=True):
    """A person as administrators see them."""

    id: uuid.UUID
    username: str
    display_name: str
    email: str
    role: str
    created_at: datetime
    banned_at: datetime | None
    ban_reason: str


class Profile(msgspec.Struct, frozen=True):
    """A person as others see them; the flags are about the viewer."""

    id: uuid.UUID
    username: str
    display_name: str
    bio: str
    created_at: datetime
    followers: int
    following: int
    posts: int
    is_following: bool
    follows_you: bool
    is_subscribed: bool
    """Whether the viewer subscribes to the person."""


async def insert_user(connection: Connection, user: UserRow, password_hash: str) -> bool:
    """Insert an account; False when the name or the address is taken (see `list_taken`)."""
    inserted = await connection.fetchval(
        "INSERT INTO users (id, username, email, password_hash, display_name, bio, role, plan,"
        " created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)"
        " ON CONFLICT DO NOTHING RETURNING true",
        user.id,
        user.username,
        user.email,
        password_hash,
        user.display_name,
        user.bio,
        user.role,
        user.plan,
        user.created_at,
    )
    return bool(inserted)


async def list_taken(connection: Connection, *, username: str, email: str) -> set[str]:
    """Return which of "username" and "email" belong to someone."""
    row = await connection.fetchrow(
        "SELECT EXISTS (SELECT FROM users WHERE username = $1 AND deleted_at IS NULL) AS username,"
        " EXISTS (SELECT FROM users WHERE email = $2 AND deleted_at IS NULL) AS email",
        username,
        email,
    )
    assert row is not None, "a query without FROM answers one row"
    return {name for name, is_taken in row.items() if is_taken}


async def find_credentials(connection: Connection, login: str) -> Credentials | None:
    """Return what to compare for a lower-case username or e-mail address."""
    row = await connection.fetchrow(
        "SELECT id AS user_id, password_hash, banned_at, ban_reason FROM users"
        " WHERE (username = $1 OR email = $1) AND deleted_at IS NULL",
        login,
    )
    return None if row is None else read_row(Credentials, row)


async def replace_password_hash(
    connection: Connection, user_id: uuid.UUID, *, expected: str, replacement: str
) -> bool:
    """Store another hash; False: the password changed meanwhile, and nothing was written."""
    return bool(
        await connection.fetchval(
            "UPDATE users SET password_hash = $3, updated_at = now()"
            " WHERE id = $1 AND password_hash = $2 RETURNING true",
            user_id,
            expected,
            replacement,
        )
    )


async def find_user(connection: Connection, user_id: uuid.UUID) -> UserRow | None:
    """Return the account, None when it is deleted."""
    row = await connection.fetchrow(
        f"SELECT {ACCOUNT_COLUMNS} FROM users WHERE id = $1 AND deleted_at IS NULL",  # noqa: S608 - constants
        user_id,
    )
    return None if row is None else read_row(UserRow, row)


async def find_unbanned(connection: Connection, user_id: uuid.UUID) -> UserRow | None:
    """Return the account that may open a session, and hold off a ban until the transaction ends.

    A ban that came first is waited for, so that no session slips in behind it.
    """
    row = await connection.fetchrow(
        f"SELECT {ACCOUNT_COLUMNS} FROM users"  # noqa: S608 - constants
        " WHERE id = $1 AND deleted_at IS NULL AND banned_at IS NULL FOR SHARE",
        user_id,
    )
    return None if row is None else read_row(UserRow, row)


async def find_card(connection: Connection, username: str) -> UserCard | None:
    """Return the person of that lower-case name."""
    row = await connection.fetchrow(
        "SELECT id, username, display_name FROM users WHERE username = $1 AND deleted_at IS NULL",
        username,
    )
    return None if row is None else read_row(UserCard, row)


async def list_cards(
    connection: Connection, user_ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, UserCard]:
    """Return these people by id; those that are deleted are left out."""
    rows = await connection.fetch(
        "SELECT id, username, display_name FROM users WHERE id = ANY($1) AND deleted_at IS NULL",
        list(user_ids),
    )
    return {card.id: card for card in read_rows(UserCard, rows)}


async def list_users(connection: Connection, user_ids: Sequence[uuid.UUID]) -> list[UserRow]:
    """Return these accounts; those that are deleted are left out."""
    rows = await connection.fetch(
        f"SELECT {ACCOUNT_COLUMNS} FROM users WHERE id = ANY($1) AND deleted_at IS NULL",  # noqa: S608 - constants
        list(user_ids),
    )
    return read_rows(UserRow, rows)


async def find_access_version(connection: Connection, user_id: uuid.UUID) -> int:
    """Return how often a person lost a right to see something; 0 for one that is gone."""
    version: int | None = await connection.fetchval(
        "SELECT access_version FROM users WHERE id = $1", user_id
    )
    return version or 0


async def find_profile(
    connection: Connection, username: str, viewer_id: uuid.UUID | None
) -> Profile | None:
    """Return the public profile of that lower-case name, as the viewer sees it."""
    row = await connection.fetchrow(
        f"""
        SELECT u.id, u.username, u.display_name, u.bio, u.created_at,
               coalesce(c.followers, 0) AS followers, coalesce(c.following, 0) AS following,
               coalesce(c.posts, 0) AS posts,
               EXISTS (SELECT FROM follows f
                       WHERE f.follower_id = $2 AND f.followee_id = u.id) AS is_following,
               EXISTS (SELECT FROM follows f
                       WHERE f.follower_id = u.id AND f.followee_id = $2) AS follows_you,
               {write_subscribes("$2", "u.id")} AS is_subscribed
        FROM users u LEFT JOIN user_counters c ON c.user_id = u.id
        WHERE u.username = $1 AND u.deleted_at IS NULL
        """,  # noqa: S608 - constants
        username,
        viewer_id,
    )
    return None if row is None else read_row(Profile, row)


async def change_profile(
    connection: Connection,
    user_id: uuid.UUID,
    *,
    display_name: str | None,
    bio: str | None,
    presence_audience: str | None = None,
) -> UserRow | None:
    """Change what is given (None: keep) and return the account, None when it is gone."""
    row = await connection.fetchrow(
        "UPDATE users SET display_name = coalesce($2, display_name), bio = coalesce($3, bio),"  # noqa: S608 - constants
        " presence_audience = coalesce($4, presence_audience),"
        f" updated_at = now() WHERE id = $1 AND deleted_at IS NULL RETURNING {ACCOUNT_COLUMNS}",
        user_id,
        display_name,
        bio,
        presence_audience,
    )
    return None if row is None else read_row(UserRow, row)


async def find_password(connection: Connection, user_id: uuid.UUID) -> Credentials | None:
    """Return what a change of the password compares."""
    row = await connection.fetchrow(
        "SELECT id AS user_id, password_hash FROM users WHERE id = $1 AND deleted_at IS NULL",
        user_id,
    )
    return None if row is None else read_row(Credentials, row)


async def find_standing(connection: Connection, username: str) -> Standing | None:
    """Return the person of that lower-case name and lock their row until the transaction ends."""
    row = await connection.fetchrow(
        f"SELECT {STANDING_COLUMNS} FROM users"  # noqa: S608 - constants
        " WHERE username = $1 AND deleted_at IS NULL FOR UPDATE",
        username,
    )
    return None if row is None else read_row(Standing, row)


async def list_standings(
    connection: Connection, *, prefix: str, before: uuid.UUID | None, limit: int
) -> list[Standing]:
    """Return people whose name begins with `prefix`, the newest accounts first."""
    rows = await connection.fetch(
        f"SELECT {STANDING_COLUMNS} FROM users"  # noqa: S608 - constants
        " WHERE starts_with(username, $1) AND deleted_at IS NULL"
        " AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        prefix,
        before,
        limit,
    )
    return read_rows(Standing, rows)


async def ban_user(
    connection: Connection, user_id: uuid.UUID, *, reason: str, now: datetime
) -> None:
    """Ban the person; a second ban changes the reason alone."""
    await connection.execute(
        "UPDATE users SET banned_at = coalesce(banned_at, $2), ban_reason = $3, updated_at = $2"
        " WHERE id = $1",
        user_id,
        now,
        reason,
    )


async def lift_ban(connection: Connection, user_id: uuid.UUID, now: datetime) -> None:
    """Let the person log in again."""
    await connection.execute(
        "UPDATE users SET banned_at = NULL, ban_reason = '', updated_at = $2 WHERE id = $1",
        user_id,
        now,
    )


async def change_role(connection: Connection, user_id: uuid.UUID, role: str, now: datetime) -> None:
    """Give the person another role."""
    await connection.execute(
        "UPDATE users SET role = $2, updated_at = $3 WHERE id = $1", user_id, role, now
    )


async def count_admins(connection: Connection) -> int:
    """Return how many people may administer this site, and keep it so until the commit."""
    rows = await connection.fetch(
        "SELECT id FROM users WHERE role = 'admin' AND banned_at IS NULL AND deleted_at IS NULL"
        " ORDER BY id FOR UPDATE"
    )
    return len(rows)


async def list_presence_audiences(
    connection: Connection, user_ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, str]:
    """Return who may see whether these people are there: everyone, followers or nobody."""
    rows = await connection.fetch(
        "SELECT id, presence_audience FROM users WHERE id = ANY($1) AND deleted_at IS NULL",
        list(user_ids),
    )
    return {row["id"]: row["presence_audience"] for row in rows}
