"""Every file from the wild becomes a video that plays; half of one does, or fails with a reason."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from kit.clock import SystemClock
from serve_apps.videos.jobs import process_video
from storage.video_plans import list_warnings
from storage.videos import Video
from tests.serve_apps.edge.playback_client import Player, serve_playback
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld, job_payload, probe

pytestmark = pytest.mark.media

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "samples"
NO_MEDIA = {".md"}
LEFT_OUT = {
    "torchcodec_nasa_13013.mp4": [
        "1 further moving picture was left out: track 1 (eng, h264).",
        "1 further sound track was left out: track 2 (eng, aac).",
        "2 subtitle tracks were left out: track 3 (eng, mov_text), track 6 (eng, mov_text).",
    ],
}
"""What owners are told of those that are not taken as they are."""
REASONS = ("truncated", "damaged")
LOST_S_MAX = 0.3


async def play(player: Player, master: str, folder: Path) -> dict[str, float]:
    """Decode every rendition to its end, without a complaint; return by name how long each is."""
    lengths_s = {}
    for name, address in (await player.list_renditions(master)).items():
        path = folder / f"{name}.mp4"
        found = await probe(await player.fetch_rendition(address), path)
        command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-f", "null", "-"]
        child = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        _, complaints = await child.communicate()
        assert (child.returncode, complaints) == (0, b"")
        lengths_s[name] = float(found["format"]["duration"])
    return lengths_s


async def make_video(world: VideoWorld, data: bytes) -> Video:
    """Upload a file and have its smallest picture and its sound made, if that is possible."""
    processing = replace(world.settings.processing, short_side_max=240)
    world.settings = replace(world.settings, processing=processing)
    video_id = await world.upload(data)
    await process_video(world.ports(InlineMedia(world.objects)), job_payload(video_id))
    return await world.get_video(video_id)


if SAMPLES.is_dir():
    every_sample = pytest.mark.parametrize(
        "path",
        sorted(path for path in SAMPLES.iterdir() if path.suffix not in NO_MEDIA),
        ids=lambda path: path.name,
    )

    @every_sample
    async def test_a_file_from_the_wild_plays_to_its_end(
        path: Path, world: VideoWorld, tmp_path: Path
    ):
        video = await make_video(world, path.read_bytes())
        assert (video.status, video.error_message, video.progress) == ("ready", None, 1.0)
        assert video.duration_ms is not None
        async with serve_playback(
            world.settings, world.database, world.objects, SystemClock()
        ) as player:
            lengths_s = await play(player, f"/v/{video.id}/master.m3u8", tmp_path)
        assert max(lengths_s.values()) == pytest.approx(video.duration_ms / 1000, abs=LOST_S_MAX)
        assert any(name != "audio.m3u8" for name in lengths_s) == (video.width is not None)
        async with world.database.connection() as connection:
            warnings = await list_warnings(connection, [video.id])
        assert warnings.get(video.id, []) == LEFT_OUT.get(path.name, [])

    @every_sample
    async def test_half_a_file_plays_or_its_owner_is_told_what_it_lacks(
        path: Path, world: VideoWorld
    ):
        data = path.read_bytes()
        video = await make_video(world, data[: len(data) // 2])
        if video.status != "ready":
            assert (video.status, video.error_code) == ("failed", "media_unreadable")
            assert any(reason in (video.error_message or "") for reason in REASONS)
