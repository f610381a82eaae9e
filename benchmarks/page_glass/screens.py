"""A camera's page and a viewer's, whose pictures tell when they were drawn.

Both talk to the edge over links of ours, which are perfect unless a side says otherwise.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.frame import Answer, Form, Side, Sides
from benchmarks.products import Products
from tests.e2e.conftest import CHROMIUM_FLAGS, CHROMIUM_NAMES, OPTIONS, make_person
from tests.e2e.page_link import make_detour
from tests.e2e.people import fill_registration, go_live, make_name, wait_for_picture
from tests.e2e.test_live_page import CLOCK_CAMERA, NO_WEBRTC
from tests.media.sfu.impaired_link import HERE, PERFECT, Conditions, ImpairedLink
from tests.product import Product

SECONDS, SECONDS_SHORT = 60.0, 5.0
SETTLE_MS = 10_000
GLASS_P50, GLASS_P95 = "glass_to_glass_p50_ms", "glass_to_glass_p95_ms"
LONGEST_GAP, STALLS = "longest_gap_ms", "stalls"
WORK = "pictures to the end by the same way"
SEEDS = {"whip": 1, "whep": 2}
BAD = Conditions(loss=0.05, jitter_s=0.05)
# The time is sixteen bits of milliseconds. A blurred one is another: nothing shown is older than
# ten seconds.
READ_PICTURES = """
([video, seconds]) => new Promise((resolve) => {
  const canvas = document.createElement('canvas');
  canvas.width = 640; canvas.height = 120;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  const late = [], gaps = [];
  let shown = 0, stalls = 0, last = performance.now();
  video.addEventListener('waiting', () => stalls++);
  const read = () => {
    gaps.push(performance.now() - last);
    last = performance.now();
    shown++;
    pen.drawImage(video, 0, 0, video.videoWidth, video.videoHeight / 3, 0, 0, 640, 120);
    const row = pen.getImageData(0, 60, 640, 1).data;
    let drawn = 0;
    for (let bit = 0; bit < 16; bit++) if (row[(bit * 40 + 20) * 4] > 127) drawn |= 1 << bit;
    const age = (Date.now() - drawn) & 0xffff;
    if (age < 10_000) late.push(age);
    video.requestVideoFrameCallback(read);
  };
  video.requestVideoFrameCallback(read);
  setTimeout(() => {
    gaps.push(performance.now() - last);
    resolve({late, shown, stalls, gap: Math.max(...gaps)});
  }, seconds * 1000);
})
"""


@dataclass(frozen=True)
class Watching:
    """What a side does: the way its player is to use, and its network once it plays."""

    way: str
    conditions: Conditions = PERFECT


HLS, WEBRTC, WEBRTC_BAD = "hls.js", "WebRTC", "WebRTC, bad network"
SIDES: Mapping[str, Watching] = {
    HLS: Watching("hls"),
    WEBRTC: Watching("webrtc"),
    WEBRTC_BAD: Watching("webrtc", BAD),
}


@asynccontextmanager
async def open_scene(_form: Form, products: Products) -> AsyncIterator[Sides]:
    """Hold one live for all rounds; Playwright has a thread of its own."""
    loop = asyncio.get_running_loop()
    async with products(**OPTIONS, edge_public_ips=HERE) as product:
        port = product.settings.edge.udp_port
        links = {name: ImpairedLink((HERE, port), seed) for name, seed in SEEDS.items()}
        for link in links.values():
            await link.start()
        stack = ExitStack()
        with ThreadPoolExecutor(1) as thread:
            try:
                live = await loop.run_in_executor(thread, Live, product, stack, links)

                def make_side(watching: Watching) -> Side:
                    async def look(form: Form) -> Answer:
                        seconds = form.choose(SECONDS, SECONDS_SHORT)
                        return await loop.run_in_executor(thread, live.look, watching, seconds)

                    return look

                yield {name: make_side(watching) for name, watching in SIDES.items()}
            finally:
                await loop.run_in_executor(thread, stack.close)
                for link in links.values():
                    link.close()


class Live:
    """A live that a page of the studio sends."""

    def __init__(
        self, product: Product, stack: ExitStack, links: Mapping[str, ImpairedLink]
    ) -> None:
        playwright = stack.enter_context(sync_playwright())
        path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
        self._browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        stack.callback(self._browser.close)
        self._product, self._links = product, links
        streamer = self._open("whip", CLOCK_CAMERA)
        self._address = go_live(streamer, product, f"Glass {make_name()}")

    def look(self, watching: Watching, seconds: float) -> Answer:
        """Watch as somebody new; say how late each picture was when it was shown."""
        viewer = self._open("whep", NO_WEBRTC if watching.way == "hls" else "")
        viewer.goto(self._product.url + self._address)
        shown = viewer.locator(".live-video")
        expect(shown).to_have_attribute("data-way", watching.way, timeout=60_000)
        first_ms = wait_for_picture(viewer)
        viewer.wait_for_timeout(SETTLE_MS)
        video = viewer.get_by_test_id("live-video").element_handle()
        before = self._count_lost()
        self._impair(watching.conditions)
        seen = viewer.evaluate(READ_PICTURES, [video, seconds])
        way = shown.get_attribute("data-way")
        self._impair(PERFECT)
        viewer.context.close()
        lost = [now - then for now, then in zip(self._count_lost(), before, strict=True)]
        assert watching.conditions == PERFECT or min(lost) > 0, "media went past a link"
        late = seen["late"]
        cuts = statistics.quantiles(late, n=20, method="inclusive")
        figures = {
            GLASS_P50: statistics.median(late),
            GLASS_P95: cuts[-1],
            LONGEST_GAP: seen["gap"],
            STALLS: float(seen["stalls"]),
            "pictures_per_s": seen["shown"] / seconds,
            "unreadable_percent": 100 * (1 - len(late) / seen["shown"]),
            "first_picture_ms": first_ms,
        }
        return Answer(figures, WORK if way == watching.way else f"ended by {way}")

    def _count_lost(self) -> list[int]:
        """How many datagrams each link has lost so far."""
        return [link.up.lost + link.down.lost for link in self._links.values()]

    def _impair(self, conditions: Conditions) -> None:
        """Make both links so, in both directions."""
        for link in self._links.values():
            link.up.conditions = link.down.conditions = conditions

    def _open(self, protocol: str, script: str) -> Page:
        """Open a page for somebody new whose media takes a link."""
        detour = make_detour(self._product.settings.edge.udp_port, self._links[protocol])
        page = make_person(self._browser, self._product, script + detour).new_page()
        page.goto(f"{self._product.url}/register")
        fill_registration(page)
        return page
