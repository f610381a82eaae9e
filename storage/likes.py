"""Who likes which post; the numbers are in `counters.py`."""

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
