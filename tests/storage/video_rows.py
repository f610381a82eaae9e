"""Rows that tests of videos, uploads and jobs stand on."""

from __future__ import annotations

import uuid

from kit.ids import make_id
from storage import uploads, videos
from storage.database import Connection
from tests.storage.live_rows import create_user_row


async def create_owner(connection: Connection, username: str = "ada") -> uuid.UUID:
    """Write a person and return the id."""
    return await create_user_row(connection, username)


async def create_video_row(
    connection: Connection, owner_id: uuid.UUID, *, visibility: str = "public"
) -> uuid.UUID:
    """Write a video whose upload begins and return its id."""
    video_id = make_id()
    await videos.insert_video(
        connection, videos.NewVideo(video_id, owner_id, "A walk", "", visibility)
    )
    return video_id


async def create_upload_row(
    connection: Connection,
    video_id: uuid.UUID | None,
    owner_id: uuid.UUID,
    size_bytes: int | None,
    *,
    expires_s: int = 3600,
) -> uuid.UUID:
    """Write an open upload and return its id; without a video it is a part of a file."""
    upload_id = make_id()
    await uploads.insert_upload(
        connection,
        uploads.NewUpload(upload_id, video_id, owner_id, "walk.mp4", size_bytes, expires_s),
    )
    return upload_id


async def create_ready_video(
    connection: Connection,
    owner_id: uuid.UUID,
    *,
    visibility: str = "public",
    title: str = "A walk",
    duration_ms: int = 100_000,
) -> uuid.UUID:
    """Write a video that plays, as its rows go, and return its id."""
    video_id = make_id()
    await connection.execute(
        "INSERT INTO videos (id, owner_id, title, status, visibility, playable_at, duration_ms)"
        " VALUES ($1, $2, $3, 'ready', $4, now(), $5)",
        video_id,
        owner_id,
        title,
        visibility,
        duration_ms,
    )
    return video_id
