"""Uploading on the page: what is said of a file before and after, and how one is given up."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.people import fill_registration, make_name
from tests.product import Product

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]
PROCESSING_MS = 90_000


def make_film(path: Path) -> Path:
    """Render three seconds with two sounds, the second of which is German."""
    words = [
        *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=10:d=3"),
        *("-f", "lavfi", "-i", "sine=d=3", "-f", "lavfi", "-i", "sine=f=220:d=3"),
        *("-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-pix_fmt", "yuv420p"),
        *("-c:a", "aac", "-metadata:s:a:1", "language=deu", str(path)),
    ]
    subprocess.run(words, check=True, timeout=60)
    return path


def choose(page: Page, product: Product, film: Path, title: str) -> None:
    page.goto(product.url + "/studio")
    page.get_by_test_id("upload-file").set_input_files(str(film))
    page.get_by_test_id("upload-title").fill(title)
    page.get_by_test_id("upload-submit").click()


def test_a_file_says_how_long_it_is_and_its_owner_what_was_left_out(
    open_page: OpenPage, product: Product, tmp_path: Path
):
    page = open_page("/register")
    fill_registration(page)
    title = f"Two sounds {make_name()}"
    with page.expect_request(re.compile(r"/v1/videos$")) as asked:
        choose(page, product, make_film(tmp_path / "film.mp4"), title)
    said = json.loads(asked.value.post_data or "{}")
    assert said["duration_ms"] == pytest.approx(3000, abs=100)
    card = page.get_by_test_id("video-card").filter(has_text=title)
    expect(card.get_by_test_id("video-status")).to_contain_text("Ready", timeout=PROCESSING_MS)
    page.reload()
    expect(card.get_by_test_id("video-warnings")).to_have_text(
        "1 further sound track was left out: track 3 (deu, aac)."
    )


def test_an_upload_that_is_given_up_is_gone(open_page: OpenPage, product: Product, tmp_path: Path):
    page = open_page("/register")
    fill_registration(page)
    title = f"Given up {make_name()}"

    def hold(route: Route) -> None:
        if route.request.method != "PATCH":
            route.continue_()

    page.route("**/uploads/*", hold)
    choose(page, product, make_film(tmp_path / "film.mp4"), title)
    row = page.get_by_test_id("upload-row").filter(has_text=title)
    row.get_by_test_id("upload-pause").click()
    row.get_by_test_id("upload-drop").click()
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as removed:
        page.get_by_test_id("confirm").click()
    assert removed.value.status == 204
    expect(row).to_have_count(0)
    page.reload()
    expect(page.get_by_text("Nothing here yet")).to_be_visible()
