"""Who follows whom."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from storage.database import Connection, read_rows
from storage.users import UserCard


async def add_follow(
    connection: Connection, follower_id: uuid.UUID, followee_id: uuid.UUID, now: datetime
) -> bool:
    """Have one person follow another; False when they did already."""
    added = await connection.fetchval(
        "INSERT INTO follows (follower_id, followee_id, created_at) VALUES ($1, $2, $3)"
        " ON CONFLICT DO NOTHING RETURNING true",
        follower_id,
        followee_id,
        now,
    )
    return bool(added)


async def remove_follow(
    connection: Connection, follower_id: uuid.UUID, followee_id: uuid.UUID
) -> bool:
    """End a follow; False when there was none."""
    removed = await connection.fetchval(
        "DELETE FROM follows WHERE follower_id = $1 AND followee_id = $2 RETURNING true",
        follower_id,
        followee_id,
    )
    return bool(removed)


async def is_following(
    connection: Connection, follower_id: uuid.UUID, followee_id: uuid.UUID
) -> bool:
    """Say whether the first person follows the second."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM follows WHERE follower_id = $1 AND followee_id = $2)",
            follower_id,
            followee_id,
        )
    )


async def list_followed(
    connection: Connection, follower_id: uuid.UUID, user_ids: Sequence[uuid.UUID]
) -> set[uuid.UUID]:
    """Return which of the people the follower follows."""
    rows = await connection.fetch(
        "SELECT followee_id FROM follows WHERE follower_id = $1 AND followee_id = ANY($2)",
        follower_id,
        list(user_ids),
    )
    return {row["followee_id"] for row in rows}


async def list_follow_pairs(
    connection: Connection, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]
) -> dict[tuple[uuid.UUID, uuid.UUID], datetime]:
    """Return since when each of the (follower, followee) pairs is true, where it is."""
    rows = await connection.fetch(
        "SELECT f.follower_id, f.followee_id, f.created_at"
        " FROM unnest($1::uuid[], $2::uuid[]) AS p (a, b)"
        " JOIN follows f ON f.follower_id = p.a AND f.followee_id = p.b",
        [follower for follower, _followee in pairs],
        [followee for _follower, followee in pairs],
    )
    return {(row["follower_id"], row["followee_id"]): row["created_at"] for row in rows}


async def list_followers(
    connection: Connection, user_id: uuid.UUID, *, before: uuid.UUID | None, limit: int
) -> list[UserCard]:
    """Return who follows the person, the newest accounts first."""
    rows = await connection.fetch(
        "SELECT u.id, u.username, u.display_name"
        " FROM follows f JOIN users u ON u.id = f.follower_id AND u.deleted_at IS NULL"
        " WHERE f.followee_id = $1 AND ($2::uuid IS NULL OR f.follower_id < $2)"
        " ORDER BY f.follower_id DESC LIMIT $3",
        user_id,
        before,
        limit,
    )
    return read_rows(UserCard, rows)


async def list_following(
    connection: Connection, user_id: uuid.UUID, *, before: uuid.UUID | None, limit: int
) -> list[UserCard]:
    """Return whom the person follows, the newest accounts first."""
    rows = await connection.fetch(
        "SELECT u.id, u.username, u.display_name"
        " FROM follows f JOIN users u ON u.id = f.followee_id AND u.deleted_at IS NULL"
        " WHERE f.follower_id = $1 AND ($2::uuid IS NULL OR f.followee_id < $2)"
        " ORDER BY f.followee_id DESC LIMIT $3",
        user_id,
        before,
        limit,
    )
    return read_rows(UserCard, rows)


async def list_follower_ids(
    connection: Connection, user_id: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> list[uuid.UUID]:
    """Return ids of who follows the person, in order, after this one."""
    rows = await connection.fetch(
        "SELECT f.follower_id FROM follows f"
        " JOIN users u ON u.id = f.follower_id AND u.deleted_at IS NULL"
        " WHERE f.followee_id = $1 AND ($2::uuid IS NULL OR f.follower_id > $2)"
        " ORDER BY f.follower_id LIMIT $3",
        user_id,
        after,
        limit,
    )
    return [row["follower_id"] for row in rows]
