"""Videos that are begun while their file arrives: turns of the job, real media and rows."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.ids import make_id
from media.vod.head_start import HeadStart
from media.vod.ladder import Rung
from media.vod.records import unfinished_key
from media.vod.task_jobs import ChunkJob
from serve_apps.access.identity import Identity
from serve_apps.access.visibility import Visibility
from serve_apps.edge.socket_answers import check_frame
from serve_apps.videos.head_start import LOOKS_MAX, QUIET_TURNS_MAX
from serve_apps.videos.jobs import process_video
from serve_apps.videos.service import (
    VideoOrder,
    open_upload,
)
from serve_apps.videos.upload_jobs import (
    HEAD_START_JOB,
    HEAD_START_PAUSE_S_MAX,
    HeadStartJob,
    enqueue_head_start,
)
from storage import uploads
from storage.upload_indexes import keep_index
from tests.media.vod.clips import run_ffmpeg
from tests.serve_apps.videos.arriving import Arriving, CountingMedia, keep_sending, list_made
from tests.serve_apps.videos.video_world import VideoWorld, job_payload
from tests.storage.video_rows import create_owner

pytestmark = pytest.mark.media


async def hear(world: VideoWorld, video_id: uuid.UUID) -> dict[str, Any] | None:
    """What somebody is told of the head start who begins to follow the video now."""
    latest = await world.cache.list_latest(f"video:{video_id}")
    told = [message.data for message in latest if message.kind == "video_head_start"]
    assert len(told) == len(latest), "nothing else is said of a video that nobody has begun"
    for data in told:
        check_frame({"type": "video_head_start", "data": data})
    return told[0] if told else None


async def test_a_video_begun_while_its_file_arrived_is_the_one_that_was_begun_behind_it(
    world: VideoWorld, arriving: Arriving, film: bytes
):
    given: dict[str, set[Rung]] = defaultdict(set)

    async def note(_name: str, payload: Any) -> None:
        job = payload.own if isinstance(payload, HeadStart) else payload
        if isinstance(job, ChunkJob):
            given[job.task_id.partition("-")[0]].update(job.rungs)

    arriving.media.before = note
    assert await keep_sending(arriving, (0.4,)) is not None
    assert set(given) == {"first"}, "how fine the others need be is not known"
    job = await keep_sending(arriving, (0.6, 0.8, 0.95))
    assert job is not None
    assert (job.turn, job.quiet_turns, job.looks) == (3, 0, 1)
    assert job.made > 0
    begun = await list_made(world, arriving.video_id)
    await arriving.send(len(film))
    assert await arriving.turn(job) is None, "the file has come"
    await arriving.process()
    other = await world.upload(film)
    usual = CountingMedia(world.objects)
    # Its first half is measured, as that one's was, and nothing else of it is there.
    measured = unfinished_key(str(other), "quality", 0)
    await world.objects.put(measured, begun[measured.removeprefix(f"videos/{other}/")])
    await process_video(world.ports(usual), job_payload(other))
    assert (await world.get_video(arriving.video_id)).status == "ready"
    (rung,) = given["rest"]
    assert rung.coarser > 0, "its first half looks well for less"
    mine, others = await list_made(world, arriving.video_id), await list_made(world, other)
    assert mine == others
    assert not [name for name in mine if "unfinished" in name]
    assert usual.parts == 40, "twenty steps of two sizes"
    assert arriving.media.parts <= 8, "only the end was left to make"


async def test_whoever_follows_the_video_hears_how_much_of_it_is_made(
    world: VideoWorld, arriving: Arriving
):
    assert await hear(world, arriving.video_id) is None
    job: HeadStartJob | None = HeadStartJob(arriving.video_id)
    heard, kept = [], []
    for share in (0.4, None, 0.6, 0.95):
        if share is not None:
            await arriving.send(int(len(arriving.data) * share))
        assert job is not None
        job = await arriving.turn(job)
        told = await hear(world, arriving.video_id)
        assert told is not None
        assert told["reason"] is None
        heard.append(told["progress"])
        kept.append(len(await list_made(world, arriving.video_id)))
    assert 0 < heard[0] == heard[1] < heard[2] < heard[3] < 1
    assert kept[3] <= 40, "twenty steps of two sizes"
    assert [one / kept[3] for one in kept] == pytest.approx(
        [one / heard[3] for one in heard], abs=0.1
    )


CONTAINERS = {
    "fragmented": ("mp4", ("-c", "copy", "-movflags", "frag_keyframe+empty_moov")),
    "late": ("mp4", ("-c", "copy")),
    "sound": ("m4a", ("-vn", "-c", "copy", "-movflags", "+faststart")),
}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("fragmented", "The file does not say ahead how long it is."),
        ("late", "The file's index (moov) has not come yet."),
        ("sound", "Sound alone is encoded when all of it is there."),
    ],
)
async def test_whoever_follows_the_video_hears_why_it_has_not_begun(
    world: VideoWorld, film: bytes, tmp_path: Path, kind: str, reason: str
):
    ending, words = CONTAINERS[kind]
    source, path = tmp_path / "a.mp4", tmp_path / f"b.{ending}"
    source.write_bytes(film)
    run_ffmpeg("-i", source, *words, path)
    arriving = Arriving(world, CountingMedia(world.objects), path.read_bytes())
    await arriving.open()
    job = await keep_sending(arriving, (0.5,))
    assert job is not None
    assert job.looks == 1
    assert await hear(world, arriving.video_id) == {"progress": 0.0, "reason": reason}


async def test_a_reason_is_taken_back_when_more_of_the_file_can_be_read(
    world: VideoWorld, arriving: Arriving
):
    await keep_sending(arriving, (0.001,))
    told = await hear(world, arriving.video_id)
    assert told is not None
    assert told["reason"] == "The file's index (moov) has not come yet."
    await keep_sending(arriving, (0.5,))
    told = await hear(world, arriving.video_id)
    assert told is not None
    assert told["progress"] > 0
    assert told["reason"] is None


async def test_a_file_that_stands_still_is_looked_at_ever_more_seldom_and_then_left(
    world: VideoWorld, arriving: Arriving
):
    job = await keep_sending(arriving, (0.3,))
    quiet = 0
    while job is not None:
        last, job = job, await arriving.turn(job)
        quiet += 1
    assert quiet == QUIET_TURNS_MAX + 1
    assert last.quiet_turns == QUIET_TURNS_MAX
    await enqueue_and_check_pause(world, last)


async def enqueue_and_check_pause(world: VideoWorld, job: HeadStartJob) -> None:
    async with world.database.transaction() as connection:
        await enqueue_head_start(connection, job)
        pause_s = await connection.fetchval(
            """SELECT extract(epoch FROM execute_after - now())::float FROM pgqueuer
                WHERE entrypoint = $1""",
            HEAD_START_JOB,
        )
    assert pause_s == pytest.approx(HEAD_START_PAUSE_S_MAX, abs=10)


async def test_a_file_whose_index_comes_last_is_given_up_after_some_looks(
    world: VideoWorld, film: bytes, tmp_path: Path
):
    (tmp_path / "a.mp4").write_bytes(film)
    run_ffmpeg("-i", tmp_path / "a.mp4", "-c", "copy", tmp_path / "b.mp4")
    arriving = Arriving(world, CountingMedia(world.objects), (tmp_path / "b.mp4").read_bytes())
    await arriving.open()
    assert LOOKS_MAX == 5
    assert await keep_sending(arriving, (0.03, 0.04, 0.07, 0.15, 0.4, 0.85)) is None
    assert arriving.media.started == ["probe"] * LOOKS_MAX
    assert await list_made(world, arriving.video_id) == {}


@pytest.mark.parametrize("is_true", [True, False])
async def test_an_index_sent_ahead_counts_when_it_was_the_files_own(
    world: VideoWorld, film: bytes, tmp_path: Path, is_true: bool
):
    (tmp_path / "a.mp4").write_bytes(film)
    run_ffmpeg("-i", tmp_path / "a.mp4", "-c", "copy", tmp_path / "b.mp4")
    data = (tmp_path / "b.mp4").read_bytes()
    at = data.rindex(b"moov") - 4
    arriving = Arriving(world, CountingMedia(world.objects), data)
    await arriving.open()
    await keep_index(world.objects, arriving.upload_id, at, data[at:])
    assert await keep_sending(arriving, (0.5, 0.9)) is not None
    if not is_true:
        arriving.data = data[:-1] + bytes([data[-1] ^ 1])
    await arriving.send(len(data))
    await arriving.process()
    assert (await world.get_video(arriving.video_id)).status == "ready"
    assert (arriving.media.parts <= 8) == is_true
    assert arriving.media.parts <= 40
    assert not [name for name in await list_made(world, arriving.video_id) if "unfin" in name]


async def test_a_file_that_lies_in_pieces_has_no_head_start(world: VideoWorld, film: bytes):
    arriving = Arriving(world, CountingMedia(world.objects), film)
    await arriving.open()
    lock_owner, half = make_id(), len(film) // 2
    parts = [uploads.UploadPart(0, half), uploads.UploadPart(half, half // 2)]
    async with world.database.transaction() as connection:
        assert await uploads.lock_upload(connection, arriving.upload_id, lock_owner, 10)
        terms = uploads.LockTerms(lock_owner, None, 3600)
        await uploads.insert_parts(connection, arriving.upload_id, terms, parts)
    assert await arriving.turn(HeadStartJob(arriving.video_id)) is None
    assert arriving.media.started == []


async def test_what_was_begun_goes_with_a_file_that_is_refused_as_a_duplicate(
    world: VideoWorld, arriving: Arriving, film: bytes
):
    first = await world.upload(film)
    await process_video(world.ports(CountingMedia(world.objects)), job_payload(first))
    await arriving.open((await world.get_video(first)).owner_id)
    await keep_sending(arriving, (0.6,))
    assert await list_made(world, arriving.video_id) != {}
    await arriving.send(len(film))
    await arriving.process()
    video = await world.get_video(arriving.video_id)
    assert (video.status, video.error_code) == ("failed", "video_duplicate")
    assert await list_made(world, arriving.video_id) == {}


@pytest.mark.parametrize(("is_on", "queued"), [(True, 1), (False, 0)])
async def test_the_job_is_queued_with_a_large_upload_where_the_site_wants_it(
    world: VideoWorld, is_on: bool, queued: int
):
    processing = replace(world.settings.processing, head_start=is_on)
    settings = replace(world.settings, processing=processing)
    order = VideoOrder("A", "a.mp4", settings.uploads.piece_bytes + 1, "", Visibility.PUBLIC)
    async with world.database.transaction() as connection:
        owner_id = await create_owner(connection, "ada")
        owner = Identity(owner_id, make_id(), "ada")
        small = replace(order, size_bytes=settings.uploads.piece_bytes)
        for wanted in (order, small):
            await open_upload(connection, settings, owner, wanted)
        jobs = await connection.fetchval(
            "SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", HEAD_START_JOB
        )
    assert jobs == queued
