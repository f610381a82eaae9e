"""Finer pictures wait until the quality task has said how fine they are to be."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import orjson
import pytest

from media.vod.info import decode_json
from media.vod.ladder import Rung
from media.vod.plan import TranscodePlan
from media.vod.task_jobs import ChunkJob, QualityJob
from serve_apps.videos.jobs import process_video
from storage import video_plans
from tests.media.vod.clips import run_ffmpeg
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld, job_payload

pytestmark = pytest.mark.media


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A grid that stands still for 26 s: it looks well however coarse it is."""
    path = tmp_path_factory.mktemp("still") / "still.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=c=gray:s=480x320:r=5,drawgrid=w=16:h=12:t=1:c=white@0.3"),
        *("-t", "26", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-g", "10", path),
    )
    return path.read_bytes()


async def get_rungs(world: VideoWorld, video_id: uuid.UUID) -> dict[str, Rung]:
    async with world.database.connection() as connection:
        stored = await video_plans.find_plan(connection, video_id)
    plan = decode_json(orjson.dumps(stored), TranscodePlan)
    return {rung.name: rung for group in plan.groups for rung in group.rungs}


async def test_finer_pictures_wait_for_the_quality_task_and_are_made_as_it_says(
    world: VideoWorld, still: bytes
):
    looked = asyncio.Event()
    given: dict[str, tuple[bool, tuple[Rung, ...]]] = {}

    async def note(_name: str, payload: Any) -> None:
        if isinstance(payload, ChunkJob):
            given[payload.task_id] = looked.is_set(), payload.rungs
        if isinstance(payload, QualityJob):
            # The other place is free meanwhile, and takes what waits for nothing.
            while "first-00000" not in given:
                await asyncio.sleep(0.01)
            looked.set()

    video_id = await world.upload(still)
    media = InlineMedia(world.objects, before=note)
    await process_video(world.ports(media, slots=2), job_payload(video_id))
    assert (await world.get_video(video_id)).status == "ready"
    assert given["rest-00000"][0]
    (rung,) = given["rest-00000"][1]
    assert (rung.name, rung.coarser) == ("320p", 6)
    rungs = await get_rungs(world, video_id)
    assert {name: it.coarser for name, it in rungs.items()} == {"240p": 0, "320p": 6}


async def test_another_runner_goes_on_with_what_the_quality_task_said(
    world: VideoWorld, still: bytes
):
    began = asyncio.Event()

    async def hold(_name: str, payload: Any) -> None:
        if getattr(payload, "task_id", "") == "rest-00000":
            began.set()
            await asyncio.Event().wait()

    video_id = await world.upload(still)
    media = InlineMedia(world.objects, before=hold)
    first = asyncio.create_task(process_video(world.ports(media), job_payload(video_id)))
    await began.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    seen: list[Any] = []

    async def note(_name: str, payload: Any) -> None:
        seen.append(payload)

    media = InlineMedia(world.objects, before=note)
    await process_video(world.ports(media), job_payload(video_id))
    assert (await world.get_video(video_id)).status == "ready"
    assert "quality" not in media.started
    chunks = {job.task_id: job for job in seen if isinstance(job, ChunkJob)}
    assert [rung.coarser for rung in chunks["rest-00000"].rungs] == [6]
