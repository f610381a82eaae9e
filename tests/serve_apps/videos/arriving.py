"""Files that arrive as the edge writes them, for tests of videos that are begun meanwhile."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from actors.job_runner.media_queue import OnProgress
from kit.setting_sections import UploadSettings
from media.vod.records import Progress
from serve_apps.videos.head_start import run_head_start
from serve_apps.videos.jobs import process_video
from serve_apps.videos.service import finish_upload
from serve_apps.videos.upload_jobs import HEAD_START_JOB, HeadStartJob
from storage.upload_holds import UploadHold
from storage.uploads import find_upload
from tests.media.vod.clips import run_ffmpeg
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld, job_payload
from tests.storage.video_rows import create_owner, create_upload_row, create_video_row

LIMITS = UploadSettings(piece_bytes=32 << 10)


def make_film(path: Path) -> bytes:
    """Forty seconds of two sizes, ten segments: two chunks at least; its index comes first. The
    picture moves little in its first half and much behind it.
    """
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=480x320:rate=5:duration=40"),
        *("-f", "lavfi", "-i", "sine=frequency=440:duration=40"),
        *("-vf", "noise=alls=40:allf=t:enable='gte(t,20)'"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-pix_fmt", "yuv420p"),
        *("-b:v", "600k", "-minrate", "600k", "-maxrate", "600k", "-bufsize", "600k"),
        *("-c:a", "aac", "-movflags", "+faststart", path),
    )
    return path.read_bytes()


class CountingMedia(InlineMedia):
    """Counts what the tasks of chunks encode, behind what they find."""

    parts = 0

    async def run(
        self, task_name: str, payload: Any, *, on_progress: OnProgress | None = None
    ) -> Any:
        def count(progress: Progress) -> None:
            self.parts += task_name == "chunk"
            if on_progress is not None:
                on_progress(progress)

        return await super().run(task_name, payload, on_progress=count)


class Arriving:
    """An upload in its client's hands, written as the edge writes it."""

    def __init__(self, world: VideoWorld, media: CountingMedia, data: bytes) -> None:
        self.world = world
        self.media = media
        self.data = data
        self.video_id = self.upload_id = uuid.UUID(int=0)

    async def open(self, owner_id: uuid.UUID | None = None) -> None:
        database = self.world.database
        async with database.transaction() as connection:
            owner_id = owner_id or await create_owner(connection, f"u{uuid.uuid4().hex[:8]}")
            self.video_id = await create_video_row(connection, owner_id)
            self.upload_id = await create_upload_row(
                connection, self.video_id, owner_id, len(self.data)
            )

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[UploadHold]:
        async with self.world.database.connection() as connection:
            found = await find_upload(connection, self.upload_id)
        assert found is not None
        hold = await UploadHold.open(
            self.world.database, self.world.objects, found, ttl_s=10, limits=LIMITS
        )
        try:
            yield hold
        finally:
            await hold.close()

    async def send(self, stop: int) -> None:
        """Have the bytes up to here acknowledged; with the last one the upload ends."""
        async with self.hold() as hold:
            start = hold.upload.offset_bytes
            parts = await hold.sink.add(self.data[start:stop]) + await hold.sink.flush()
            await hold.acknowledge(parts, is_last=False)
            if stop == len(self.data):
                async with self.world.database.transaction() as connection:
                    await finish_upload(connection, hold.upload)
                hold.has_ended()

    async def turn(self, job: HeadStartJob) -> HeadStartJob | None:
        """Run one turn; return what the next one is to be given."""
        await run_head_start(self.world.ports(self.media, slots=2), msgspec.json.encode(job))
        async with self.world.database.transaction() as connection:
            payload = await connection.fetchval(
                "DELETE FROM pgqueuer WHERE entrypoint = $1 RETURNING payload", HEAD_START_JOB
            )
        return None if payload is None else msgspec.json.decode(payload, type=HeadStartJob)

    async def process(self) -> None:
        await process_video(self.world.ports(self.media, slots=2), job_payload(self.video_id))


async def list_made(world: VideoWorld, video_id: uuid.UUID) -> dict[str, bytes]:
    """What is stored of a video, its source and pictures apart."""
    found = {}
    prefix = f"videos/{video_id}"
    for entry in await world.objects.list(prefix):
        name = entry.key.removeprefix(f"{prefix}/")
        if name.endswith((".m4s", ".mp4")) or "unfinished" in name:
            found[name] = await world.objects.get(entry.key)
    return found


async def keep_sending(arriving: Arriving, shares: tuple[float, ...]) -> HeadStartJob | None:
    """Send up to each share of the file, a turn of the job behind each."""
    job: HeadStartJob | None = HeadStartJob(arriving.video_id)
    for share in shares:
        await arriving.send(int(len(arriving.data) * share))
        assert job is not None, "the turn before saw no reason for another"
        job = await arriving.turn(job)
    return job
