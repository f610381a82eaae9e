"""A film of a camera, uploaded from the page: its index goes ahead, and it is begun on its way."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.people import fill_registration, make_name
from tests.media.vod.clips import run_ffmpeg
from tests.product import Product, await_true

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]
PATIENCE_MS = 60_000
PIECE_BYTES = 8 << 20
"""CHUNK_BYTES of web/src/studio/uploads.ts."""


@pytest.fixture(scope="module")
def camera_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 11 MB with the index at the end, so that the page sends more than one piece."""
    path = tmp_path_factory.mktemp("film") / "camera.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=15:d=9", "-vf", "noise=alls=90:allf=t"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-b:v", "10M", "-minrate", "10M"),
        *("-maxrate", "10M", "-bufsize", "10M", "-pix_fmt", "yuv420p", path),
    )
    assert path.stat().st_size > PIECE_BYTES
    return path


def test_a_film_of_a_camera_is_begun_while_the_page_still_sends_it(
    open_page: OpenPage, product: Product, camera_film: Path
):
    page = open_page("/register")
    fill_registration(page)
    title = f"Camera {make_name()}"
    pieces: list[Route] = []

    def hold_the_second(route: Route) -> None:
        """Let the first piece through; the next waits until the video has been begun."""
        is_first = route.request.headers.get("upload-offset") == "0"
        if route.request.method != "PATCH" or is_first:
            route.continue_()
        else:
            pieces.append(route)

    upload = re.compile(r"/uploads/[0-9a-f-]+$")
    page.route(upload, hold_the_second)
    page.goto(product.url + "/studio")
    page.get_by_test_id("upload-file").set_input_files(str(camera_film))
    page.get_by_test_id("upload-title").fill(title)
    with page.expect_response(re.compile(r"/uploads/[0-9a-f-]+/index$")) as sent:
        page.get_by_test_id("upload-submit").click()
    assert (sent.value.request.method, sent.value.status) == ("PUT", 204)
    folder = product.settings.home / "objects" / "videos"

    def is_begun() -> bool:
        page.wait_for_timeout(100)  # which lets the page's requests come
        return bool(pieces) and any(folder.glob("*/unfinished/first-00000/*"))

    await_true(is_begun, "steps of the film are kept while it waits for its second piece")
    page.unroute(upload)  # which lets the held one go
    card = page.get_by_test_id("video-card").filter(has_text=title)
    expect(card.get_by_test_id("video-status")).to_contain_text(
        re.compile("ready", re.IGNORECASE), timeout=PATIENCE_MS
    )
    assert not list(folder.glob("*/unfinished/*/*"))
