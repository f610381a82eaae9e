"""A GPU's worker goes away while a video is made: what it did not finish is made without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.clock import SystemClock
from media.pool import MediaWorkerLost
from media.vod.task_jobs import ChunkJob
from serve_apps.videos.jobs import process_video
from serve_apps.videos.recipes import is_gpu_wanted
from storage import video_chunks
from tests.serve_apps.edge.playback_client import serve_playback
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld, job_payload, make_clip

pytestmark = pytest.mark.media


def want_gpu(world: VideoWorld) -> VideoWorld:
    processing = replace(world.settings.processing, nvenc="auto")
    settings = replace(world.settings, processing=processing)
    return VideoWorld(settings, world.database, world.cache, world.objects)


async def test_a_gpu_that_goes_away_leaves_its_rungs_to_x264_under_other_names(
    world: VideoWorld, tmp_path: Path
):
    world = want_gpu(world)
    clip = make_clip(tmp_path / "clip.mp4", size="960x540", length_s=5)
    video_id = await world.upload(clip.read_bytes())

    async def lose_gpu(_name: str, payload: Any) -> None:
        if isinstance(payload, ChunkJob) and any(rung.encoder for rung in payload.rungs):
            ports.media.nvenc_slots = 0  # as the next count finds
            raise MediaWorkerLost

    media = InlineMedia(world.objects, before=lose_gpu)
    ports = world.ports(media)
    ports.media.nvenc_slots = 2
    await process_video(ports, job_payload(video_id))
    assert (await world.get_video(video_id)).status == "ready"
    assert media.started.count("gpu-00000") == 1
    assert "rest-x264-00000" in media.started
    async with world.database.connection() as connection:
        chunks = await video_chunks.list_chunks(connection, video_id)
    assert {chunk.state for chunk in chunks} == {"done"}
    assert "gpu-00000" not in {chunk.name for chunk in chunks}
    async with serve_playback(
        world.settings, world.database, world.objects, SystemClock()
    ) as player:
        renditions = await player.list_renditions(f"/v/{video_id}/master.m3u8")
    assert "540p-x264.m3u8" in renditions
    assert "540p.m3u8" not in renditions


@pytest.mark.parametrize(
    ("setting", "slots", "is_used"),
    [("auto", 2, True), ("auto", 0, False), ("auto", None, False), ("off", 2, False)],
)
async def test_a_gpu_is_planned_for_where_it_is_wanted_and_there(
    world: VideoWorld, setting: str, slots: int | None, is_used: bool
):
    processing = replace(world.settings.processing, nvenc=setting)
    settings = replace(world.settings, processing=processing)
    ports = replace(world.ports(InlineMedia(world.objects)), settings=settings)
    ports.media.nvenc_slots = slots
    assert is_gpu_wanted(ports) is is_used
