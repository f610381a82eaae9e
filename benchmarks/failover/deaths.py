"""Kills edges under lives that Chromium or FFmpeg sends and Chromium shows."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from functools import cached_property

from playwright.sync_api import Page, sync_playwright

from benchmarks.frame import Answer, Form, Side, Sides
from benchmarks.products import Products
from tests.e2e.conftest import CHROMIUM_FLAGS, CHROMIUM_NAMES, OPTIONS, make_person
from tests.e2e.encoder_failover import EncoderLive
from tests.e2e.failover import TwoEdges
from tests.product import Product

STILL = "still_ms"
BACK = "back_ms"
WORK = "a picture that goes on"


class Scene:
    """A product and a browser; lives begin when they are asked for. Of Playwright's thread."""

    def __init__(self, product: Product, stack: ExitStack) -> None:
        self._product = product
        playwright = stack.enter_context(sync_playwright())
        path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
        self._browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        stack.callback(self._browser.close)

    def open_page(self, path: str) -> Page:
        """Open the product as another person would."""
        page = make_person(self._browser, self._product).new_page()
        page.goto(self._product.url + path)
        return page

    @cached_property
    def live(self) -> TwoEdges:
        """The camera's live, one for all rounds."""
        return TwoEdges(self._product, self.open_page)

    def kill_viewers_edge(self) -> Answer:
        """Kill the edge that only the second viewer is at, wherever it was before."""
        if self.live.at_relay.began_at[-1] != self.live.relay:
            self.live.move_second_viewer()
        return Answer({STILL: self.live.kill_relay()}, WORK)

    def kill_cameras_edge(self) -> Answer:
        """Kill the edge that all are at."""
        return Answer({STILL: self.live.kill_origin()}, WORK)

    def kill_encoders_edge(self, way: str) -> Answer:
        """Kill the edge that FFmpeg sends to in a loop; a live of this round alone."""
        live = EncoderLive(self._product, self.open_page, way)
        try:
            comeback = live.kill_origin()
            live.end()
        finally:
            live.encoder.stop()
            live.close_pages()
        return Answer({STILL: comeback.still_ms, BACK: comeback.back_ms}, WORK)


@asynccontextmanager
async def open_scene(_form: Form, products: Products) -> AsyncIterator[Sides]:
    """Hold a product with two edges for all rounds; Playwright has a thread of its own."""
    loop = asyncio.get_running_loop()
    async with products(**OPTIONS, edge_count="2") as product:
        stack = ExitStack()
        with ThreadPoolExecutor(1) as thread:
            try:
                scene = await loop.run_in_executor(thread, Scene, product, stack)

                def make_side(work: Callable[[], Answer]) -> Side:
                    async def measure(_form: Form) -> Answer:
                        return await loop.run_in_executor(thread, work)

                    return measure

                yield {
                    "viewer's edge killed": make_side(scene.kill_viewers_edge),
                    "camera's edge killed": make_side(scene.kill_cameras_edge),
                    "RTMP encoder's edge killed": make_side(
                        lambda: scene.kill_encoders_edge("RTMP")
                    ),
                    "WHIP encoder's edge killed": make_side(
                        lambda: scene.kill_encoders_edge("WHIP")
                    ),
                }
            finally:
                await loop.run_in_executor(thread, stack.close)
