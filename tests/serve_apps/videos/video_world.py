"""Uploaded videos and the ports that process them, for tests of jobs and playback."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import msgspec

from actors.job_runner.media_queue import MediaQueue, MediaRunner
from actors.job_runner.ports import JobPorts
from kit.clock import SystemClock
from kit.ids import make_id
from kit.settings import Settings
from serve_apps.videos.service import VideoJob, finish_upload
from storage import uploads, videos
from storage.cache import Cache
from storage.database import Database
from storage.objects import ObjectStore
from storage.videos import Video
from tests.actors.user_session.people import HeardPeople
from tests.media.vod.clips import run_ffmpeg
from tests.storage.video_rows import create_owner, create_upload_row, create_video_row

PIECE_BYTES = 16 << 10


def make_clip(path: Path, *, size: str = "480x320", length_s: int = 9, fps: int = 5) -> Path:
    """Render a moving test picture with a tone; 480x320 gives two rungs, 240 and 320."""
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={fps}:duration={length_s}"),
        *("-f", "lavfi", "-i", f"sine=frequency=440:duration={length_s}"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
        *("-c:a", "aac", "-shortest", path),
    )
    return path


class VideoWorld:
    """The storage of one test, the ports on it, and short ways to ask it things."""

    def __init__(
        self, settings: Settings, database: Database, cache: Cache, objects: ObjectStore
    ) -> None:
        self.settings = settings
        self.database = database
        self.cache = cache
        self.objects = objects

    def ports(self, media: MediaRunner, slots: int = 1) -> JobPorts:
        return JobPorts(
            settings=self.settings,
            database=self.database,
            cache=self.cache,
            objects=self.objects,
            media=MediaQueue(media, slots),
            clock=SystemClock(),
            people=HeardPeople(),
        )

    async def upload(
        self, data: bytes, *, visibility: str = "public", owner_id: uuid.UUID | None = None
    ) -> uuid.UUID:
        """Store a whole upload in pieces, as the edge does, and queue its video."""
        lock_owner = make_id()
        async with self.database.transaction() as connection:
            owner_id = owner_id or await create_owner(connection, f"u{uuid.uuid4().hex[:8]}")
            video_id = await create_video_row(connection, owner_id, visibility=visibility)
            upload_id = await create_upload_row(connection, video_id, owner_id, len(data))
        parts = []
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES]
            await self.objects.put(uploads.make_part_key(upload_id, start), piece)
            parts.append(uploads.UploadPart(start, len(piece)))
        async with self.database.transaction() as connection:
            upload = await uploads.lock_upload(connection, upload_id, lock_owner, 10)
            assert upload is not None
            terms = uploads.LockTerms(lock_owner, 10, 3600)
            await uploads.insert_parts(connection, upload_id, terms, parts)
            await finish_upload(connection, upload)
        return video_id

    async def get_video(self, video_id: uuid.UUID) -> Video:
        async with self.database.connection() as connection:
            video = await videos.find_video(connection, video_id)
        assert video is not None
        return video

    async def list_events(self, video_id: uuid.UUID) -> list[str]:
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT name FROM events WHERE subject_id = $1 ORDER BY id", video_id
            )
        return [row["name"] for row in rows]


def job_payload(video_id: uuid.UUID) -> bytes:
    return msgspec.json.encode(VideoJob(video_id))


async def probe(data: bytes, path: Path) -> dict[str, Any]:
    """Write a file and return what ffprobe says of it."""
    path.write_bytes(data)
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json"]
    child = await asyncio.create_subprocess_exec(
        *command, str(path), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    assert child.returncode == 0
    found: dict[str, Any] = json.loads(output)
    return found
