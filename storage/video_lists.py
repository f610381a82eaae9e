"""Lists of videos: everybody's by their publication, a channel's, and all of an owner's own.

The videos and feed features call it. What decides who may see what is in each statement.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import msgspec

from storage.database import Connection, read_rows
from storage.videos import COLUMNS, FROM_LIVING, LISTED_AT, Video

Moment = tuple[datetime, uuid.UUID]
"""A place in a list: when its row was listed, and the row's id."""


class VideoFilter(msgspec.Struct, frozen=True):
    """What listed videos have in common; None: anything."""

    tag: str | None = None
    category: str | None = None


ANY_VIDEO = VideoFilter()


async def list_public_videos(
    connection: Connection,
    *,
    before: Moment | None,
    limit: int,
    wanted: VideoFilter = ANY_VIDEO,
) -> list[Video]:
    """Return ready public videos, last published first, listed before `before`."""
    rows = await connection.fetch(
        f"""SELECT {COLUMNS} FROM {FROM_LIVING}
             WHERE v.status = 'ready' AND v.visibility = 'public' AND v.deleted_at IS NULL
               AND ($1::timestamptz IS NULL OR ({LISTED_AT}, v.id) < ($1, $2::uuid))
               AND ($4::text IS NULL OR v.tags @> ARRAY[$4])
               AND ($5::text IS NULL OR v.category = $5)
             ORDER BY {LISTED_AT} DESC, v.id DESC LIMIT $3""",  # noqa: S608 - constants
        *(before or (None, None)),
        limit,
        wanted.tag,
        wanted.category,
    )
    return read_rows(Video, rows)


async def list_owned_videos(
    connection: Connection,
    owner_id: uuid.UUID,
    *,
    before: uuid.UUID | None,
    limit: int,
) -> list[Video]:
    """Return a person's videos in all states, last uploaded first."""
    rows = await connection.fetch(
        f"""SELECT {COLUMNS} FROM {FROM_LIVING}
             WHERE v.owner_id = $1 AND v.deleted_at IS NULL AND ($2::uuid IS NULL OR v.id < $2)
             ORDER BY v.id DESC LIMIT $3""",  # noqa: S608 - constants
        owner_id,
        before,
        limit,
    )
    return read_rows(Video, rows)


async def list_channel_videos(
    connection: Connection,
    owner_id: uuid.UUID,
    visibilities: Sequence[str],
    *,
    before: Moment | None,
    limit: int,
) -> list[Video]:
    """Return a person's ready videos that are so visible, last published first."""
    rows = await connection.fetch(
        f"""SELECT {COLUMNS} FROM {FROM_LIVING}
             WHERE v.owner_id = $1 AND v.status = 'ready' AND v.deleted_at IS NULL
               AND v.visibility = ANY($2)
               AND ($3::timestamptz IS NULL OR ({LISTED_AT}, v.id) < ($3, $4::uuid))
             ORDER BY {LISTED_AT} DESC, v.id DESC LIMIT $5""",  # noqa: S608 - constants
        owner_id,
        list(visibilities),
        *(before or (None, None)),
        limit,
    )
    return read_rows(Video, rows)
