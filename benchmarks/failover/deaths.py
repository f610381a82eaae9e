"""Kills edges under a live that Chromium sends and shows."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager

from playwright.sync_api import Page, sync_playwright

from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from tests.e2e.conftest import CHROMIUM_FLAGS, CHROMIUM_NAMES, OPTIONS, make_person
from tests.e2e.failover import TwoEdges
from tests.product import Product

STILL = "still_ms"
WORK = "a picture that goes on"


@asynccontextmanager
async def open_scene(_form: Form, products: Products) -> AsyncIterator[Sides]:
    """Hold one live for all rounds; Playwright has a thread of its own."""
    loop = asyncio.get_running_loop()
    async with products(**OPTIONS, edge_count="2") as product:
        stack = ExitStack()
        with ThreadPoolExecutor(1) as thread:
            try:
                live = await loop.run_in_executor(thread, begin, product, stack)

                async def kill_relay(_form: Form) -> Answer:
                    return Answer({STILL: await kill(kill_viewers_edge)}, WORK)

                async def kill_origin(_form: Form) -> Answer:
                    return Answer({STILL: await kill(TwoEdges.kill_origin)}, WORK)

                async def kill(work: Callable[[TwoEdges], float]) -> float:
                    return await loop.run_in_executor(thread, work, live)

                yield {"viewer's edge killed": kill_relay, "camera's edge killed": kill_origin}
            finally:
                await loop.run_in_executor(thread, stack.close)


def begin(product: Product, stack: ExitStack) -> TwoEdges:
    """Open Chromium and begin the live."""
    playwright = stack.enter_context(sync_playwright())
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
    browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
    stack.callback(browser.close)

    def open_page(path: str) -> Page:
        page = make_person(browser, product).new_page()
        page.goto(product.url + path)
        return page

    return TwoEdges(product, open_page)


def kill_viewers_edge(live: TwoEdges) -> float:
    """Kill the edge that only the second viewer is at, wherever it was before."""
    if live.at_relay.began_at[-1] != live.relay:
        live.move_second_viewer()
    return live.kill_relay()
