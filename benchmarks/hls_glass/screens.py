"""A camera's page and a viewer's, whose pictures tell when they were drawn."""

from __future__ import annotations

import asyncio
import shutil
import statistics
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from tests.e2e.conftest import CHROMIUM_FLAGS, CHROMIUM_NAMES, OPTIONS, make_person
from tests.e2e.people import fill_registration, go_live, make_name, wait_for_picture
from tests.e2e.test_live_page import CLOCK_CAMERA, NO_WEBRTC
from tests.product import Product

SECONDS, SECONDS_SHORT = 60.0, 5.0
SETTLE_MS = 10_000
GLASS_P50, GLASS_P95 = "glass_to_glass_p50_ms", "glass_to_glass_p95_ms"
WORK = "pictures by HLS"
# The time is sixteen bits of milliseconds: what is shown is never a minute old.
READ_PICTURES = """
([video, seconds]) => new Promise((resolve) => {
  const canvas = document.createElement('canvas');
  canvas.width = 640; canvas.height = 120;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  const late = [];
  let stalls = 0;
  video.addEventListener('waiting', () => stalls++);
  const read = () => {
    pen.drawImage(video, 0, 0, video.videoWidth, video.videoHeight / 3, 0, 0, 640, 120);
    const row = pen.getImageData(0, 60, 640, 1).data;
    let drawn = 0;
    for (let bit = 0; bit < 16; bit++) if (row[(bit * 40 + 20) * 4] > 127) drawn |= 1 << bit;
    late.push((Date.now() - drawn) & 0xffff);
    video.requestVideoFrameCallback(read);
  };
  video.requestVideoFrameCallback(read);
  setTimeout(() => resolve({late, stalls}), seconds * 1000);
})
"""


@asynccontextmanager
async def open_scene(_form: Form, products: Products) -> AsyncIterator[Sides]:
    """Hold one live for all rounds; Playwright has a thread of its own."""
    loop = asyncio.get_running_loop()
    async with products(**OPTIONS) as product:
        stack = ExitStack()
        with ThreadPoolExecutor(1) as thread:
            try:
                live = await loop.run_in_executor(thread, Live, product, stack)

                async def look(form: Form) -> Answer:
                    seconds = form.choose(SECONDS, SECONDS_SHORT)
                    return await loop.run_in_executor(thread, live.look, seconds)

                yield {"hls.js": look}
            finally:
                await loop.run_in_executor(thread, stack.close)


class Live:
    """A live that a page of the studio sends."""

    def __init__(self, product: Product, stack: ExitStack) -> None:
        playwright = stack.enter_context(sync_playwright())
        path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
        self._browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        stack.callback(self._browser.close)
        self._product = product
        streamer = self._open(CLOCK_CAMERA)
        self._address = go_live(streamer, product, f"Glass {make_name()}")

    def look(self, seconds: float) -> Answer:
        """Watch as somebody new; say how late each picture was when it was shown."""
        viewer = self._open(NO_WEBRTC)
        viewer.goto(self._product.url + self._address)
        expect(viewer.locator(".live-video")).to_have_attribute("data-way", "hls", timeout=60_000)
        wait_for_picture(viewer)
        viewer.wait_for_timeout(SETTLE_MS)
        video = viewer.get_by_test_id("live-video").element_handle()
        seen = viewer.evaluate(READ_PICTURES, [video, seconds])
        viewer.context.close()
        late = seen["late"]
        cuts = statistics.quantiles(late, n=20, method="inclusive")
        figures = {
            GLASS_P50: statistics.median(late),
            GLASS_P95: cuts[-1],
            "stalls": float(seen["stalls"]),
            "pictures_per_s": len(late) / seconds,
        }
        return Answer(figures, WORK)

    def _open(self, script: str) -> Page:
        page = make_person(self._browser, self._product, script).new_page()
        page.goto(f"{self._product.url}/register")
        fill_registration(page)
        return page
