"""Files that the page sends, and whose pieces wait on their way until a test lets them go."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, Request, Route

from tests.e2e.people import make_name
from tests.product import Product, await_true

PIECE_BYTES = 8 << 20
"""CHUNK_BYTES of web/src/studio/uploads.ts."""


class HeldUpload:
    """What a page sends: the first piece of a file arrives, unless that waits as others do."""

    PLACE = re.compile(r"/uploads/[0-9a-f-]+$")

    def __init__(self, page: Page, *, holds_first: bool = False) -> None:
        self._held: list[Route] = []
        self._page = page
        self._holds_first = holds_first
        page.route(self.PLACE, self._hold)

    @property
    def is_held(self) -> bool:
        return bool(self._held)

    def await_held(self, count: int = 1) -> None:
        """Wait until so many requests wait here."""

        def is_held() -> bool:
            self._page.wait_for_timeout(100)  # which lets the page's requests come
            return len(self._held) == count

        await_true(is_held, f"{count} pieces are on their way")

    def begin(self, product: Product, film: Path, title: str | None = None) -> str:
        """Choose the file in the studio and have it sent; return its title."""
        title = title or f"Camera {make_name()}"
        self._page.goto(product.url + "/studio")
        self._page.get_by_test_id("upload-file").set_input_files(str(film))
        self._page.get_by_test_id("upload-title").fill(title)
        self._page.get_by_test_id("upload-submit").click()
        return title

    def let_go(self) -> None:
        """Hold nothing from now on; what waits goes on its way, unless the page ended it."""
        self._page.unroute(self.PLACE)  # which continues what its handler has not answered

    def is_piece(self, request: Request) -> bool:
        return request.method == "PATCH" and self.PLACE.search(request.url) is not None

    def _hold(self, route: Route) -> None:
        is_first = route.request.headers.get("upload-offset") == "0"
        if route.request.method != "PATCH" or (is_first and not self._holds_first):
            route.continue_()
        else:
            self._held.append(route)
