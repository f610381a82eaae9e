"""The runner's shell with the real media pool: a killed worker costs no piece an attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from actors.job_runner.shell import JobRunnerShell
from kit.setting_sections import ObjectSettings
from serve_apps.videos.jobs import HANDLERS
from storage import video_chunks
from storage.objects import ObjectStore
from tests.ray_node import lend_ray
from tests.serve_apps.videos.video_world import VideoWorld, make_clip

pytestmark = [pytest.mark.ray, pytest.mark.beside, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def ray_node() -> Iterator[None]:
    with lend_ray(media=1):
        yield


async def kill_worker_of(task_name: str) -> None:
    """End the process that runs a task of this name, as soon as there is one."""
    async with asyncio.timeout(90):
        while True:
            for process in psutil.Process().children(recursive=True):
                try:
                    if f"media:{task_name}" in " ".join(process.cmdline()):
                        process.kill()
                        return
                except psutil.NoSuchProcess:
                    continue
            await asyncio.sleep(0.05)


async def test_a_killed_media_worker_costs_no_piece_an_attempt(
    ray_node: None, world: VideoWorld, tmp_path: Path
):
    store = tmp_path / "objects"
    settings = replace(world.settings, objects=ObjectSettings(url=f"file://{store}"))
    world = VideoWorld(settings, world.database, world.cache, ObjectStore.open(f"file://{store}"))
    clip = make_clip(tmp_path / "long.mp4", size="640x480", length_s=36, fps=10)
    video_id = await world.upload(clip.read_bytes())
    shell = JobRunnerShell(HANDLERS, {}, settings)
    await shell.start()
    await shell.start()
    killer = asyncio.create_task(kill_worker_of("chunk"))
    async with asyncio.timeout(150):
        await killer
        while (await world.get_video(video_id)).status in ("queued", "processing"):
            await asyncio.sleep(0.1)
    assert (await world.get_video(video_id)).status == "ready"
    async with world.database.connection() as connection:
        chunks = await video_chunks.list_chunks(connection, video_id)
    assert sum(chunk.attempts for chunk in chunks) == 0
    assert sum(chunk.losses for chunk in chunks) == 1
    assert await world.objects.list(f"videos/{video_id}/unfinished") == []
    described = shell.describe()
    assert described["healthy"]
    await shell.drain(5.0)
    assert shell.describe()["healthy"] is False
