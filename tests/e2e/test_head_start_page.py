"""A film of a camera, uploaded from the page: its index goes ahead, and it is begun on its way."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.held_upload import PIECE_BYTES, HeldUpload
from tests.e2e.people import fill_registration
from tests.media.vod.clips import run_ffmpeg
from tests.product import Product, await_true

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenPage = Callable[..., Page]
PATIENCE_MS = 60_000
PROCESSING_MS = 180_000
SLOWLY = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2_000_000}
PACE = re.compile(r"\d\.\d MB of 1\d(\.\d)? MB / \d\.\d MB/s / \d+ s left")


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
    upload = HeldUpload(page)
    slow = page.context.new_cdp_session(page)
    slow.send("Network.enable")
    slow.send("Network.emulateNetworkConditions", SLOWLY)
    with page.expect_response(re.compile(r"/uploads/[0-9a-f-]+/index$")) as sent:
        title = upload.begin(product, camera_film)
    assert (sent.value.request.method, sent.value.status) == ("PUT", 204)
    row = page.get_by_test_id("upload-row").filter(has_text=title)
    expect(row).to_contain_text(PACE, timeout=PATIENCE_MS)
    share = int(row.get_by_test_id("upload-progress").get_attribute("aria-valuenow") or 0)
    assert 0 < share < 100
    slow.detach()  # which ends the slowness
    folder = product.settings.home / "objects" / "videos"

    def is_begun() -> bool:
        page.wait_for_timeout(100)  # which lets the page's requests come
        return upload.is_held and any(folder.glob("*/unfinished/first-00000/*"))

    await_true(is_begun, "steps of the film are kept while it waits for its second piece")
    expect(row.get_by_test_id("upload-ahead")).to_have_text(
        re.compile(r"^Encoding alongside: [1-9]\d? %$")
    )
    expect(row).to_have_attribute("data-state", "sending")
    upload.let_go()
    card = page.get_by_test_id("video-card").filter(has_text=title)
    expect(card.get_by_test_id("video-status")).to_contain_text(
        re.compile("ready", re.IGNORECASE), timeout=PROCESSING_MS
    )
    assert not list(folder.glob("*/unfinished/*/*"))


def test_the_owner_of_a_fragmented_film_reads_why_it_is_not_begun(
    open_page: OpenPage, product: Product, camera_film: Path, tmp_path: Path
):
    fragmented = tmp_path / "fragmented.mp4"
    run_ffmpeg(
        *("-i", camera_film, "-c", "copy", "-movflags", "frag_keyframe+empty_moov", fragmented)
    )
    page = open_page("/register")
    fill_registration(page)
    title = HeldUpload(page).begin(product, fragmented)
    row = page.get_by_test_id("upload-row").filter(has_text=title)
    expect(row.get_by_test_id("upload-ahead")).to_have_text(
        "Encoding waits for the rest. The file does not say ahead how long it is."
    )
