"""A live that has ended with stored segments, and the jobs that follow its end."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import av
import httpx
import msgspec

from actors.job_runner.media_queue import MediaQueue
from actors.job_runner.runner import JobRunner, RunnerOptions
from kit.events import Event, EventName
from kit.ids import make_id
from kit.settings import Settings
from media.cmaf import Sample, build_fragment
from media.live.fragments import AUDIO, VIDEO, make_audio_init, make_video_init
from media.live.packets import OPUS_FORMAT, OPUS_SILENCE
from media.live.samples import VIDEO_TIMESCALE, VideoFormat
from serve_apps.http.state import ApiPorts
from serve_apps.live.jobs import HANDLERS, keep_or_forget
from serve_apps.runners import HANDLERS as ALL_HANDLERS
from serve_apps.videos.recorded_renditions import AAC, RUNGS
from storage.database import Connection
from storage.live_segments import (
    StoredSegment,
    StoredTrack,
    insert_segment,
    make_live_key,
    open_origin,
)
from storage.objects import ObjectStore
from storage.recordings import Further
from tests.serve_apps.api_client import Person
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld

SECONDS = 2
FAST = RunnerOptions(poll_every_s=0.2, retry_first_s=0.1)
MOMENT = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)


def encode_picture(width: int, height: int) -> tuple[VideoFormat, bytes]:
    """One keyframe of a test picture: its format, its sample."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.options = {"x264-params": "annexb=0:bframes=0:rc-lookahead=0"}
    encoder.flags |= av.codec.context.Flags.global_header
    with av.open(f"testsrc2=size={width}x{height}:rate=30", format="lavfi") as source:
        frame = next(source.decode(video=0)).reformat(format="yuv420p")
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return VideoFormat(width, height, bytes(encoder.extradata)), bytes(packets[0])


async def store_segments(
    connection: Connection,
    objects: ObjectStore,
    live_id: uuid.UUID,
    count: int,
    size: tuple[int, int] = (320, 180),
) -> None:
    """Store and list what a publisher's edge would: real pictures, silence."""
    await connection.execute(
        "UPDATE lives SET status = 'live', origin_gen = 1, origin = $2 WHERE id = $1",
        live_id,
        {"session": "s"},
    )
    assert await open_origin(connection, live_id, "s") == 1
    video, picture = encode_picture(*size)
    inits = {VIDEO: make_video_init(0, video), AUDIO: make_audio_init(0, OPUS_FORMAT)}
    samples = {
        VIDEO: [Sample(picture, SECONDS * VIDEO_TIMESCALE)],
        AUDIO: [Sample(OPUS_SILENCE, 960)] * (SECONDS * 50),
    }
    for number in range(count):
        tracks = {}
        for track, init in inits.items():
            start = number * SECONDS * init.timescale
            data = build_fragment(
                samples[track], number=number, base_ticks=start, is_video=track == VIDEO
            )
            await objects.put(make_live_key(live_id, 1, track, init.name), init.data)
            await objects.put(make_live_key(live_id, 1, track, f"{number}.m4s"), data)
            ticks = SECONDS * init.timescale
            tracks[track] = StoredTrack(
                init.name, init.codec, init.timescale, start, ticks, len(data), init.width,
                init.height, init.channels, len(data) if track == VIDEO else 0,
            )  # fmt: skip
        moment = MOMENT + timedelta(seconds=number * SECONDS)
        row = StoredSegment(live_id, number, 1, moment, SECONDS * 1000, False, tracks)
        assert await insert_segment(connection, row)


class Ended:
    """A live of Ada's with stored segments, and the jobs that follow its end."""

    def __init__(
        self, ada: Person, ports: ApiPorts, settings: Settings, client: httpx.AsyncClient
    ) -> None:
        self.ada, self.ports, self.client = ada, ports, client
        world = VideoWorld(settings, ports.database, ports.cache, ports.objects)
        self.jobs = world.ports(InlineMedia(ports.objects))
        self.event_id = make_id()
        self.size = (320, 180)
        """Of the picture that is sent."""

    async def announce(self, count: int, **body: object) -> uuid.UUID:
        live = await self.ada.post("/v1/live", {"title": "Night drive", **body}, status=201)
        live_id = uuid.UUID(live["id"])
        async with self.ports.database.transaction() as connection:
            await store_segments(connection, self.ports.objects, live_id, count, self.size)
        return live_id

    async def end(self, live_id: uuid.UUID) -> None:
        """Write the end as the room does, and hear of it twice."""
        await self.write_end(live_id)
        await self.hear_end(live_id)
        await self.hear_end(live_id)

    async def write_end(self, live_id: uuid.UUID) -> None:
        async with self.ports.database.connection() as connection:
            await connection.execute("UPDATE lives SET status = 'ended' WHERE id = $1", live_id)
            await connection.execute("UPDATE live_origins SET closed_at = now()")

    async def hear_end(self, live_id: uuid.UUID) -> None:
        event = Event(self.event_id, EventName.STREAM_ENDED, live_id, None, {}, MOMENT)
        await keep_or_forget(self.jobs, event)

    async def run(self, job: str, payload: msgspec.Struct) -> None:
        spec = HANDLERS[job]
        await spec.handle(self.jobs, msgspec.json.encode(payload))

    async def run_aac(self, video_id: str) -> None:
        await AAC.make(self.jobs, msgspec.json.encode({"video_id": video_id}))

    async def run_rungs(self, video_id: str, ladder: Sequence[str]) -> None:
        payload = {"video_id": video_id, "ladder": ladder}
        await RUNGS.make(self.jobs, msgspec.json.encode(payload))

    @asynccontextmanager
    async def runner(self, media: InlineMedia) -> AsyncIterator[JobRunner]:
        """Run jobs as a runner does; what is in work at the end is given up."""
        ports = dataclasses.replace(self.jobs, media=MediaQueue(media, 2))
        runner = JobRunner(ports, ALL_HANDLERS, {}, FAST)
        await runner.start()
        try:
            yield runner
        finally:
            await runner.drain(1.0)

    async def wait_until(self, video_id: str, status: str) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while (video := await self.ada.get(f"/v1/videos/{video_id}"))["status"] != status:
                await asyncio.sleep(0.05)
        return video

    async def wait_until_made(
        self, video_id: str, what: Further = Further.AAC, end: str = "made"
    ) -> None:
        """Return once its job has ended like that; players then find it within a second."""
        async with asyncio.timeout(60):
            while await self.find_state(video_id, what) == "making":
                await asyncio.sleep(0.05)
        assert await self.find_state(video_id, what) == end

    async def find_state(self, video_id: str, what: Further) -> str | None:
        async with self.ports.database.connection() as connection:
            state: str | None = await connection.fetchval(
                f"SELECT {what} FROM recordings WHERE video_id = $1",
                uuid.UUID(video_id),
            )
        return state

    async def count_bytes(self, video_id: str) -> int | None:
        """What the video takes of its owner's quota."""
        async with self.ports.database.connection() as connection:
            counted: int | None = await connection.fetchval(
                "SELECT source_bytes FROM videos WHERE id = $1", uuid.UUID(video_id)
            )
        return counted

    async def list_bytes(self, video_id: str) -> list[str]:
        return [entry.key for entry in await self.ports.objects.list(f"videos/{video_id}")]
