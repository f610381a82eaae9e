"""Chromium publishes and watches through the forwarding plane, in every codec that it has."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import BrowserContext, Page, async_playwright

from kit.clock import SystemClock
from media.rtmp.rtp import TrackWriter, list_payloads
from media.sfu.sdp import OfferedCodec
from media.sfu.server import Sfu
from tests.media.live.ladder_stage import Film
from tests.media.sfu.browser_page import make_app
from tests.media.sfu.peer import running
from tests.media.sfu.stage import LOOPBACK, EventLog, renew_proofs, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.beside]

DEADLINE_S = 60
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]


@dataclass
class BrowserStage:
    """A running forwarding plane behind its front, and a browser to drive."""

    sfu: Sfu
    log: EventLog
    url: str
    browser: BrowserContext


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[BrowserStage]:
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed here")
    log = EventLog()
    sfu = Sfu(LOOPBACK, SystemClock(), log)
    await sfu.start()
    runner = web.AppRunner(make_app(sfu), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"), executable_path=str(CHROMIUM), headless=True, args=ARGUMENTS
        )
        yield BrowserStage(sfu, log, f"http://localhost:{port}/", browser)
        await browser.close()
    await runner.cleanup()
    await sfu.close()


async def await_inbound(page: Page, frames: int, packets_of_sound: int = 0) -> dict[str, Any]:
    """Return what a viewer reports once it decoded so many frames and got so much sound."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            found: dict[str, Any] = await page.evaluate("() => inbound()")
            seen = found.get("video", {}).get("framesDecoded", 0)
            heard = found.get("audio", {}).get("packetsReceived", 0)
            if seen >= frames and heard >= packets_of_sound:
                return found
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("codec", ["VP9", "AV1"])
async def test_a_viewer_decodes_a_codec_that_is_sent_in_one_encoding(
    stage: BrowserStage, codec: str
) -> None:
    publisher, viewer = await stage.browser.new_page(), await stage.browser.new_page()
    await publisher.goto(stage.url)
    await viewer.goto(stage.url)
    await publisher.evaluate("codec => publish('show', codec)", codec)
    await viewer.evaluate("() => watch('show')")
    inbound = await await_inbound(viewer, 20)
    assert f"video/{codec}" in inbound
    assert inbound["video"]["packetsLost"] == 0
    late = await stage.browser.new_page()
    await late.goto(stage.url)
    await late.evaluate("() => watch('show')")  # returns with the first frame
    (room,) = stage.sfu.stats().rooms
    assert (room.publisher_state, room.video_codec) == ("connected", codec)


async def test_a_browser_decodes_av1_that_an_encoder_sends_by_rtmp(stage: BrowserStage) -> None:
    form, samples = Film(codec="av1", key_every=30).encode(60)
    codec = OfferedCodec(102, "AV1", 90_000, None, (("profile", "0"),), frozenset())
    session = stage.sfu.publish_local("show", {"video": codec})
    writer = TrackWriter(102, 7)

    async def publish() -> None:
        for number in itertools.count():
            packets = writer.write(list_payloads(samples[number % len(samples)]), 3000 * number)
            stage.sfu.feed(session, packets, b"")
            await asyncio.sleep(1 / 30)

    viewer = await stage.browser.new_page()
    await viewer.goto(stage.url)
    async with running(publish()):
        await viewer.evaluate("() => watch('show')")
        assert "video/AV1" in await await_inbound(viewer, 60)
        assert await viewer.evaluate("() => picture()") == [form.width, form.height]


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_a_viewer_decodes_what_a_browser_publishes(stage: BrowserStage, codec: str) -> None:
    publisher, viewer = await stage.browser.new_page(), await stage.browser.new_page()
    await publisher.goto(stage.url)
    await viewer.goto(stage.url)
    if not await publisher.evaluate("codec => listCodecs(codec)", codec):
        pytest.skip(f"this Chromium does not encode {codec}")
    await publisher.evaluate("codec => publish('show', codec, ['q', 'f'])", codec)
    await viewer.evaluate("() => watch('show')")
    inbound = await await_inbound(viewer, 20, packets_of_sound=50)
    assert f"video/{codec}" in inbound
    assert inbound["video"]["packetsLost"] == 0
    (room,) = stage.sfu.stats().rooms
    assert (room.publisher_state, room.video_codec) == ("connected", codec)
    (session,) = [s for s in stage.sfu.list_sessions() if s.role == "viewer"]
    await renew_proofs(stage.sfu)
    stage.sfu.choose_layer(session.session_id, "q")
    async with asyncio.timeout(DEADLINE_S):
        while await viewer.evaluate("() => picture()") != [320, 180]:
            await asyncio.sleep(0.05)
    choice = stage.sfu.get_layers(session.session_id)
    assert (choice.playing, choice.pinned) == ("q", "q")
    assert choice.estimate_bps > 50_000  # by the browser's reports of arrival
    assert (await viewer.evaluate("() => inbound()"))["video"]["packetsLost"] == 0
    await publisher.evaluate("() => hangUp('publisher')")
    await wait_until(lambda: stage.log.list_ends("publisher_lost") == ["left"])


async def test_a_browser_that_comes_late_sees_the_picture(stage: BrowserStage) -> None:
    publisher = await stage.browser.new_page()
    await publisher.goto(stage.url)
    await publisher.evaluate("() => publish('show', 'VP8')")
    await wait_until(lambda: stage.sfu.stats().rooms[0].packets_in > 100)
    viewer = await stage.browser.new_page()
    await viewer.goto(stage.url)
    await viewer.evaluate("() => watch('show')")  # returns with the first frame
    await await_inbound(viewer, 20)
