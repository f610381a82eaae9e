"""What was begun of a file goes with it: nothing stays of one that was given up or has expired."""

from __future__ import annotations

import asyncio

import pytest

from media.pool import MEDIA_TASKS
from media.vod.head_start import iter_head_start
from serve_apps.videos.jobs import expire_video, purge_video
from serve_apps.videos.service import terminate_upload
from serve_apps.videos.upload_jobs import HeadStartJob
from storage.uploads import find_upload
from tests.serve_apps.videos.arriving import (
    Arriving,
    CountingMedia,
    keep_sending,
    list_made,
)
from tests.serve_apps.videos.inline_media import Halting
from tests.serve_apps.videos.video_world import VideoWorld, job_payload

pytestmark = pytest.mark.media


async def give_up(world: VideoWorld, arriving: Arriving) -> None:
    async with world.database.transaction() as connection:
        upload = await find_upload(connection, arriving.upload_id)
        assert upload is not None
        await terminate_upload(connection, upload)


async def test_a_task_that_runs_while_its_file_is_given_up_is_stopped_and_leaves_nothing(
    world: VideoWorld, film: bytes
):
    halting = Halting(iter_head_start)
    media = CountingMedia(world.objects, tasks={**MEDIA_TASKS, "head_start": halting.run})
    arriving = Arriving(world, media, film)
    await arriving.open()
    await arriving.send(int(len(film) * 0.4))
    turn = asyncio.create_task(arriving.turn(HeadStartJob(arriving.video_id)))
    assert await asyncio.to_thread(halting.has_begun.wait, 60)
    await give_up(world, arriving)
    await purge_video(world.ports(media), job_payload(arriving.video_id))
    assert await list_made(world, arriving.video_id) == {}
    async with asyncio.timeout(60):
        await media.is_stopping.wait()
    halting.may_go_on.set()  # it has the file open, and keeps one more step
    following = await turn
    assert await list_made(world, arriving.video_id) == {}
    assert following is None
    chunks = [name for name in media.started if name.startswith(("first", "rest"))]
    assert len(chunks) == 1, "what waited for a place has not begun"


async def test_what_a_dead_runner_left_of_a_file_that_was_given_up_goes_with_the_next_turn(
    world: VideoWorld, arriving: Arriving
):
    job = await keep_sending(arriving, (0.5,))
    assert job is not None
    await give_up(world, arriving)
    assert await list_made(world, arriving.video_id) != {}
    assert await arriving.turn(job) is None
    assert await list_made(world, arriving.video_id) == {}


async def test_what_was_begun_goes_with_an_upload_that_expires(
    world: VideoWorld, arriving: Arriving
):
    job = await keep_sending(arriving, (0.5,))
    assert await list_made(world, arriving.video_id) != {}
    async with world.database.transaction() as connection:
        await connection.execute(
            "UPDATE uploads SET expires_at = now() - interval '1 s' WHERE id = $1",
            arriving.upload_id,
        )
    assert job is not None
    assert await arriving.turn(job) is None
    await expire_video(world.ports(arriving.media), job_payload(arriving.video_id))
    assert await list_made(world, arriving.video_id) == {}
