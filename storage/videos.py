"""Rows of `videos`: what people uploaded and how far its processing has come.

The videos feature and its jobs call it. A deleted video is invisible to every reader here;
`video_playback.py` says that it is gone.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from storage.database import Connection, read_row, read_rows
from storage.subscriptions import write_subscribes

COLUMNS = """v.id, v.owner_id, v.title, v.description, v.status, v.progress, v.error_code,
    v.error_message, v.visibility, v.access_version, v.duration_ms, v.width, v.height,
    v.source_key, v.thumbnail_key, v.playable_at, v.created_at,
    v.published_at, v.publish_at, v.publish_as, v.withdraw_at, v.has_preview,
    v.tags, v.category, v.language, v.chapters, v.views, v.likes, v.version, v.left_out,
    v.is_protected,
    u.username AS owner_username, u.display_name AS owner_display_name,
    EXISTS (SELECT 1 FROM recordings r WHERE r.video_id = v.id) AS is_recording"""
LISTED_AT = "coalesce(v.published_at, v.created_at)"
FROM_LIVING = "videos v JOIN users u ON u.id = v.owner_id AND u.deleted_at IS NULL"
# The rule of `access/visibility.py` for a list whose reader is $1 (NULL: anybody).
VISIBLE_TO_VIEWER = f"""(v.visibility IN ('public', 'unlisted') OR v.owner_id = $1
    OR v.visibility = 'followers' AND EXISTS (
        SELECT FROM follows f WHERE f.follower_id = $1 AND f.followee_id = v.owner_id)
    OR v.visibility = 'subscribers' AND {write_subscribes("$1", "v.owner_id")})"""


class Video(msgspec.Struct, frozen=True):
    """One video with its owner's names."""

    id: uuid.UUID
    owner_id: uuid.UUID
    title: str
    description: str
    status: str
    progress: float
    error_code: str | None
    error_message: str | None
    visibility: str
    access_version: int
    duration_ms: int | None
    width: int | None
    height: int | None
    source_key: str | None
    thumbnail_key: str | None
    playable_at: datetime | None
    created_at: datetime
    published_at: datetime | None
    """When lists first showed it."""
    publish_at: datetime | None
    """When it becomes `publish_as`; it is private until then."""
    publish_as: str | None
    withdraw_at: datetime | None
    """When it becomes private again."""
    has_preview: bool
    """There are a few seconds of it that cards play."""
    owner_username: str
    owner_display_name: str
    is_recording: bool
    """It is segments of a live, which play at once; there is no source and no stored plan."""
    tags: list[str]
    category: str | None
    language: str | None
    chapters: list[dict[str, Any]] | None
    views: int
    likes: int
    version: int
    """Which of its versions plays."""
    left_out: dict[str, str]
    """What could not be made of it, and the reason's code."""
    is_protected: bool
    """Whether what plays of it is encrypted; until there is a plan, whether it is to be."""

    @property
    def listed_at(self) -> datetime:
        """Where lists place it: at its publication, at its upload without one."""
        return self.published_at or self.created_at


class NewVideo(msgspec.Struct, frozen=True):
    """What is known when an upload begins."""

    id: uuid.UUID
    owner_id: uuid.UUID
    title: str
    description: str
    visibility: str
    is_protected: bool = False
    """Whether it is to be encrypted."""


class VideoSource(msgspec.Struct, frozen=True):
    """The assembled upload."""

    key: str
    sha256: bytes
    size_bytes: int


async def insert_video(connection: Connection, video: NewVideo) -> None:
    """Write the row of a video whose upload begins."""
    await connection.execute(
        """INSERT INTO videos
               (id, owner_id, title, description, visibility, is_protected, status)
           VALUES ($1, $2, $3, $4, $5, $6, 'uploading')""",
        video.id,
        video.owner_id,
        video.title,
        video.description,
        video.visibility,
        video.is_protected,
    )


async def find_video(connection: Connection, video_id: uuid.UUID) -> Video | None:
    """Return the video, or None when there is none or it was deleted."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM {FROM_LIVING} WHERE v.id = $1 AND v.deleted_at IS NULL",  # noqa: S608 - constants
        video_id,
    )
    return None if row is None else read_row(Video, row)


async def list_videos(connection: Connection, video_ids: Sequence[uuid.UUID]) -> list[Video]:
    """Return those of the videos that exist, in no particular order."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM {FROM_LIVING} WHERE v.id = ANY($1) AND v.deleted_at IS NULL",  # noqa: S608 - constants
        list(video_ids),
    )
    return read_rows(Video, rows)


