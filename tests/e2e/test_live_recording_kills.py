"""kill -9 of the edge where a live comes in: what was listed stays, the gap is marked, and the
recording is one video of both halves; of the runner that makes the rest of it: it is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
from itertools import pairwise
from typing import Any
from urllib.parse import urljoin
from xml.etree import ElementTree

import aiohttp
import av
import pytest

from tests.e2e.load import FAILURES, TOO_BUSY, await_video, end_live, insist, register
from tests.media.playlist_reading import Listing, read_playlist
from tests.product import Product
from tests.serve_apps.edge.live_publisher import publish_at

pytestmark = [pytest.mark.ray, pytest.mark.timeout(180)]

DEADLINE_S = 60


async def read_live(http: aiohttp.ClientSession, product: Product, live_id: str) -> Listing | None:
    """Fetch the picture's playlist as a player does: over the API's redirect, wherever it is."""
    try:
        async with http.get(f"{product.url}/live/{live_id}/index.m3u8") as answer:
            if answer.status != 200:
                return None
            address = urljoin(str(answer.url), "source/index.m3u8")
        async with http.get(address) as answer:
            return read_playlist(await answer.text()) if answer.status == 200 else None
    except FAILURES:
        return None


async def await_listed(
    http: aiohttp.ClientSession, product: Product, live_id: str, folder: str
) -> Listing:
    """Wait until two whole segments of a publisher are listed."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            listing = await read_live(http, product, live_id)
            found = [] if listing is None else listing.segments
            if listing and sum(s.address.startswith(f"{folder}/") for s in found) >= 2:
                return listing
            await asyncio.sleep(0.2)


async def read_recording(http: aiohttp.ClientSession, video: dict[str, Any]) -> Listing:
    """Fetch the playlist of a recording's picture."""
    address = urljoin(video["playback"]["hls"], "source.m3u8")
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with contextlib.suppress(*FAILURES):
                async with http.get(address) as answer:
                    text = await answer.text()
                if answer.status not in TOO_BUSY:
                    return read_playlist(text)
            await asyncio.sleep(0.2)


async def publish_until(
    http: aiohttp.ClientSession, product: Product, live: dict[str, Any], folder: str
) -> Listing:
    """Publish until enough is listed; return the playlist."""
    key = {"Authorization": f"Bearer {live['stream_key']}"}
    async with publish_at(f"{product.url}/whip", key) as publisher:
        publisher.speed = 1
        listing = await await_listed(http, product, live["id"], folder)
        if folder == "1":
            os.kill(product.pids("edge-0")[0], signal.SIGKILL)
        return listing


async def check_ways_to_watch(
    http: aiohttp.ClientSession, video: dict[str, Any], recording: Listing
) -> None:
    """DASH has a period for each half, the file has both without the gap.

    What this publisher sends looks like pictures and is none.
    """
    playback = video["playback"]
    assert [(it["what"], it["code"]) for it in playback["left_out"]] == [
        ("storyboard", "picture_unreadable"),
        ("thumbnail", "picture_unreadable"),
    ]
    async with http.get(playback["dash"]) as answer:
        assert len(ElementTree.fromstring(await answer.text())) == 2
    async with http.get(playback["download"]) as answer:
        assert answer.status == 200
        data = await answer.read()
    with av.open(io.BytesIO(data)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
        times = [float(packet.pts * packet.time_base) for packet in packets]
    length_s = sum(segment.duration_s for segment in recording.segments)
    assert times == sorted(times)
    assert times[-1] == pytest.approx(length_s, abs=0.5)
    assert max(later - earlier for earlier, later in pairwise(times)) < 1


async def test_what_is_listed_survives_the_edge_and_the_gap_is_marked(product: Product):
    async with aiohttp.ClientSession() as http:
        owner = await register(http, product.url)
        body = {"title": "Survivor"}
        _, live = await insist(
            http, "POST", f"{product.url}/v1/live", json=body, headers=owner.headers
        )
        with contextlib.suppress(*FAILURES):  # its goodbye finds nobody
            await publish_until(http, product, live, "1")
        async with asyncio.timeout(DEADLINE_S):
            while (stored := await read_live(http, product, live["id"])) is None:
                await asyncio.sleep(0.2)
        kept = [segment.address for segment in stored.segments if segment.address]
        print(f"listed after kill -9: {len(kept)} segments")
        assert kept[:1] == ["1/0.m4s"]

        after = None
        async with asyncio.timeout(DEADLINE_S):
            while after is None:
                try:
                    after = await publish_until(http, product, live, "2")
                except (*FAILURES, AssertionError):
                    await asyncio.sleep(0.5)  # no edge takes publishers yet
        addresses = [segment.address for segment in after.segments]
        assert addresses[: len(kept)] == kept
        resumed = next(s for s in after.segments if s.address.startswith("2/") and not s.is_gap)
        assert resumed.is_discontinuous
        assert any(segment.is_gap for segment in after.segments)

        runner = product.pids("runner")[0]
        async with asyncio.timeout(DEADLINE_S):
            recording_id = await end_live(http, product.url, live["id"], owner)
        os.kill(runner, signal.SIGKILL)
        address = f"{product.url}/v1/videos/{recording_id}"
        _, video = await insist(http, "GET", address)
        recording = await read_recording(http, video)
        assert sum(segment.is_discontinuous for segment in recording.segments) == 1
        assert len(recording.segments) >= len(kept) + 2
        async with asyncio.timeout(DEADLINE_S):
            video = await await_video(http, address)
        await check_ways_to_watch(http, video, recording)
