"""Recordings and clips of lives get smaller pictures, in the sizes that the site wants."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import uuid
from typing import Any

import av
import httpx
import msgspec
import pytest

from kit.clock import ManualClock
from kit.setting_sections import LiveSettings
from kit.settings import Settings
from media.pool import MediaWorkerLost
from serve_apps.http.state import ApiPorts
from serve_apps.videos.jobs import purge_video
from storage.database import Database
from storage.recordings import MAKE_RUNGS_JOB, Further
from tests.serve_apps.api_client import Person
from tests.serve_apps.edge.playback_client import serve_playback
from tests.serve_apps.live.ended_live import SECONDS, Ended
from tests.serve_apps.videos.inline_media import InlineMedia

pytestmark = pytest.mark.media

RUNGS = Further.RUNGS
AS_IT_CAME = {"source.m3u8", "audio.m3u8", "aac.m3u8"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(settings, live=LiveSettings(recordings_ladder=("720p", "240p")))


@pytest.fixture
def ended(ada: Person, ports: ApiPorts, settings: Settings, client: httpx.AsyncClient) -> Ended:
    ended = Ended(ada, ports, settings, client)
    ended.size = (640, 360)
    return ended


async def find_recording(ended: Ended, live_id: uuid.UUID) -> str:
    await ended.end(live_id)
    return str((await ended.ada.get(f"/v1/live/{live_id}"))["recording_id"])


def measure(data: bytes) -> tuple[tuple[int, int], list[float]]:
    """The size of a rendition's picture, and when each is shown."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        times = [float(frame.time or 0) for frame in container.decode(video=0)]
        return (stream.width, stream.height), times


async def test_a_players_list_of_variants_gets_smaller_sizes_once_they_are_made(
    ended: Ended, database: Database, clock: ManualClock
) -> None:
    video_id = await find_recording(ended, await ended.announce(20))
    may_go_on = asyncio.Event()

    async def hold(task_name: str, _payload: Any) -> None:
        if task_name == "live_rungs":
            await may_go_on.wait()

    ports = ended.ports
    base = f"/v/{video_id}"
    async with serve_playback(ports.settings, database, ports.objects, ports.clock) as player:
        async with ended.runner(InlineMedia(ports.objects, before=hold)):
            await ended.wait_until(video_id, "ready")  # it waits for none
            await ended.wait_until_made(video_id)
            clock.advance(2)
            assert set(await player.list_renditions(f"{base}/master.m3u8")) == AS_IT_CAME
        before = await ended.count_bytes(video_id) or 0
        may_go_on.set()
        lost: list[str] = []

        async def lose_once(_task_name: str, payload: Any) -> None:
            if payload.task_id == "rungs-00001" and not lost:
                lost.append(payload.task_id)
                raise MediaWorkerLost

        second = InlineMedia(ports.objects, before=lose_once)
        async with ended.runner(second):  # after the first died
            await ended.wait_until_made(video_id, RUNGS)
        assert sorted(second.started) == ["rungs-00000", "rungs-00001", "rungs-00001"]
        clock.advance(2)
        renditions = await player.list_renditions(f"{base}/master.m3u8")
        assert set(renditions) == {*AS_IT_CAME, "240p.m3u8"}  # 720p is larger than it came
        size, times = measure(await player.fetch_rendition(renditions["240p.m3u8"]))
        assert size == (426, 240)
        assert times == measure(await player.fetch_rendition(renditions["source.m3u8"]))[1]
        assert times == [number * SECONDS for number in range(20)]
        assert 'id="240p"' in (await player.get(f"{base}/manifest.mpd")).text
        assert (await player.get(f"{base}/240p-keys.m3u8")).text.count("#EXT-X-BYTERANGE") == 20
        whole = await player.get(f"{base}/download/best.mp4")
        assert measure(whole.body)[0] == (640, 360)
        assert (await player.get(f"{base}/download/240p.mp4")).status == 404
    sizes = [
        entry.size_bytes
        for entry in await ports.objects.list(f"videos/{video_id}/240p")
        if entry.key.endswith(".m4s")
    ]
    assert len(sizes) == 20
    assert await ended.count_bytes(video_id) == before + sum(sizes)
    await ended.run_rungs(video_id, ["240p"])  # a job may run twice
    assert await ended.count_bytes(video_id) == before + sum(sizes)

    assert (await ended.ada.call("DELETE", f"/v1/videos/{video_id}")).status_code == 204
    await purge_video(ended.jobs, msgspec.json.encode({"video_id": video_id}))
    assert await ended.list_bytes(video_id) == []


