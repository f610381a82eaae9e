"""What a person's files take, and how many of them are arriving: sums over `videos` and `uploads`.

The videos feature's rules about room call it, in a transaction. It decides nothing.
"""

from __future__ import annotations

import uuid

from storage.database import Connection


async def hold_usage(connection: Connection, owner_id: uuid.UUID) -> None:
    """Hold off others who ask what this person uses, until the transaction ends."""
    await connection.execute("SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE", owner_id)


async def count_open_uploads(connection: Connection, owner_id: uuid.UUID) -> int:
    """Count a person's unfinished uploads."""
    count: int = await connection.fetchval(
        """SELECT count(*) FROM uploads
            WHERE owner_id = $1 AND state = 'open' AND expires_at > clock_timestamp()""",
        owner_id,
    )
    return count


async def sum_used_bytes(
    connection: Connection, owner_id: uuid.UUID, *, apart_from: uuid.UUID | None = None
) -> int:
    """How much a person's files take, those that may still arrive or be joined included.

    Deleted ones do until their bytes are gone. `apart_from` is an upload that does not count.
    """
    used: int = await connection.fetchval(
        """SELECT coalesce((SELECT sum(source_bytes) FROM videos WHERE owner_id = $1), 0)::bigint
                + coalesce((SELECT sum(coalesce(u.size_bytes,
                                   (SELECT sum(p.size_bytes) FROM upload_parts p
                                     WHERE p.upload_id = u.id), 0))
                              FROM uploads u
                             WHERE u.owner_id = $1 AND u.id IS DISTINCT FROM $2
                               AND u.state = 'open' AND u.expires_at > clock_timestamp()
                           ), 0)::bigint
                + coalesce((SELECT sum(u.size_bytes)
                              FROM videos v JOIN uploads u ON u.video_id = v.id
                             WHERE v.owner_id = $1 AND v.source_bytes IS NULL
                               AND u.id IS DISTINCT FROM $2 AND u.state = 'finished'
                           ), 0)::bigint
                + coalesce((SELECT sum(size_bytes) FROM uploads
                             WHERE owner_id = $1 AND video_id IS NULL
                               AND state = 'finished'), 0)::bigint""",
        owner_id,
        apart_from,
    )
    return used


async def sum_deleted_bytes(connection: Connection, owner_id: uuid.UUID) -> int:
    """How much of it deleted videos take, whose bytes are still there."""
    held: int = await connection.fetchval(
        """SELECT coalesce(sum(coalesce(v.source_bytes, u.size_bytes)), 0)::bigint
             FROM videos v LEFT JOIN uploads u ON u.video_id = v.id AND u.state = 'finished'
            WHERE v.owner_id = $1 AND v.deleted_at IS NOT NULL""",
        owner_id,
    )
    return held