async def change_video(
    connection: Connection,
    video_id: uuid.UUID,
    *,
    title: str | None,
    description: str | None,
    visibility: str | None,
) -> bool:
    """Change what is not None; another visibility ends every grant that was given.

    False, and nothing changed, when another is asked for one that waits for its publication.
    """
    result = await connection.execute(
        """UPDATE videos
              SET title = coalesce($2::text, title),
                  description = coalesce($3::text, description),
                  access_version = access_version
                      + CASE WHEN coalesce($4::text, visibility) = visibility THEN 0 ELSE 1 END,
                  visibility = coalesce($4::text, visibility),
                  updated_at = now()
            WHERE id = $1 AND deleted_at IS NULL
              AND (publish_at IS NULL OR coalesce($4::text, visibility) = visibility)""",
        video_id,
        title,
        description,
        visibility,
    )
    return result == "UPDATE 1"


async def set_protected(connection: Connection, video_id: uuid.UUID, *, is_protected: bool) -> None:
    """Say whether what is made of a file that is still arriving will be encrypted."""
    await connection.execute(
        """UPDATE videos SET is_protected = $2, updated_at = now()
            WHERE id = $1 AND status = 'uploading' AND deleted_at IS NULL""",
        video_id,
        is_protected,
    )


async def delete_video(
    connection: Connection,
    video_id: uuid.UUID,
    *,
    deleted_by: uuid.UUID | None = None,
    kept_s: float = 0.0,
) -> datetime | None:
    """Make the video disappear; its bytes and row go `kept_s` later, at the time returned.

    None when it was gone already.
    """
    purge_at: datetime | None = await connection.fetchval(
        """UPDATE videos
              SET deleted_at = now(), updated_at = now(), access_version = access_version + 1,
                  deleted_by = $2, purge_at = now() + $3, is_final = false
            WHERE id = $1 AND deleted_at IS NULL
        RETURNING purge_at""",
        video_id,
        deleted_by,
        timedelta(seconds=kept_s),
    )
    return purge_at


async def remove_deleted_video(connection: Connection, video_id: uuid.UUID) -> bool:
    """Remove the row of a deleted video and all that hangs on it; False when it is not deleted."""
    result = await connection.execute(
        "DELETE FROM videos WHERE id = $1 AND deleted_at IS NOT NULL", video_id
    )
    return result == "DELETE 1"


async def queue_video(connection: Connection, video_id: uuid.UUID) -> bool:
    """Mark a video whose upload finished as waiting for its job."""
    result = await connection.execute(
        """UPDATE videos SET status = 'queued', progress = 0, updated_at = now()
            WHERE id = $1 AND status = 'uploading' AND deleted_at IS NULL""",
        video_id,
    )
    return result == "UPDATE 1"


async def start_processing(connection: Connection, video_id: uuid.UUID) -> bool:
    """Mark a waiting video as in work; False when it already was, or is finished or gone."""
    result = await connection.execute(
        """UPDATE videos SET status = 'processing', updated_at = now()
            WHERE id = $1 AND status = 'queued' AND deleted_at IS NULL""",
        video_id,
    )
    return result == "UPDATE 1"


async def set_source(connection: Connection, video_id: uuid.UUID, source: VideoSource) -> None:
    """Remember the assembled upload, behind all others of the same person that were before it."""
    await connection.execute(
        """SELECT 1 FROM users u JOIN videos v ON v.owner_id = u.id
            WHERE v.id = $1 FOR NO KEY UPDATE OF u""",
        video_id,
    )
    await connection.execute(
        """UPDATE videos SET source_key = $2, source_sha256 = $3, source_bytes = $4,
                  source_at = coalesce(source_at, clock_timestamp()), updated_at = now()
            WHERE id = $1""",
        video_id,
        source.key,
        source.sha256,
        source.size_bytes,
    )


async def find_duplicate(connection: Connection, video_id: uuid.UUID) -> Video | None:
    """Return another living video of the same person, whose source was taken in before.

    `set_source` has people's videos follow each other: of two equal ones just one finds the other.
    """
    row = await connection.fetchrow(
        f"""SELECT {COLUMNS} FROM {FROM_LIVING}
              JOIN videos later ON later.id = $1
             WHERE v.owner_id = later.owner_id AND v.source_sha256 = later.source_sha256
               AND (v.source_at, v.id) < (later.source_at, later.id)
               AND v.status <> 'failed' AND v.deleted_at IS NULL
             ORDER BY v.source_at, v.id LIMIT 1""",  # noqa: S608 - constants
        video_id,
    )
    return None if row is None else read_row(Video, row)


