"""What is left of a live: its recording, clips, and what is removed; played by an edge."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import re
import uuid
from typing import Any

import av
import httpx
import msgspec
import pytest

from kit.clock import ManualClock
from kit.settings import Settings
from media.pool import MediaWorkerLost
from serve_apps.http.state import ApiPorts
from serve_apps.live.jobs import HANDLERS
from serve_apps.live.recording import LiveJob
from serve_apps.videos.jobs import purge_video
from storage.database import Database
from storage.live_segments import (
    LISTING_S,
    SegmentRange,
    list_segments,
    make_live_prefix,
)
from storage.objects import ObjectStore
from storage.recordings import PURGE_SEGMENTS_JOB, Further
from tests.serve_apps.api_client import Person
from tests.serve_apps.edge.playback_client import Player, serve_playback
from tests.serve_apps.live.ended_live import SECONDS, Ended
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld

pytestmark = pytest.mark.media


@pytest.fixture
def ended(ada: Person, ports: ApiPorts, settings: Settings, client: httpx.AsyncClient) -> Ended:
    return Ended(ada, ports, settings, client)


async def list_stored(database: Database, live_id: uuid.UUID) -> int:
    async with database.connection() as connection:
        return len(await list_segments(connection, SegmentRange(live_id, 0, 999)))


async def test_a_live_is_a_video_when_it_ends_and_a_clip_is_one_before(
    ended: Ended, bob: Person, database: Database
) -> None:
    live_id = await ended.announce(6)
    clip = await bob.post(f"/v1/live/{live_id}/clips", {"seconds": 5, "title": "Jump"}, status=201)
    await ended.end(live_id)
    shown = await ended.ada.get(f"/v1/live/{live_id}")
    assert not shown["nothing_kept"]
    video = await ended.ada.get(f"/v1/videos/{shown['recording_id']}")
    about = (video["status"], video["title"], video["duration_ms"], video["is_recording"])
    assert about == ("queued", "Night drive", 12_000, True)
    assert video["playback"]["hls"].endswith("/master.m3u8")
    assert video["playback"]["download"] is None
    ports = ended.ports
    async with serve_playback(ports.settings, database, ports.objects, ports.clock) as player:
        early = await player.list_renditions(f"/v/{video['id']}/master.m3u8")
        assert (await player.fetch_rendition(early["source.m3u8"])).count(b"moof") == 6
        assert (await player.get(f"/v/{video['id']}/download/best.mp4")).status == 404

    async with ended.runner(InlineMedia(ports.objects)):
        video = await ended.wait_until(video["id"], "ready")
        await ended.wait_until(clip["video_id"], "ready")
        for name in (video["id"], clip["video_id"]):
            await ended.wait_until_made(name)
        assert await ended.find_state(video["id"], Further.RUNGS) is None, "the site wants none"
    assert video["progress"] == 1
    assert video["playback"]["left_out"] == []
    ways = ("dash", "storyboard", "download", "thumbnail", "preview")
    assert all(video["playback"][way] for way in ways)
    latest = await ports.cache.list_latest(f"video:{video['id']}")
    assert latest[-1].data["status"] == "ready"
    mine = await ended.ada.get("/v1/videos?owner=me")
    assert [item["id"] for item in mine["items"]] == [video["id"]]

    async with serve_playback(ports.settings, database, ports.objects, ports.clock) as player:
        for name, length_s in ((video["id"], 12), (clip["video_id"], 6)):
            renditions = await player.list_renditions(f"/v/{name}/master.m3u8")
            assert set(renditions) == {"source.m3u8", "audio.m3u8", "aac.m3u8"}
            heard = await player.fetch_rendition(renditions["aac.m3u8"])
            assert heard.count(b"moof") == length_s / SECONDS
            assert measure_sound_s(heard) == pytest.approx(length_s, abs=1024 / 48_000)
            data = await player.fetch_rendition(renditions["source.m3u8"])
            assert data.count(b"moof") == length_s / SECONDS
            board = await player.get(f"/v/{name}/storyboard.vtt")
            assert board.text.count("#xywh=") == length_s / SECONDS
            for picture in ("thumbnail.jpg", "storyboard/00000.jpg"):
                assert (await player.get(f"/v/{name}/{picture}")).body[:2] == b"\xff\xd8"
            await check_other_ways(player, f"/v/{name}", length_s)
            preview = await player.get(f"/v/{name}/preview.mp4")
            assert (preview.status, preview.headers["Content-Type"]) == (200, "video/mp4")
        assert (await player.get(f"/v/{video['id']}/source/00009.m4s")).status == 404

    await ended.run(PURGE_SEGMENTS_JOB, LiveJob(live_id))  # a video needs them
    assert await list_stored(database, live_id) == 6


async def check_other_ways(player: Player, base: str, length_s: int) -> None:
    """DASH, keyframes alone, pictures to choose from, and one file, whole and in ranges."""
    manifest = await player.get(f"{base}/manifest.mpd")
    assert f'mediaPresentationDuration="PT{length_s}.000S"' in manifest.text
    keys = await player.get(f"{base}/source-keys.m3u8")
    assert keys.text.count("#EXT-X-BYTERANGE") == length_s / SECONDS
    assert (await player.get(f"{base}/thumbnails/0.jpg")).body[:2] == b"\xff\xd8"
    whole = await player.get(f"{base}/download/best.mp4")
    assert (whole.status, whole.headers["Content-Type"]) == (200, "video/mp4")
    with av.open(io.BytesIO(whole.body)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == list(range(0, length_s, SECONDS))
    part = await player.get(f"{base}/download/source.mp4", Range="bytes=900-2000")
    assert (part.status, part.body) == (206, whole.body[900:2001])


def measure_sound_s(data: bytes) -> float:
    """How long a rendition's AAC is, decoded."""
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        return sum(frame.samples for frame in container.decode(audio=0)) / 48_000


