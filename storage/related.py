"""Which public videos go with one: of the same channel, with the same tags, or new."""

from __future__ import annotations

from storage.database import Connection, read_rows
from storage.videos import COLUMNS, FROM_LIVING, LISTED_AT, Video

CANDIDATES = 50
"""Of each sort: what bounds the work."""
OPEN = "status = 'ready' AND visibility = 'public' AND deleted_at IS NULL"
NEWEST = "ORDER BY coalesce(published_at, created_at) DESC, id DESC"


async def list_related(connection: Connection, video: Video, limit: int) -> list[Video]:
    """Return other public videos: the channel counts two, each tag and the category one."""
    rows = await connection.fetch(
        f"""SELECT {COLUMNS} FROM {FROM_LIVING} JOIN (
                (SELECT id FROM videos WHERE owner_id = $2 AND {OPEN} {NEWEST} LIMIT $6)
                UNION
                (SELECT id FROM videos WHERE tags && $3::text[] AND {OPEN} {NEWEST} LIMIT $6)
                UNION
                (SELECT id FROM videos WHERE {OPEN} {NEWEST} LIMIT $6)
            ) c ON c.id = v.id
             WHERE v.id <> $1
             ORDER BY (v.owner_id = $2)::int * 2
                 + cardinality(ARRAY(SELECT unnest(v.tags) INTERSECT SELECT unnest($3::text[])))
                 + coalesce((v.category = $4::text)::int, 0) DESC, {LISTED_AT} DESC, v.id DESC
             LIMIT $5""",  # noqa: S608 - constants
        video.id,
        video.owner_id,
        video.tags,
        video.category,
        limit,
        CANDIDATES,
    )
    return read_rows(Video, rows)


async def list_newest_of(connection: Connection, username: str, limit: int) -> list[Video]:
    """Return somebody's newest public videos."""
    rows = await connection.fetch(
        f"""SELECT {COLUMNS} FROM {FROM_LIVING}
             WHERE u.username = $1 AND v.status = 'ready' AND v.visibility = 'public'
               AND v.deleted_at IS NULL
             ORDER BY {LISTED_AT} DESC, v.id DESC LIMIT $2""",  # noqa: S608 - constants
        username,
        limit,
    )
    return read_rows(Video, rows)
