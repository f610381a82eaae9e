"""From an upload to a playing video: real media, real rows, the tasks run in threads."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.job_runner.runner import JobRunner, RunnerOptions
from kit.clock import SystemClock
from kit.ids import make_id
from media.pool import MediaWorkerLost
from serve_apps.access.identity import Identity
from serve_apps.videos.attempts import LOSSES_MAX
from serve_apps.videos.jobs import HANDLERS, process_video
from serve_apps.videos.processing_rules import (
    VideoNotInWork,
    VideoNotRetryable,
    cancel_processing,
    retry_processing,
)
from serve_apps.videos.service import PROCESS_JOB
from storage import video_chunks, videos
from storage.objects import ObjectStoreFailed
from storage.video_chunks import VideoChunk
from tests.media.vod.clips import run_ffmpeg
from tests.serve_apps.edge.playback_client import Player, check_conditions, serve_playback
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld, job_payload, probe

pytestmark = pytest.mark.media

EVENTS_OF_A_GOOD_LIFE = ["video.uploaded", "video.processing", "video.processed", "video.published"]
FAST = RunnerOptions(poll_every_s=0.2, retry_first_s=0.1)


@asynccontextmanager
async def play(world: VideoWorld) -> AsyncIterator[Player]:
    async with serve_playback(
        world.settings, world.database, world.objects, SystemClock()
    ) as player:
        yield player


async def list_chunks(world: VideoWorld, video_id: uuid.UUID) -> list[VideoChunk]:
    async with world.database.connection() as connection:
        return await video_chunks.list_chunks(connection, video_id)


async def wait_for_status(world: VideoWorld, video_id: uuid.UUID, status: str) -> None:
    async with asyncio.timeout(60):
        while (await world.get_video(video_id)).status != status:
            await asyncio.sleep(0.05)


async def test_an_upload_becomes_a_video_whose_every_rendition_plays(
    world: VideoWorld, clip: bytes, tmp_path: Path
):
    video_id = await world.upload(clip)
    await process_video(world.ports(InlineMedia(world.objects)), job_payload(video_id))
    video = await world.get_video(video_id)
    assert (video.status, video.progress, video.width, video.height) == ("ready", 1.0, 480, 320)
    assert video.duration_ms == pytest.approx(9000, abs=150)
    assert await world.list_events(video_id) == EVENTS_OF_A_GOOD_LIFE
    async with play(world) as player:
        renditions = await player.list_renditions(f"/v/{video_id}/master.m3u8")
        assert set(renditions) == {"240p.m3u8", "320p.m3u8", "audio.m3u8"}
        for name, address in renditions.items():
            found = await probe(await player.fetch_rendition(address), tmp_path / "whole.mp4")
            (stream,) = found["streams"]
            assert float(found["format"]["duration"]) == pytest.approx(9.0, abs=0.2)
            expected = {"240p.m3u8": ("h264", 240), "320p.m3u8": ("h264", 320)}
            assert (stream["codec_name"], stream.get("height")) == expected.get(name, ("aac", None))
        thumbnail = await player.get(f"/v/{video_id}/thumbnail.jpg")
        await check_other_ways(player, f"/v/{video_id}", tmp_path)
        assert (await player.get(f"/v/{video_id}/thumbnails/0.jpg")).body[:2] == b"\xff\xd8"
        preview = await player.get(f"/v/{video_id}/preview.mp4")
        assert (preview.headers["content-type"], preview.body[4:8]) == ("video/mp4", b"ftyp")
        for name in ("99.jpg", "00.jpg", "0.png", "thumbnail.jpg"):
            assert (await player.get(f"/v/{video_id}/thumbnails/{name}")).status == 404
    assert thumbnail.headers["Content-Type"] == "image/jpeg"
    assert thumbnail.body[:2] == b"\xff\xd8"


async def test_sound_alone_becomes_something_that_plays(world: VideoWorld, tmp_path: Path):
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=5", tmp_path / "a.mp3")
    video_id = await world.upload((tmp_path / "a.mp3").read_bytes())
    await process_video(world.ports(InlineMedia(world.objects)), job_payload(video_id))
    video = await world.get_video(video_id)
    assert (video.status, video.width, video.thumbnail_key) == ("ready", None, None)
    base = f"/v/{video_id}"
    async with play(world) as player:
        assert set(await player.list_renditions(f"{base}/master.m3u8")) == {"audio.m3u8"}
        waveform = await player.get(f"{base}/waveform.json")
        assert waveform.headers["Content-Type"].startswith("application/json")
        assert max(json.loads(waveform.text)["peaks"]) > 5
        whole = await player.get(f"{base}/download/best.mp4")
        found = await probe(whole.body, tmp_path / "best.mp4")
        assert [stream["codec_name"] for stream in found["streams"]] == ["aac"]
        for name in ("thumbnail.jpg", "storyboard.vtt", "storyboard/00000.jpg"):
            assert (await player.get(f"{base}/{name}")).status == 404


async def check_other_ways(player: Player, base: str, folder: Path) -> None:
    """DASH, the pictures for scrubbing, and one file, whole and in ranges."""
    manifest = await player.get(f"{base}/manifest.mpd")
    assert manifest.headers["Content-Type"].startswith("application/dash+xml")
    assert "320p/$Number%05d$.m4s" in manifest.text
    assert "storyboard/00000.jpg#xywh=" in (await player.get(f"{base}/storyboard.vtt")).text
    assert (await player.get(f"{base}/storyboard/00000.jpg")).body[:2] == b"\xff\xd8"
    assert (await player.get(f"{base}/storyboard/00001.jpg")).status == 404
    whole = await check_conditions(player, f"{base}/download/best.mp4")
    assert whole.headers["Content-Disposition"].startswith("attachment")
    found = await probe(whole.body, folder / "best.mp4")
    assert [stream.get("height") for stream in found["streams"]] == [320, None]
    assert (await player.get(f"{base}/download/240p.mp4")).status == 200
    assert (await player.get(f"{base}/download/best.mp4", Range="bytes=999999999-")).status == 416
    for name in ("720p.mp4", "audio.mp4", "best.mkv", "best"):
        assert (await player.get(f"{base}/download/{name}")).status == 404


async def test_a_file_that_plays_too_long_fails_and_says_how_long_it_may(
    world: VideoWorld, clip: bytes
):
    limits = replace(world.settings.uploads, duration_s_max=5)
    world.settings = replace(world.settings, uploads=limits)
    video_id = await world.upload(clip)
    media = InlineMedia(world.objects)
    await process_video(world.ports(media), job_payload(video_id))
    video = await world.get_video(video_id)
    assert (video.status, video.error_code) == ("failed", "media_unreadable")
    assert video.error_message == "The video is longer than 5 seconds."
    assert media.started == ["take_in"]


async def test_the_source_is_assembled_hashed_and_its_parts_are_removed(
    world: VideoWorld, clip: bytes
):
    video_id = await world.upload(clip)
    ports = world.ports(InlineMedia(world.objects), slots=2)
    await process_video(ports, job_payload(video_id))
    async with world.database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT source_key, encode(source_sha256, 'hex') AS sha256, source_bytes,"
            " encode(sha256($2), 'hex') AS expected FROM videos WHERE id = $1",
            video_id,
            clip,
        )
    assert row is not None
    assert row["sha256"] == row["expected"]
    assert row["source_bytes"] == len(clip)
    assert await world.objects.get(row["source_key"]) == clip
    assert await world.objects.list("uploads") == []


async def test_the_same_file_again_is_said_to_be_that_and_taken_when_asked(
    world: VideoWorld, clip: bytes
):
    first_id = await world.upload(clip)
    await process_video(world.ports(InlineMedia(world.objects)), job_payload(first_id))
    owner_id = (await world.get_video(first_id)).owner_id
    media = InlineMedia(world.objects)
    again_id = await world.upload(clip, owner_id=owner_id)
    await process_video(world.ports(media), job_payload(again_id))
    again = await world.get_video(again_id)
    assert (again.status, again.error_code) == ("failed", "video_duplicate")
    assert "A walk" in (again.error_message or "")
    assert media.started == ["take_in"]
    async with world.database.transaction() as connection:
        await connection.execute("DELETE FROM pgqueuer")  # its job ended outside a runner
        await retry_processing(connection, Identity(owner_id, make_id(), "ada"), again_id)
    await process_video(world.ports(media), job_payload(again_id))
    assert (await world.get_video(again_id)).status == "ready"


async def test_running_the_job_again_changes_nothing(world: VideoWorld, clip: bytes):
    video_id = await world.upload(clip)
    media = InlineMedia(world.objects)
    ports = world.ports(media)
    await process_video(ports, job_payload(video_id))
    before = (await world.get_video(video_id), await list_chunks(world, video_id))
    await process_video(ports, job_payload(video_id))
    assert (await world.get_video(video_id), await list_chunks(world, video_id)) == before
    assert await world.list_events(video_id) == EVENTS_OF_A_GOOD_LIFE
    assert max(Counter(media.started).values()) == 1


@pytest.mark.parametrize("damage", ["noise", "cut"])
async def test_a_file_that_is_no_video_ends_as_failed_with_the_reason(
    world: VideoWorld, clip: bytes, damage: str
):
    video_id = await world.upload(b"no video at all " * 500 if damage == "noise" else clip[:5000])
    await process_video(world.ports(InlineMedia(world.objects)), job_payload(video_id))
    video = await world.get_video(video_id)
    assert (video.status, video.error_code) == ("failed", "media_unreadable")
    assert video.error_message
    assert await world.list_events(video_id) == [*EVENTS_OF_A_GOOD_LIFE[:2], "video.failed"]
    latest = await world.cache.list_latest(f"video:{video_id}")
    assert latest[-1].data["status"] == "failed"
    assert latest[-1].data["error"]["message"] == video.error_message


async def test_a_lost_worker_is_no_failure_of_its_piece(world: VideoWorld, clip: bytes):
    lost = Counter[str]()

    async def lose_first_try(task_name: str, payload: Any) -> None:
        if task_name in ("chunk", "audio"):
            lost[payload.task_id] += 1
            if lost[payload.task_id] == 1:
                raise MediaWorkerLost

    video_id = await world.upload(clip)
    media = InlineMedia(world.objects, before=lose_first_try)
    await process_video(world.ports(media), job_payload(video_id))
    assert (await world.get_video(video_id)).status == "ready"
    chunks = await list_chunks(world, video_id)
    assert {chunk.attempts for chunk in chunks} == {0}
    assert {chunk.name: chunk.losses for chunk in chunks} == {
        "audio": 1,
        "first-00000": 1,
        "preview": 0,
        "rest-00000": 1,
        "storyboard": 0,
        "thumbnails": 0,
    }


async def test_a_piece_that_always_fails_ends_the_video_after_three_tries(
    world: VideoWorld, clip: bytes
):
    async def break_sound(task_name: str, _payload: Any) -> None:
        if task_name == "audio":
            raise ObjectStoreFailed

    video_id = await world.upload(clip)
    media = InlineMedia(world.objects, before=break_sound)
    await process_video(world.ports(media), job_payload(video_id))
    video = await world.get_video(video_id)
    assert (video.status, video.error_code) == ("failed", "transcode_failed")
    assert media.started.count("audio") == 3


async def test_a_piece_that_loses_every_worker_ends_the_video_and_says_where(
    world: VideoWorld, clip: bytes
):
    async def lose_first(task_name: str, payload: Any) -> None:
        if task_name == "chunk":
            async with world.database.transaction() as connection:
                await connection.execute(
                    "UPDATE video_chunks SET losses = $2 WHERE name = $1",
                    payload.task_id,
                    LOSSES_MAX - 1,
                )
            raise MediaWorkerLost

    video_id = await world.upload(clip)
    media = InlineMedia(world.objects, before=lose_first)
    await process_video(world.ports(media), job_payload(video_id))
    video = await world.get_video(video_id)
    assert (video.status, video.error_code) == ("failed", "transcode_failed")
    assert (video.error_message or "").endswith("its conversion broke off at 0:00.")
    assert media.started.count("first-00000") == 1


async def test_a_video_plays_in_its_smallest_size_before_the_rest_is_done(
    world: VideoWorld, clip: bytes
):
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def stop_before_rest(_task_name: str, payload: Any) -> None:
        if getattr(payload, "task_id", "").startswith("rest"):
            reached.set()
            await go_on.wait()

    video_id = await world.upload(clip)
    media = InlineMedia(world.objects, before=stop_before_rest)
    job = asyncio.create_task(process_video(world.ports(media), job_payload(video_id)))
    async with asyncio.timeout(60):
        await reached.wait()
    video = await world.get_video(video_id)
    assert video.status == "processing"
    assert video.playable_at is not None
    assert 0 < video.progress < 1
    async with play(world) as player:
        master = f"/v/{video_id}/master.m3u8"
        assert set(await player.list_renditions(master)) == {"240p.m3u8", "audio.m3u8"}
        go_on.set()
        await job
        async with asyncio.timeout(60):  # an edge keeps what it read for a moment
            while "320p.m3u8" not in await player.list_renditions(master):
                await asyncio.sleep(0.1)


async def test_a_video_deleted_meanwhile_is_left_alone(world: VideoWorld, clip: bytes):
    async def delete_before_audio(task_name: str, payload: Any) -> None:
        if task_name == "audio":
            async with world.database.transaction() as connection:
                await videos.delete_video(connection, uuid.UUID(payload.video_id))

    video_id = await world.upload(clip)
    media = InlineMedia(world.objects, before=delete_before_audio)
    await process_video(world.ports(media), job_payload(video_id))
    assert media.started[-1] == "audio"
    assert await world.list_events(video_id) == EVENTS_OF_A_GOOD_LIFE[:2]


async def test_deleting_a_video_stops_the_piece_in_work(world: VideoWorld, clip: bytes):
    started = asyncio.Event()

    async def hold_rest(_task_name: str, payload: Any) -> None:
        if getattr(payload, "task_id", "").startswith("rest"):
            started.set()
            await asyncio.Event().wait()

    video_id = await world.upload(clip)
    media = InlineMedia(world.objects, before=hold_rest)
    job = asyncio.create_task(process_video(world.ports(media), job_payload(video_id)))
    async with asyncio.timeout(60):
        await started.wait()
        async with world.database.transaction() as connection:
            await videos.delete_video(connection, video_id)
        await job  # though the piece would never have ended
    assert "video.processed" not in await world.list_events(video_id)


async def test_a_stopped_video_is_tried_again_without_making_its_pieces_twice(
    world: VideoWorld, clip: bytes
):
    started = asyncio.Event()

    async def hold_rest(_task_name: str, payload: Any) -> None:
        if getattr(payload, "task_id", "").startswith("rest"):
            started.set()
            await asyncio.Event().wait()

    video_id = await world.upload(clip)
    owner = Identity((await world.get_video(video_id)).owner_id, make_id(), "ada")
    media = InlineMedia(world.objects, before=hold_rest)
    job = asyncio.create_task(process_video(world.ports(media), job_payload(video_id)))
    async with asyncio.timeout(60):
        await started.wait()
        async with world.database.transaction() as connection:
            stopped = await cancel_processing(connection, owner, video_id)
        await job
    assert (stopped.status, stopped.error_code) == ("failed", "processing_cancelled")
    done = {chunk.name for chunk in await list_chunks(world, video_id) if chunk.state == "done"}
    assert {"audio", "first-00000"} <= done
    async with world.database.transaction() as connection:
        with pytest.raises(VideoNotInWork):
            await cancel_processing(connection, owner, video_id)
        # The job that was stopped ended outside a runner here; its row still waits.
        await connection.execute("DELETE FROM pgqueuer")
        again = await retry_processing(connection, owner, video_id)
    assert (again.status, again.error_code) == ("queued", None)
    second = InlineMedia(world.objects)
    await process_video(world.ports(second), job_payload(video_id))
    assert (await world.get_video(video_id)).status == "ready"
    assert not done & set(second.started)
    async with world.database.transaction() as connection:
        with pytest.raises(VideoNotRetryable):
            await retry_processing(connection, owner, video_id)


async def test_a_restarted_runner_goes_on_with_the_pieces_that_are_left(
    world: VideoWorld, clip: bytes
):
    reached, never = asyncio.Event(), asyncio.Event()

    async def stop_before_rest(_task_name: str, payload: Any) -> None:
        if getattr(payload, "task_id", "").startswith("rest"):
            reached.set()
            await never.wait()

    video_id = await world.upload(clip)
    first = InlineMedia(world.objects, before=stop_before_rest)
    stopped = JobRunner(world.ports(first), HANDLERS, {}, FAST)
    await stopped.start()
    async with asyncio.timeout(60):
        await reached.wait()
    assert stopped.describe()["jobs_running"] == [PROCESS_JOB]
    await stopped.drain(1.0)
    states = {chunk.name: chunk.state for chunk in await list_chunks(world, video_id)}
    assert states["first-00000"] == states["audio"] == "done"
    second = InlineMedia(world.objects)
    runner = JobRunner(world.ports(second), HANDLERS, {}, FAST)
    await runner.start()
    await wait_for_status(world, video_id, "ready")
    await runner.drain(5.0)
    assert set(second.started) == {name for name, state in states.items() if state != "done"}
    assert await world.list_events(video_id) == EVENTS_OF_A_GOOD_LIFE