async def test_a_players_list_of_variants_gets_aac_once_it_is_made(
    ended: Ended, database: Database, clock: ManualClock
) -> None:
    live_id = await ended.announce(3)
    await ended.end(live_id)
    video_id = (await ended.ada.get(f"/v1/live/{live_id}"))["recording_id"]
    may_go_on = asyncio.Event()

    async def hold_aac(task_name: str, _payload: Any) -> None:
        if task_name == "live_aac":
            await may_go_on.wait()

    ports = ended.ports
    master = f"/v/{video_id}/master.m3u8"
    async with serve_playback(ports.settings, database, ports.objects, ports.clock) as player:
        async with ended.runner(InlineMedia(ports.objects, before=hold_aac)):
            await ended.wait_until(video_id, "ready")  # it waits for no AAC
            assert set(await player.list_renditions(master)) == {"source.m3u8", "audio.m3u8"}
        before = await ended.count_bytes(video_id)
        may_go_on.set()
        lost: list[str] = []

        async def lose_once(task_name: str, _payload: Any) -> None:
            if task_name == "live_aac" and not lost:
                lost.append(task_name)
                raise MediaWorkerLost

        second = InlineMedia(ports.objects, before=lose_once)
        async with ended.runner(second):  # after the first died
            await ended.wait_until_made(video_id)
        assert second.started == ["aac-00000"] * 2
        clock.advance(2)
        renditions = await player.list_renditions(master)
        assert set(renditions) == {"source.m3u8", "audio.m3u8", "aac.m3u8"}
        codecs = re.findall(r'CODECS="[^,]*,([^"]*)"', (await player.get(master)).text)
        assert codecs[:2] == ["opus", "mp4a.40.2"]
        sizes = [
            entry.size_bytes
            for entry in await ports.objects.list(f"videos/{video_id}/aac")
            if entry.key.endswith(".m4s")
        ]
    assert len(sizes) == 3
    assert await ended.count_bytes(video_id) == (before or 0) + sum(sizes)
    await ended.run_aac(video_id)  # a job may run twice
    assert await ended.count_bytes(video_id) == (before or 0) + sum(sizes)


