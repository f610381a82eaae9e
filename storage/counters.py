"""Counters of posts and people, counted again from the rows they count.

Called by the listeners of the events that change them. Counting again is idempotent: a delivery
that comes twice, late or out of order ends in the same number. The counter's row is locked before
the count's snapshot is taken, so an older count never overwrites a newer one.
"""

from __future__ import annotations

import uuid

import msgspec

from storage.database import Connection, read_row


class PostCounters(msgspec.Struct, frozen=True):
    """How often a post was liked and commented."""

    likes: int
    comments: int


async def recount_post(connection: Connection, post_id: uuid.UUID) -> PostCounters | None:
    """Count a post's likes and comments; None when it is gone. Needs a transaction."""
    locked = await connection.fetchval(
        "INSERT INTO post_counters (post_id)"
        " SELECT id FROM posts WHERE id = $1 AND deleted_at IS NULL"
        " ON CONFLICT (post_id) DO UPDATE SET likes = post_counters.likes RETURNING true",
        post_id,
    )
    if not locked:
        return None
    row = await connection.fetchrow(
        """
        UPDATE post_counters SET
            likes = (SELECT count(*) FROM likes WHERE post_id = $1),
            comments = (SELECT count(*) FROM comments WHERE post_id = $1 AND deleted_at IS NULL)
        WHERE post_id = $1 RETURNING likes, comments
        """,
        post_id,
    )
    assert row is not None, "the row was locked above"
    return read_row(PostCounters, row)


async def recount_user(connection: Connection, user_id: uuid.UUID) -> None:
    """Count a person's followers, follows and posts. Needs a transaction."""
    locked = await connection.fetchval(
        "INSERT INTO user_counters (user_id) SELECT id FROM users WHERE id = $1"
        " ON CONFLICT (user_id) DO UPDATE SET posts = user_counters.posts RETURNING true",
        user_id,
    )
    if not locked:
        return
    await connection.execute(
        """
        UPDATE user_counters SET
            followers = (SELECT count(*) FROM follows WHERE followee_id = $1),
            following = (SELECT count(*) FROM follows WHERE follower_id = $1),
            posts = (SELECT count(*) FROM posts WHERE author_id = $1 AND deleted_at IS NULL)
        WHERE user_id = $1
        """,
        user_id,
    )
