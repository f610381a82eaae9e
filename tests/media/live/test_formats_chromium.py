"""Chromium plays a live's AV1 and the slate after it by Media Source, as hls.js hands them over."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from media.live.fragments import VIDEO
from media.live.samples import VideoFormat, VideoSample
from media.live.slates import SlateBook, SlateShape
from tests.media.live.ladder_stage import Film, LadderStage

pytestmark = [pytest.mark.browser, pytest.mark.beside]

CHROMIUM = Path("/usr/bin/chromium")
PLAY = """
async ([codec, pieces]) => {
  const video = document.body.appendChild(document.createElement("video"));
  video.muted = true;
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await new Promise((resolve) => source.addEventListener("sourceopen", resolve, { once: true }));
  const buffer = source.addSourceBuffer(`video/mp4; codecs="${codec}"`);
  for (const piece of pieces) {
    buffer.appendBuffer(Uint8Array.from(atob(piece), (c) => c.charCodeAt(0)));
    await new Promise((resolve, reject) => {
      buffer.addEventListener("update", resolve, { once: true });
      buffer.addEventListener("error", () => reject(new Error("not taken")), { once: true });
    });
  }
  source.endOfStream();
  video.playbackRate = 4;
  await video.play();
  await new Promise((resolve) => video.addEventListener("ended", resolve, { once: true }));
  return [video.error, buffer.buffered.length, buffer.buffered.end(0),
          video.getVideoPlaybackQuality().totalVideoFrames];
}
"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed here")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield await browser.new_page()
        await browser.close()


def list_pieces(stage: LadderStage) -> list[str]:
    """Return init segments and segments in the order in which a player hands them over."""
    pieces, init = [], b""
    for entry in stage.window.list_entries(VIDEO):
        pieces += [entry.init.data] if entry.init.data != init else []
        init = entry.init.data
        pieces.append(entry.join())
    return [base64.b64encode(piece).decode() for piece in pieces]


async def make_slate(form: VideoFormat, at: int) -> list[VideoSample]:
    """Return one loop of the slate of a picture."""
    book = SlateBook(asyncio.get_running_loop().time)
    slate = await book.get(SlateShape(form.width, form.height, 30, form.codec))
    assert slate is not None
    places = [at + number * slate.shape.frame_ticks for number in range(len(slate.pictures))]
    return [
        VideoSample(slate.format, data, place, place, number == 0)
        for number, (place, data) in enumerate(zip(places, slate.pictures, strict=True))
    ]


async def test_av1_and_its_slate_play_one_after_the_other(page: Page) -> None:
    form, samples = Film(codec="av1", key_every=60).encode(120)
    stage = LadderStage()
    for sample in samples + await make_slate(form, 120 * 3000):
        stage.packager.add_video(sample)
    stage.packager.break_off()
    error, ranges, end_s, shown = await page.evaluate(PLAY, [form.codec_name, list_pieces(stage)])
    assert (error, ranges) == (None, 1)
    assert end_s == pytest.approx(6.0, abs=0.1)
    assert shown > 100
