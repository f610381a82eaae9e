"""Home timelines, filled when a post is written: one row per reader and post.

Rows are hints of what to show; `posts.list_home` checks again who may see what. Filling locks the
follow it relies on, so that an unfollow at the same moment either waits for the row and removes
it, or is seen.
"""

from __future__ import annotations

import uuid

from storage.database import Connection
from storage.posts import PostHead

BACKFILL_POSTS_MAX = 50


async def add_own_post(connection: Connection, post: PostHead) -> None:
    """Put a post into its author's own timeline."""
    await connection.execute(
        "INSERT INTO timelines (user_id, post_id, author_id, created_at)"
        " VALUES ($1, $2, $1, $3) ON CONFLICT DO NOTHING",
        post.author_id,
        post.id,
        post.created_at,
    )


async def fan_out_batch(
    connection: Connection, post: PostHead, *, after: uuid.UUID | None, limit: int
) -> list[uuid.UUID]:
    """Put the post into the timelines of the next followers; return them, none at the end."""
    rows = await connection.fetch(
        """
        WITH readers AS (
            SELECT follower_id FROM follows
            WHERE followee_id = $1 AND ($2::uuid IS NULL OR follower_id > $2)
            ORDER BY follower_id LIMIT $3 FOR KEY SHARE
        ), filled AS (
            INSERT INTO timelines (user_id, post_id, author_id, created_at)
            SELECT follower_id, $4, $1, $5 FROM readers ON CONFLICT DO NOTHING
        )
        SELECT follower_id FROM readers ORDER BY follower_id
        """,
        post.author_id,
        after,
        limit,
        post.id,
        post.created_at,
    )
    return [row["follower_id"] for row in rows]


async def backfill_timeline(
    connection: Connection, follower_id: uuid.UUID, followee_id: uuid.UUID
) -> int:
    """Put the newest posts of someone followed into the follower's timeline; return how many.

    Those for subscribers beside the others: a follower who does not see them misses none of these.
    """
    status = await connection.execute(
        """
        WITH followed AS (
            SELECT follower_id, followee_id FROM follows
            WHERE follower_id = $1 AND followee_id = $2 FOR KEY SHARE
        )
        INSERT INTO timelines (user_id, post_id, author_id, created_at)
        SELECT f.follower_id, p.id, p.author_id, p.created_at
        FROM followed f CROSS JOIN LATERAL (
            (SELECT id, author_id, created_at FROM posts
              WHERE author_id = f.followee_id AND deleted_at IS NULL
                AND visibility IN ('public', 'followers')
              ORDER BY created_at DESC, id DESC LIMIT $3)
            UNION ALL
            (SELECT id, author_id, created_at FROM posts
              WHERE author_id = f.followee_id AND deleted_at IS NULL
                AND visibility = 'subscribers'
              ORDER BY created_at DESC, id DESC LIMIT $3)
        ) p
        ON CONFLICT DO NOTHING
        """,
        follower_id,
        followee_id,
        BACKFILL_POSTS_MAX,
    )
    return int(status.split()[-1])


async def remove_author(connection: Connection, user_id: uuid.UUID, author_id: uuid.UUID) -> None:
    """Take an author's posts out of a timeline; call it after the follow's row is deleted."""
    await connection.execute(
        "DELETE FROM timelines WHERE user_id = $1 AND author_id = $2", user_id, author_id
    )


async def remove_post_batch(
    connection: Connection, post: PostHead, *, after: uuid.UUID | None, limit: int
) -> uuid.UUID | None:
    """Take a deleted post from the next followers; return the last of them, None at the end.

    Walks the followers, as filling did: whoever stopped following has lost the row already.
    """
    last: uuid.UUID | None = await connection.fetchval(
        """
        WITH readers AS (
            SELECT follower_id FROM follows
            WHERE followee_id = $1 AND ($2::uuid IS NULL OR follower_id > $2)
            ORDER BY follower_id LIMIT $3
        ), emptied AS (
            DELETE FROM timelines t USING readers r
            WHERE t.user_id = r.follower_id AND t.post_id = $4
        )
        SELECT follower_id FROM readers ORDER BY follower_id DESC LIMIT 1
        """,
        post.author_id,
        after,
        limit,
        post.id,
    )
    return last
