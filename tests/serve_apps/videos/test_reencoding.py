"""A video is made again with other settings: real media, real rows, the tasks run in threads."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from kit.clock import SystemClock
from kit.ids import make_id
from kit.setting_sections import ProcessingSettings
from media.pool import MEDIA_TASKS
from media.vod.recipe import Recipe
from media.vod.source import MediaUnreadable
from media.vod.transcode import iter_chunk
from serve_apps.access.identity import Identity
from serve_apps.videos.jobs import process_video
from serve_apps.videos.reencoding import purge_version, reencode_video
from serve_apps.videos.reencoding_rules import VersionJob, cancel_work, request_reencoding
from storage import video_versions
from tests.serve_apps.edge.playback_client import Player, serve_playback
from tests.serve_apps.videos.inline_media import Halting, InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld, job_payload, make_clip

pytestmark = pytest.mark.media

SMALL = Recipe(short_side_max=240, evens_loudness=False)
LIMITS = ProcessingSettings()
STALE_S = 1.1


@pytest.fixture(scope="module")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Lend two seconds of moving picture and tone."""
    return make_clip(tmp_path_factory.mktemp("short") / "a.mp4", length_s=2).read_bytes()


async def make_ready(world: VideoWorld, clip: bytes) -> tuple[uuid.UUID, Identity]:
    video_id = await world.upload(clip)
    await process_video(world.ports(InlineMedia(world.objects)), job_payload(video_id))
    video = await world.get_video(video_id)
    assert video.status == "ready"
    return video_id, Identity(video.owner_id, make_id(), "ada")


async def ask(world: VideoWorld, owner: Identity, video_id: uuid.UUID, recipe: Recipe) -> bytes:
    """Ask for another version; return the payload of the job that makes it."""
    async with world.database.transaction() as connection:
        await connection.execute("DELETE FROM pgqueuer")  # jobs before ended outside a runner
        await request_reencoding(connection, LIMITS, owner, video_id, recipe)
        (making,) = await video_versions.list_makings(connection, [video_id])
    return version_payload(video_id, making.version)


def version_payload(video_id: uuid.UUID, version: int) -> bytes:
    return msgspec.json.encode(VersionJob(video_id, version))


async def list_names(player: Player, video_id: uuid.UUID) -> set[str]:
    return set(await player.list_renditions(f"/v/{video_id}/master.m3u8"))


async def list_folders(world: VideoWorld, video_id: uuid.UUID) -> set[str]:
    entries = await world.objects.list(f"videos/{video_id}")
    return {entry.key.split("/")[2] for entry in entries}


async def test_a_new_version_is_swapped_in_while_players_of_the_old_one_go_on(
    world: VideoWorld, short_clip: bytes
):
    video_id, owner = await make_ready(world, short_clip)
    first = await world.get_video(video_id)
    job = await ask(world, owner, video_id, SMALL)
    seen: list[set[str]] = []
    async with serve_playback(
        world.settings, world.database, world.objects, SystemClock()
    ) as player:

        async def look(_task_name: str, _payload: Any) -> None:
            seen.append(await list_names(player, video_id))

        media = InlineMedia(world.objects, before=look)
        await reencode_video(world.ports(media), job)
        assert seen
        assert all(names == {"240p.m3u8", "320p.m3u8", "audio.m3u8"} for names in seen)
        assert set(media.started) == {"v2-audio", "v2-first-00000"}, "pictures are shared"
        await asyncio.sleep(STALE_S)
        assert await list_names(player, video_id) == {"v2-240p.m3u8", "v2-audio.m3u8"}
        for path in ("320p.m3u8", "320p/init.mp4", "320p/00000.m4s", "audio/00000.m4s"):
            assert (await player.get(f"/v/{video_id}/{path}")).status == 200
        assert (await player.get(f"/v/{video_id}/download/240p.mp4")).status == 200
        assert (await player.get(f"/v/{video_id}/download/320p.mp4")).status == 404
        assert "v2-240p/$Number" in (await player.get(f"/v/{video_id}/manifest.mpd")).text
        await purge_version(world.ports(media), version_payload(video_id, 1))
        await asyncio.sleep(STALE_S)
        assert (await player.get(f"/v/{video_id}/320p/00000.m4s")).status == 404
        assert (await player.get(f"/v/{video_id}/v2-240p/00000.m4s")).status == 200
    after = await world.get_video(video_id)
    assert (after.status, after.version, after.playable_at) == ("ready", 2, first.playable_at)
    assert {"240p", "320p", "audio"}.isdisjoint(await list_folders(world, video_id))
    records = {entry.key for entry in await world.objects.list(f"videos/{video_id}/records")}
    assert f"videos/{video_id}/records/audio.json" not in records
    assert (await world.list_events(video_id))[-1] == "video.reencoded"


