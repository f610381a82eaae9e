"""What a day brought a video beside views: likes, comments, shares; summed up into `video_days`.

Likes and comments are counted from their own rows. Of shares there is a row per day and viewer,
removed days later; the sums stay.
"""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta

from storage.database import Connection

REMOVED_AT_ONCE = 5_000


async def add_share(connection: Connection, video_id: uuid.UUID, day: date, viewer: bytes) -> bool:
    """Note that somebody shared a video on a day; False when they had."""
    result = await connection.execute(
        "INSERT INTO video_shares (video_id, day, viewer) VALUES ($1, $2, $3)"
        " ON CONFLICT DO NOTHING",
        video_id,
        day,
        viewer,
    )
    return result == "INSERT 0 1"


async def sum_up_engagement(connection: Connection, video_id: uuid.UUID, day: date) -> None:
    """Count a day's likes, comments and shares again; shares never become less."""
    since = datetime.combine(day, time(), UTC)
    await connection.execute(
        """INSERT INTO video_days AS d (video_id, day, views, sessions, watched_ms, retention,
                  sources, devices, starts, start_ms, stalls, stalled_ms, switches,
                  likes, comments, shares)
           SELECT $1, $2, 0, 0, 0, array_fill(0::bigint, ARRAY[100]), '{}', '{}', 0, 0, 0, 0, 0,
                  likes, comments, shares
             FROM (SELECT (SELECT count(*) FROM video_likes WHERE video_id = $1
                              AND created_at >= $3 AND created_at < $4) AS likes,
                          (SELECT count(*) FROM comments WHERE video_id = $1
                              AND deleted_at IS NULL
                              AND created_at >= $3 AND created_at < $4) AS comments,
                          (SELECT count(*) FROM video_shares WHERE video_id = $1
                              AND day = $2) AS shares) given
            WHERE likes + comments + shares > 0
               OR EXISTS (SELECT FROM video_days WHERE video_id = $1 AND day = $2)
           ON CONFLICT (video_id, day) DO UPDATE
              SET likes = excluded.likes, comments = excluded.comments,
                  shares = greatest(d.shares, excluded.shares)""",
        video_id,
        day,
        since,
        since + timedelta(days=1),
    )


async def remove_old_shares(connection: Connection, before: date) -> None:
    """Remove rows of days before; some at a time."""
    await connection.execute(
        "DELETE FROM video_shares WHERE ctid = ANY(ARRAY("
        " SELECT ctid FROM video_shares WHERE day < $1 LIMIT $2))",
        before,
        REMOVED_AT_ONCE,
    )
