"""Who likes which post or video; the numbers of posts are in `counters.py`."""

from __future__ import annotations

import uuid
from datetime import datetime

from storage.database import Connection


async def add_like(
    connection: Connection, post_id: uuid.UUID, user_id: uuid.UUID, now: datetime
) -> bool:
    """Like a post; False when it was liked already."""
    added = await connection.fetchval(
        "INSERT INTO likes (post_id, user_id, created_at) VALUES ($1, $2, $3)"
        " ON CONFLICT DO NOTHING RETURNING true",
        post_id,
        user_id,
        now,
    )
    return bool(added)


async def remove_like(connection: Connection, post_id: uuid.UUID, user_id: uuid.UUID) -> bool:
    """Take a like back; False when there was none."""
    removed = await connection.fetchval(
        "DELETE FROM likes WHERE post_id = $1 AND user_id = $2 RETURNING true", post_id, user_id
    )
    return bool(removed)


async def add_video_like(
    connection: Connection, video_id: uuid.UUID, user_id: uuid.UUID, now: datetime
) -> bool:
    """Like a video; False when it was liked already."""
    added = await connection.fetchval(
        "INSERT INTO video_likes (video_id, user_id, created_at) VALUES ($1, $2, $3)"
        " ON CONFLICT DO NOTHING RETURNING true",
        video_id,
        user_id,
        now,
    )
    if added:
        await connection.execute("UPDATE videos SET likes = likes + 1 WHERE id = $1", video_id)
    return bool(added)


async def remove_video_like(
    connection: Connection, video_id: uuid.UUID, user_id: uuid.UUID
) -> datetime | None:
    """Take a like of a video back; return when it was given, None when there was none."""
    given_at: datetime | None = await connection.fetchval(
        "DELETE FROM video_likes WHERE video_id = $1 AND user_id = $2 RETURNING created_at",
        video_id,
        user_id,
    )
    if given_at is not None:
        await connection.execute(
            "UPDATE videos SET likes = greatest(likes - 1, 0) WHERE id = $1", video_id
        )
    return given_at


async def is_video_liked(connection: Connection, video_id: uuid.UUID, user_id: uuid.UUID) -> bool:
    """Say whether somebody likes a video."""
    found = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM video_likes WHERE video_id = $1 AND user_id = $2)",
        video_id,
        user_id,
    )
    return bool(found)