async def test_stopping_the_new_version_keeps_the_one_the_sites_settings_made(
    world: VideoWorld, short_clip: bytes
):
    settings = replace(world.settings, processing=ProcessingSettings(short_side_max=240))
    there = VideoWorld(settings, world.database, world.cache, world.objects)
    video_id, owner = await make_ready(there, short_clip)
    job = await ask(world, owner, video_id, SMALL)

    async def stop(task_name: str, _payload: Any) -> None:
        if task_name == "audio":
            async with world.database.transaction() as connection:
                await cancel_work(connection, owner, video_id)

    media = InlineMedia(world.objects, before=stop)
    await reencode_video(world.ports(media), job)
    await media.wait_ended()  # the purge comes later, see STOPPED_AFTER_S
    await purge_version(world.ports(media), job)
    video = await world.get_video(video_id)
    assert (video.status, video.version) == ("ready", 1)
    folders = await list_folders(world, video_id)
    assert {"240p", "audio"} <= folders
    assert not {name for name in folders if name in ("320p", "v2-240p", "v2-audio")}
    async with world.database.connection() as connection:
        assert await video_versions.find_version(connection, video_id, 2) is None


async def test_a_runner_that_was_killed_loses_no_piece_of_the_new_version(
    world: VideoWorld, short_clip: bytes
):
    video_id, owner = await make_ready(world, short_clip)
    job = await ask(world, owner, video_id, Recipe(evens_loudness=False))
    reached = asyncio.Event()

    async def hold_rest(_task_name: str, payload: Any) -> None:
        if "rest" in getattr(payload, "task_id", ""):
            reached.set()
            await asyncio.Event().wait()

    first = InlineMedia(world.objects, before=hold_rest)
    killed = asyncio.create_task(reencode_video(world.ports(first), job))
    async with asyncio.timeout(60):
        await reached.wait()
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    second = InlineMedia(world.objects)
    await reencode_video(world.ports(second), job)
    await reencode_video(world.ports(second), job)  # killed before it could say that it ended
    assert second.started == ["v2-rest-00000"]
    assert (await world.get_video(video_id)).version == 2


async def test_a_new_upload_comes_before_what_is_made_again_at_its_next_step(
    world: VideoWorld, clip: bytes, short_clip: bytes
):
    video_id, owner = await make_ready(world, clip)
    job = await ask(world, owner, video_id, SMALL)
    halting = Halting(iter_chunk, lambda chunk: chunk.task_id.startswith("v2-"))
    media = InlineMedia(world.objects, tasks={**MEDIA_TASKS, "chunk": halting.run})
    ports = world.ports(media)
    again = asyncio.create_task(reencode_video(ports, job))
    assert await asyncio.to_thread(halting.has_begun.wait, 60)
    begun = list(media.started)
    assert begun[-1].startswith("v2-")
    described = ports.media.describe()
    assert described == {"media_slots": 1, "media_running": {"batch": 1}, "media_waiting": {}}
    later_id = await world.upload(short_clip)
    upload = asyncio.create_task(process_video(ports, job_payload(later_id)))
    async with asyncio.timeout(60):
        await media.is_stopping.wait()
    assert ports.media.describe()["media_waiting"] == {"look": 1}
    halting.may_go_on.set()
    await asyncio.gather(again, upload)
    assert media.started[len(begun)] == "take_in"
    assert begun[-1] in media.started[len(begun) + 1 :], "what gave way is taken up again"
    assert (await world.get_video(later_id)).status == "ready"
    assert (await world.get_video(video_id)).version == 2


async def test_a_version_that_fails_leaves_the_old_one_and_says_why(
    world: VideoWorld, short_clip: bytes
):
    async def lose_sound(task_name: str, _payload: Any) -> None:
        if task_name == "audio":
            raise MediaUnreadable("It is torn.")

    video_id, owner = await make_ready(world, short_clip)
    job = await ask(world, owner, video_id, SMALL)
    media = InlineMedia(world.objects, before=lose_sound)
    await reencode_video(world.ports(media), job)
    await purge_version(world.ports(media), job)
    assert (await world.get_video(video_id)).status == "ready"
    async with world.database.connection() as connection:
        (failed,) = await video_versions.list_makings(connection, [video_id])
    assert (failed.state, failed.error_code) == ("failed", "media_unreadable")
    assert await ask(world, owner, video_id, SMALL) == version_payload(video_id, 3)


async def test_a_failed_video_is_made_with_what_was_asked_for(world: VideoWorld, short_clip: bytes):
    async def lose_rest(_task_name: str, payload: Any) -> None:
        if "rest" in getattr(payload, "task_id", ""):
            raise MediaUnreadable("It is torn.")

    video_id = await world.upload(short_clip)
    media = InlineMedia(world.objects, before=lose_rest)
    await process_video(world.ports(media), job_payload(video_id))
    video = await world.get_video(video_id)
    assert video.status == "failed"
    owner = Identity(video.owner_id, make_id(), "ada")
    async with world.database.transaction() as connection:
        await connection.execute("DELETE FROM pgqueuer")
        queued = await request_reencoding(connection, LIMITS, owner, video_id, SMALL)
    assert (queued.status, queued.version) == ("queued", 2)
    await process_video(world.ports(InlineMedia(world.objects)), job_payload(video_id))
    await purge_version(world.ports(media), version_payload(video_id, 1))
    assert (await world.get_video(video_id)).status == "ready"
    folders = await list_folders(world, video_id)
    assert {"v2-240p", "v2-audio"} <= folders
    assert {"240p", "320p", "v2-320p"}.isdisjoint(folders)
