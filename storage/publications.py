"""When videos are published: the time that an owner chose, and the moment it came about.

The videos feature and its jobs call it. A video that waits is a private one to everything else, so
that nothing but these statements has to know of its time. A trigger raises `access_version`.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec

from storage.database import Connection, read_row

# What lists may show, so that those it is for may be told of it.
IS_LISTED = "status = 'ready' AND visibility IN ('public', 'followers', 'subscribers')"


class Publication(msgspec.Struct, frozen=True):
    """When a video is published, and for whom it is from then on."""

    at: datetime
    visibility: str


async def schedule_video(
    connection: Connection, video_id: uuid.UUID, publication: Publication
) -> float | None:
    """Hide a video until its time; return the seconds left by the database's clock.

    None, and nothing done, where it is taken back before. Grants that were given end when it was
    visible until now.
    """
    left_s: float | None = await connection.fetchval(
        """UPDATE videos
              SET publish_at = $2, publish_as = $3, visibility = 'private', updated_at = now()
            WHERE id = $1 AND (withdraw_at IS NULL OR $2 < withdraw_at)
        RETURNING extract(epoch FROM $2 - now())::double precision""",
        video_id,
        publication.at,
        publication.visibility,
    )
    return left_s


async def unschedule_video(connection: Connection, video_id: uuid.UUID) -> None:
    """Take the time back; the video stays private."""
    await connection.execute(
        """UPDATE videos SET publish_at = NULL, publish_as = NULL, updated_at = now()
            WHERE id = $1 AND publish_at IS NOT NULL""",
        video_id,
    )


async def open_due_video(connection: Connection, video_id: uuid.UUID) -> bool:
    """Give a video whose time has come its visibility; False when there is none, or not yet."""
    result = await connection.execute(
        """UPDATE videos
              SET visibility = publish_as, publish_at = NULL, publish_as = NULL, updated_at = now()
            WHERE id = $1 AND publish_at <= now() AND deleted_at IS NULL""",
        video_id,
    )
    return result == "UPDATE 1"


async def set_withdrawal(
    connection: Connection, video_id: uuid.UUID, at: datetime | None
) -> float | None:
    """Say when a video becomes private again (None: never); return the seconds left.

    None, too, and nothing done, where it is to be published later than that.
    """
    left_s: float | None = await connection.fetchval(
        """UPDATE videos SET withdraw_at = $2, updated_at = now()
            WHERE id = $1 AND (publish_at IS NULL OR $2::timestamptz IS NULL OR publish_at < $2)
        RETURNING extract(epoch FROM $2 - now())::double precision""",
        video_id,
        at,
    )
    return left_s


async def withdraw_due_video(connection: Connection, video_id: uuid.UUID) -> bool:
    """Make a video private whose time is over; False when there is none, or not yet.

    Grants that were given end.
    """
    result = await connection.execute(
        """UPDATE videos SET visibility = 'private', withdraw_at = NULL, publish_at = NULL,
                  publish_as = NULL, updated_at = now()
            WHERE id = $1 AND withdraw_at <= now() AND deleted_at IS NULL""",
        video_id,
    )
    return result == "UPDATE 1"


class TimesLeft(msgspec.Struct, frozen=True):
    """Seconds until a video is published and taken back; None: never, negative: it should be.

    By the database's clock.
    """

    publish_s: float | None
    withdraw_s: float | None


async def find_times_left(connection: Connection, video_id: uuid.UUID) -> TimesLeft:
    """Return how long a video waits for its times."""
    row = await connection.fetchrow(
        """SELECT extract(epoch FROM publish_at - now())::float8 AS publish_s,
                  extract(epoch FROM withdraw_at - now())::float8 AS withdraw_s
             FROM videos WHERE id = $1""",
        video_id,
    )
    assert row is not None, "the row was there in this very transaction"
    return read_row(TimesLeft, row)


class Published(msgspec.Struct, frozen=True):
    """A video that lists show from now on."""

    owner_id: uuid.UUID
    visibility: str


async def mark_published(connection: Connection, video_id: uuid.UUID) -> Published | None:
    """Note that lists show a video, in the transaction that made it so; None when it is not new."""
    row = await connection.fetchrow(
        f"""UPDATE videos SET published_at = now()
             WHERE id = $1 AND published_at IS NULL AND {IS_LISTED} AND deleted_at IS NULL
            RETURNING owner_id, visibility""",  # noqa: S608 - constants
        video_id,
    )
    return None if row is None else read_row(Published, row)