async def test_pictures_that_cannot_be_made_smaller_are_named_and_the_recording_plays(
    ended: Ended, database: Database
) -> None:
    video_id = await find_recording(ended, await ended.announce(20))

    async def break_second(_task_name: str, payload: Any) -> None:
        if payload.task_id == "rungs-00001":
            async with asyncio.timeout(60):  # the first piece is made, and to be removed again
                while f"videos/{video_id}/records/rungs-00000.json" not in (
                    await ended.list_bytes(video_id)
                ):
                    await asyncio.sleep(0.05)
            raise RuntimeError("no encoder here")

    ports = ended.ports
    async with ended.runner(InlineMedia(ports.objects, before=break_second)):
        await ended.wait_until(video_id, "ready")
        await ended.wait_until_made(video_id)
        await ended.wait_until_made(video_id, RUNGS, end="left_out")
    video = await ended.ada.get(f"/v1/videos/{video_id}")
    left_out = [(it["what"], it["code"]) for it in video["playback"]["left_out"]]
    assert left_out == [("rungs", "picture_not_converted")]
    assert video["status"] == "ready"
    async with asyncio.timeout(60):  # they are removed behind the note
        while any("/240p/" in key for key in await ended.list_bytes(video_id)):
            await asyncio.sleep(0.05)
    async with serve_playback(ports.settings, database, ports.objects, ports.clock) as player:
        assert set(await player.list_renditions(f"/v/{video_id}/master.m3u8")) == AS_IT_CAME


async def test_a_clip_of_ones_own_live_has_smaller_sizes_and_of_anothers_has_none(
    ended: Ended, bob: Person, database: Database
) -> None:
    live_id = await ended.announce(4)
    clips = f"/v1/live/{live_id}/clips"
    of_another = (await bob.post(clips, {"seconds": 5}, status=201))["video_id"]
    clip_id = (await ended.ada.post(clips, {"seconds": 5}, status=201))["video_id"]
    jobs = "SELECT dedupe_key FROM pgqueuer WHERE entrypoint = $1"
    async with database.connection() as connection:
        queued = {row["dedupe_key"] for row in await connection.fetch(jobs, MAKE_RUNGS_JOB)}
    assert f"{MAKE_RUNGS_JOB}:{clip_id}" in queued
    assert f"{MAKE_RUNGS_JOB}:{of_another}" not in queued
    ports = ended.ports
    async with ended.runner(InlineMedia(ports.objects)):
        await ended.wait_until_made(clip_id)
        await ended.wait_until_made(clip_id, RUNGS)
    sizes = [
        entry.size_bytes
        for track in ("240p", "aac")
        for entry in await ports.objects.list(f"videos/{clip_id}/{track}")
        if entry.key.endswith(".m4s")
    ]
    assert await ended.count_bytes(clip_id) == sum(sizes)
    async with serve_playback(ports.settings, database, ports.objects, ports.clock) as player:
        renditions = await player.list_renditions(f"/v/{clip_id}/master.m3u8")
        _size, times = measure(await player.fetch_rendition(renditions["240p.m3u8"]))
        assert times == measure(await player.fetch_rendition(renditions["source.m3u8"]))[1]