async def test_sound_that_cannot_be_converted_is_named_and_the_recording_plays(
    ended: Ended, database: Database
) -> None:
    live_id = await ended.announce(3)
    await ended.end(live_id)
    video_id = (await ended.ada.get(f"/v1/live/{live_id}"))["recording_id"]

    async def break_aac(task_name: str, _payload: Any) -> None:
        if task_name == "live_aac":
            raise RuntimeError("no encoder here")

    async with ended.runner(InlineMedia(ended.ports.objects, before=break_aac)):
        await ended.wait_until(video_id, "ready")
        await ended.wait_until_made(video_id, end="left_out")
    video = await ended.ada.get(f"/v1/videos/{video_id}")
    left_out = [(it["what"], it["code"]) for it in video["playback"]["left_out"]]
    assert left_out == [("aac", "sound_not_converted")]
    assert video["status"] == "ready"
    ports = ended.ports
    async with serve_playback(ports.settings, database, ports.objects, ports.clock) as player:
        renditions = await player.list_renditions(f"/v/{video_id}/master.m3u8")
        assert set(renditions) == {"source.m3u8", "audio.m3u8"}


async def test_a_runner_that_stops_midway_costs_a_recording_nothing(ended: Ended) -> None:
    live_id = await ended.announce(3)
    await ended.end(live_id)
    video_id = (await ended.ada.get(f"/v1/live/{live_id}"))["recording_id"]
    reached = asyncio.Event()

    async def hold_storyboard(task_name: str, _payload: Any) -> None:
        if task_name == "live_storyboard":
            reached.set()
            await asyncio.Event().wait()

    async with ended.runner(InlineMedia(ended.ports.objects, before=hold_storyboard)):
        async with asyncio.timeout(60):
            await reached.wait()
        video = await ended.ada.get(f"/v1/videos/{video_id}")
        assert video["status"] == "processing"
        assert video["playback"]["hls"]
    second = InlineMedia(ended.ports.objects)
    async with ended.runner(second):
        video = await ended.wait_until(video_id, "ready")
    assert "storyboard" in second.started
    assert video["playback"]["download"]
    world = VideoWorld(
        ended.ports.settings, ended.ports.database, ended.ports.cache, ended.ports.objects
    )
    names = ["video.recorded", "video.processing", "video.processed"]
    assert await world.list_events(uuid.UUID(video_id)) == names


async def test_an_owner_does_with_a_recording_what_an_uploader_can(
    ended: Ended, bob: Person, database: Database, objects: ObjectStore
) -> None:
    live_id = await ended.announce(3)
    await ended.end(live_id)
    video_id = (await ended.ada.get(f"/v1/live/{live_id}"))["recording_id"]
    path = f"/v1/videos/{video_id}"
    stopped = await ended.ada.call("POST", f"{path}/cancel")
    assert stopped.json()["status"] == "failed"
    assert (await ended.ada.get(path))["playback"]["hls"]
    async with ended.runner(InlineMedia(objects)):
        async with asyncio.timeout(60):
            while (await ended.ada.call("POST", f"{path}/retry")).status_code != 200:
                await asyncio.sleep(0.05)  # the job that was stopped has not ended
        await ended.wait_until(video_id, "ready")
        await ended.wait_until_made(video_id)
    assert (await bob.call("PATCH", path, json={"title": "Mine"})).status_code == 403
    changed = await ended.ada.call("PATCH", path, json={"title": "The drive", "tags": ["night"]})
    assert changed.json()["title"] == "The drive"
    found = (await ended.ada.get(f"{path}/thumbnails"))["items"]
    chosen = await ended.ada.call("PUT", f"{path}/thumbnail", json={"index": len(found) - 1})
    assert chosen.json()["playback"]["thumbnail"].endswith(f"?v={len(found) - 1}")
    srt = {"label": "English", "text": "1\n00:00:01,000 --> 00:00:02,000\nHello\n"}
    assert (await ended.ada.call("PUT", f"{path}/subtitles/en", json=srt)).status_code == 200
    ports = ended.ports
    async with serve_playback(ports.settings, database, objects, ports.clock) as player:
        for file in ("master.m3u8", "manifest.mpd"):
            assert "English" in (await player.get(f"/v/{video_id}/{file}")).text

    assert (await ended.ada.call("DELETE", path)).status_code == 204
    # What was promised at the deletion holds, whatever the site's patience is by now; and in
    # whichever order the two removals come, nothing stays.
    processing = dataclasses.replace(ports.settings.processing, deleted_kept_days=0)
    settings = dataclasses.replace(ports.settings, processing=processing)
    jobs = dataclasses.replace(ended.jobs, settings=settings)
    for left_s, is_kept in ((3600, True), (0, False)):
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE videos SET purge_at = now() + make_interval(secs => $1)", left_s
            )
        await HANDLERS[PURGE_SEGMENTS_JOB].handle(jobs, msgspec.json.encode(LiveJob(live_id)))
        assert bool(await objects.list(make_live_prefix(live_id))) == is_kept
    assert await objects.list(make_live_prefix(live_id)) == []
    await purge_video(ended.jobs, msgspec.json.encode({"video_id": video_id}))
    assert await ended.list_bytes(video_id) == []
    assert await list_stored(database, live_id) == 0


