"""How far a video is, heard on a real socket from its upload to the moment it is ready."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.load import Account
from tests.e2e.test_video_kills import start_uploads
from tests.media.vod.clips import run_ffmpeg
from tests.product import Product

pytestmark = [pytest.mark.ray, pytest.mark.timeout(360)]


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of two sizes: seconds of work."""
    path = tmp_path_factory.mktemp("film") / "long.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=20"),
        *("-f", "lavfi", "-i", "sine=frequency=440:duration=20", "-c:v", "libx264", "-g", "400"),
        *("-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", path),
    )
    return path


async def listen(
    session: aiohttp.ClientSession, product: Product, owner: Account, video_id: str
) -> list[dict[str, Any]]:
    """Return what the socket says of a video's progress until it is ready."""
    heard: list[dict[str, Any]] = []
    address = f"{product.edge_url.replace('http', 'ws', 1)}/ws"
    async with session.ws_connect(address, heartbeat=30.0) as socket:
        await socket.send_json({"type": "authenticate", "token": owner.token})
        wish = {"type": "subscribe", "channels": [f"video:{video_id}"]}
        await socket.send_json(wish)
        async for message in socket:
            body = message.json()
            if body.get("retryable"):
                await asyncio.sleep(0.2)
                await socket.send_json(wish)
                continue
            assert body["type"] != "error", body
            events = body["events"] if body["type"] == "batch" else [body]
            heard += [event["data"] for event in events if event["type"] == "video_progress"]
            if heard and heard[-1]["status"] in ("ready", "failed"):
                return heard
    raise ConnectionError("the socket closed")


async def test_the_owner_hears_percent_rung_speed_and_time_left(product: Product, long_film: Path):
    async with aiohttp.ClientSession() as session:
        (upload,) = await start_uploads(session, product, long_film, count=1)
        async with asyncio.timeout(300):
            listening = asyncio.create_task(listen(session, product, upload.owner, upload.video_id))
            await upload.send(session)
            heard = await listening
    print(f"{len(heard)} words of progress")
    progress = [said["progress"] for said in heard]
    assert heard[-1]["status"] == "ready"
    assert progress == sorted(progress)
    assert len(set(progress)) >= 4
    in_work = [said for said in heard if said["status"] == "processing"]
    assert any(said["quality"] for said in in_work)
    assert any(said["speed"] and said["speed"] > 0 for said in in_work)
    left = [said["left_s"] for said in in_work if said["left_s"] is not None]
    assert left
    assert min(left) >= 0
