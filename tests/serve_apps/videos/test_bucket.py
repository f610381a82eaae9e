"""A video whose every byte lies in a bucket: sent by tus, made, played by the edge, and removed."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kit.clock import SystemClock
from kit.ids import make_id
from kit.setting_sections import UploadSettings
from serve_apps.access.identity import Identity
from serve_apps.videos.jobs import process_video, purge_video
from serve_apps.videos.service import delete_video
from storage.objects import ObjectStore
from tests.buckets import open_bucket, serve_buckets
from tests.serve_apps.edge.playback_client import (
    Fetched,
    Player,
    check_conditions,
    serve_playback,
)
from tests.serve_apps.edge.tus_client import serve_uploads
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld, job_payload, probe

pytestmark = pytest.mark.media

PIECE_BYTES = 64 << 10
DOWNLOAD = "download/best.mp4"
PREVIEW = "preview.mp4"
PICTURES = ("thumbnail.jpg", "thumbnails/0.jpg", "storyboard/00000.jpg")
NAMES = ("240p/00000.m4s", DOWNLOAD, PREVIEW, *PICTURES)


@pytest.fixture(scope="module")
def bucket_server() -> Iterator[str]:
    """Serve S3; its address."""
    with serve_buckets() as address:
        yield address


@pytest.fixture
def objects(bucket_server: str) -> ObjectStore:
    """Lend an empty bucket in place of a folder."""
    return open_bucket(bucket_server)


@asynccontextmanager
async def serve_copy(world: VideoWorld, video_id: uuid.UUID, folder: Path) -> AsyncIterator[Player]:
    """Put what lies in the bucket of a video into a folder; another edge plays it from there."""
    copies = ObjectStore.open(f"file://{folder}/copies")
    for entry in await world.objects.list(f"videos/{video_id}"):
        await copies.put(entry.key, await world.objects.get(entry.key))
    async with serve_playback(world.settings, world.database, copies, SystemClock()) as player:
        yield player


async def check_seen(fetched: dict[str, Fetched], folder: Path) -> None:
    """The file is picture and sound, the preview a picture alone, and pictures are pictures."""
    heights = {}
    for name in (DOWNLOAD, PREVIEW):
        found = await probe(fetched[name].body, folder / "file.mp4")
        heights[name] = [stream.get("height") for stream in found["streams"]]
    assert heights == {DOWNLOAD: [320, None], PREVIEW: [214]}
    for name in PICTURES:
        assert fetched[name].headers["Content-Type"] == "image/jpeg"
        assert fetched[name].body[:2] == b"\xff\xd8"


async def test_a_video_goes_its_whole_way_in_a_bucket(
    world: VideoWorld, clip: bytes, tmp_path: Path
):
    small = replace(world.settings, uploads=UploadSettings(piece_bytes=PIECE_BYTES))
    clock = SystemClock()
    async with serve_uploads(small, world.database, world.objects, clock) as server:
        upload = await server.open_upload(len(clip))
        assert (await upload.patch(0, clip)).status == 204
        assert await server.read_stored(upload.id) == clip
    base = f"/v/{upload.video_id}"
    async with serve_playback(small, world.database, world.objects, clock) as player:
        media = InlineMedia(world.objects)
        await process_video(world.ports(media), job_payload(upload.video_id))
        renditions = await player.list_renditions(f"{base}/master.m3u8")
        heights, tracks = {}, {}
        for name, address in renditions.items():
            track = tracks[name.removesuffix(".m3u8")] = await player.fetch_rendition(address)
            found = await probe(track, tmp_path / "whole.mp4")
            heights[name] = found["streams"][0].get("height")
        assert heights == {"240p.m3u8": 240, "320p.m3u8": 320, "audio.m3u8": None}
        assert await player.fetch_dash(f"{base}/manifest.mpd") == tracks
        paths = [f"{base}/{name}" for name in NAMES]
        fetched = [await check_conditions(player, path) for path in paths]
        async with serve_copy(world, upload.video_id, tmp_path) as other:
            filed = [await check_conditions(other, path) for path in paths]
        assert [it.headers["ETag"] for it in filed] == [it.headers["ETag"] for it in fetched]
        assert [it.body for it in filed] == [it.body for it in fetched]
        await check_seen(dict(zip(NAMES, fetched, strict=True)), tmp_path)
        source = await world.objects.get(f"videos/{upload.video_id}/source")
        assert hashlib.sha256(source).digest() == hashlib.sha256(clip).digest()
        assert await world.objects.list(f"uploads/{upload.id}") == []

        async with world.database.transaction() as connection:
            owner = Identity(upload.owner_id, make_id(), "ada")
            await delete_video(connection, world.settings, owner, upload.video_id)
        await purge_video(world.ports(media), job_payload(upload.video_id))
        assert await world.objects.list(f"videos/{upload.video_id}") == []
        async with asyncio.timeout(60):
            while (await player.get(f"{base}/master.m3u8")).status != 404:
                await asyncio.sleep(0.1)
