"""What was begun of a file goes with it: nothing stays of one that was given up or has expired."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping

import pytest

from media.pool import MEDIA_TASKS
from media.pool_worker import Task
from media.vod.head_start import QualityAhead, iter_head_start, look_ahead
from media.vod.records import Progress
from serve_apps.videos.jobs import expire_video, purge_video
from serve_apps.videos.service import terminate_upload
from serve_apps.videos.upload_jobs import HeadStartJob
from storage.objects import ObjectStore
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


def measure(job: QualityAhead, store: ObjectStore) -> Generator[Progress, None, object]:
    yield Progress(job.task_id, 0, 1)
    return look_ahead(job, store)


async def begin_turn(
    world: VideoWorld, film: bytes, share: float, tasks: Mapping[str, Task]
) -> tuple[Arriving, asyncio.Task[HeadStartJob | None]]:
    arriving = Arriving(world, CountingMedia(world.objects, tasks={**MEDIA_TASKS, **tasks}), film)
    await arriving.open()
    await arriving.send(int(len(film) * share))
    return arriving, asyncio.create_task(arriving.turn(HeadStartJob(arriving.video_id)))


@pytest.mark.parametrize(
    ("name", "task", "share", "chunks"),
    [("head_start", iter_head_start, 0.4, 1), ("quality_ahead", measure, 0.6, 0)],
    ids=["a chunk", "its quality"],
)
async def test_a_task_that_runs_while_its_file_is_given_up_is_stopped_and_leaves_nothing(
    world: VideoWorld, film: bytes, name: str, task: Task, share: float, chunks: int
):
    halting = Halting(task)
    arriving, turn = await begin_turn(world, film, share, {name: halting.run})
    assert await asyncio.to_thread(halting.has_begun.wait, 60)
    await give_up(world, arriving)
    await purge_video(world.ports(arriving.media), job_payload(arriving.video_id))
    assert await list_made(world, arriving.video_id) == {}
    async with asyncio.timeout(60):
        await arriving.media.is_stopping.wait()
    halting.may_go_on.set()  # it has the file open, and keeps one more step
    following = await turn
    assert await list_made(world, arriving.video_id) == {}
    assert following is None
    begun = [name for name in arriving.media.started if name.startswith(("first", "rest"))]
    assert len(begun) == chunks, "what waited for a place has not begun"


async def test_a_task_is_stopped_once_the_videos_own_has_begun_and_leaves_nothing_behind_it(
    world: VideoWorld, film: bytes
):
    halting = Halting(iter_head_start)
    arriving, turn = await begin_turn(world, film, 0.4, {"head_start": halting.run})
    assert await asyncio.to_thread(halting.has_begun.wait, 60)
    await arriving.send(len(film))
    await arriving.process()
    assert (await world.get_video(arriving.video_id)).status == "ready"
    made = await list_made(world, arriving.video_id)
    async with asyncio.timeout(60):
        await arriving.media.is_stopping.wait()
    halting.may_go_on.set()  # it has the file open, and keeps one more step
    following = await turn
    assert await list_made(world, arriving.video_id) == made
    assert following is not None
    assert await arriving.turn(following) is None


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