async def test_a_live_of_which_nothing_was_stored_says_so_once_nothing_can_come(
    ended: Ended, database: Database
) -> None:
    live_id = await ended.announce(0)

    async def is_nothing_kept() -> bool:
        shown = await ended.ada.get(f"/v1/live/{live_id}")
        assert shown["recording_id"] is None
        return bool(shown["nothing_kept"])

    async def write(statement: str) -> None:
        async with database.connection() as connection:
            await connection.execute(statement)

    assert not await is_nothing_kept()
    await write("UPDATE lives SET status = 'ended', ended_at = now()")
    assert not await is_nothing_kept()  # its edge may list a segment yet
    await write(f"UPDATE lives SET ended_at = now() - interval '{LISTING_S + 1} seconds'")
    assert await is_nothing_kept()  # it did not live to do so
    await write("UPDATE lives SET ended_at = now()")
    await ended.end(live_id)
    assert await is_nothing_kept()
    await write("UPDATE lives SET is_recorded = false")
    assert not await is_nothing_kept()


async def test_a_live_that_is_not_recorded_leaves_nothing(
    ended: Ended, bob: Person, database: Database, objects: ObjectStore
) -> None:
    live_id = await ended.announce(2, record=False)
    answer = await bob.call("POST", f"/v1/live/{live_id}/clips", json={"seconds": 5})
    assert (answer.status_code, answer.json()["error"]) == (409, "clips_off")
    await ended.run(PURGE_SEGMENTS_JOB, LiveJob(live_id))  # it still runs
    assert await list_stored(database, live_id) == 2
    await ended.end(live_id)
    shown = await ended.ada.get(f"/v1/live/{live_id}")
    assert (shown["recording_id"], shown["nothing_kept"]) == (None, False)
    await ended.run(PURGE_SEGMENTS_JOB, LiveJob(live_id))
    assert await list_stored(database, live_id) == 0
    assert await objects.list(make_live_prefix(live_id)) == []
    answer = await ended.ada.call("PATCH", f"/v1/live/{live_id}", json={"record": True})
    assert answer.json()["error"] == "live_ended"


async def test_a_clip_of_a_live_that_is_not_recorded_keeps_its_own_segments_alone(
    ended: Ended, database: Database, objects: ObjectStore
) -> None:
    live_id = await ended.announce(6, record=False)
    await ended.ada.post(f"/v1/live/{live_id}/clips", {"seconds": 5}, status=201)
    await ended.end(live_id)
    await ended.run(PURGE_SEGMENTS_JOB, LiveJob(live_id))
    assert await list_stored(database, live_id) == 3
    kept = {entry.key.rpartition("/")[2] for entry in await objects.list(make_live_prefix(live_id))}
    assert kept == {"init0.mp4", "3.m4s", "4.m4s", "5.m4s"}


async def test_who_may_clip_what(ended: Ended, bob: Person) -> None:
    nothing = await ended.ada.post("/v1/live", {"title": "Empty"}, status=201)
    answer = await ended.ada.call("POST", f"/v1/live/{nothing['id']}/clips", json={"seconds": 9})
    assert answer.json()["error"] == "nothing_to_clip"
    live_id = await ended.announce(2, visibility="unlisted")
    path = f"/v1/live/{live_id}/clips"
    assert (await bob.call("POST", path, json={"seconds": 9})).status_code == 403
    assert (await ended.ada.call("POST", path, json={"seconds": 1})).status_code == 422
    assert (await ended.client.post(path, json={"seconds": 9})).status_code == 401
    made = await ended.ada.post(path, {"seconds": 9}, status=201)
    video = await ended.ada.get(f"/v1/videos/{made['video_id']}")
    assert (video["title"], video["visibility"]) == ("Clip: Night drive", "unlisted")