async def set_duplicate(connection: Connection, video_id: uuid.UUID, first_id: uuid.UUID) -> bool:
    """Note whose bytes these are; False when that was noted before, so the owner knows."""
    result = await connection.execute(
        """UPDATE videos SET duplicate_of = $2, updated_at = now()
            WHERE id = $1 AND duplicate_of IS NULL""",
        video_id,
        first_id,
    )
    return result == "UPDATE 1"


async def set_thumbnail(connection: Connection, video_id: uuid.UUID, key: str) -> None:
    """Remember the picture shown before the video plays, unless its owner chose one."""
    await connection.execute(
        """UPDATE videos SET thumbnail_key = $2, updated_at = now()
            WHERE id = $1 AND thumbnail_key IS NULL""",
        video_id,
        key,
    )


async def set_preview(connection: Connection, video_id: uuid.UUID) -> None:
    """Remember that there is a preview."""
    await connection.execute(
        "UPDATE videos SET has_preview = true, updated_at = now() WHERE id = $1", video_id
    )


async def note_left_out(
    connection: Connection, video_id: uuid.UUID, left_out: dict[str, str]
) -> None:
    """Remember what could not be made, with the reasons, beside what was noted before."""
    await connection.execute(
        "UPDATE videos SET left_out = left_out || $2::jsonb, updated_at = now() WHERE id = $1",
        video_id,
        left_out,
    )


async def choose_thumbnail(connection: Connection, video_id: uuid.UUID, key: str) -> None:
    """Take the owner's choice of a picture."""
    await connection.execute(
        "UPDATE videos SET thumbnail_key = $2, updated_at = now() WHERE id = $1", video_id, key
    )


async def set_progress(
    connection: Connection, video_id: uuid.UUID, progress: float, *, is_playable: bool
) -> bool:
    """Remember how far the work has come (0 to 1) and when the video first could be played.

    False when the video is no longer in work.
    """
    result = await connection.execute(
        """UPDATE videos SET progress = greatest(progress, $2), updated_at = now(),
                  playable_at = CASE WHEN $3 THEN coalesce(playable_at, now())
                                     ELSE playable_at END
            WHERE id = $1 AND status = 'processing' AND deleted_at IS NULL""",
        video_id,
        progress,
        is_playable,
    )
    return result == "UPDATE 1"


async def finish_video(connection: Connection, video_id: uuid.UUID) -> bool:
    """Mark a video in work as ready; False when it no longer is in work."""
    result = await connection.execute(
        """UPDATE videos SET status = 'ready', progress = 1, updated_at = now(),
                  playable_at = coalesce(playable_at, now())
            WHERE id = $1 AND status = 'processing' AND deleted_at IS NULL""",
        video_id,
    )
    return result == "UPDATE 1"


async def fail_video(connection: Connection, video_id: uuid.UUID, code: str, message: str) -> bool:
    """End an unfinished video with the reason; False when it is finished or gone.

    A recording plays all the same: its segments are whole.
    """
    result = await connection.execute(
        """UPDATE videos SET status = 'failed', error_code = $2, error_message = $3,
                  playable_at = CASE WHEN EXISTS (SELECT 1 FROM recordings r WHERE r.video_id = $1)
                                     THEN playable_at END,
                  updated_at = now()
            WHERE id = $1 AND status IN ('uploading', 'queued', 'processing')
              AND deleted_at IS NULL""",
        video_id,
        code,
        message,
    )
    return result == "UPDATE 1"


async def requeue_video(connection: Connection, video_id: uuid.UUID) -> bool:
    """Mark a failed video whose source is there as waiting again; False when it is not such."""
    result = await connection.execute(
        """UPDATE videos SET status = 'queued', error_code = NULL, error_message = NULL,
                  updated_at = now()
            WHERE id = $1 AND status = 'failed' AND deleted_at IS NULL
              AND (source_key IS NOT NULL
                   OR EXISTS (SELECT 1 FROM recordings r WHERE r.video_id = $1)
                   OR EXISTS (SELECT 1 FROM uploads u
                               WHERE u.video_id = $1 AND u.state = 'finished'))""",
        video_id,
    )
    return result == "UPDATE 1"
