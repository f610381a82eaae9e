"""A live in two sizes: a viewer by HLS changes from one to the other by hand."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from tests.e2e.people import make_name, prepare_rtmp, trust_product, wait_for_picture
from tests.e2e.test_live_page import NO_WEBRTC
from tests.ladder_processes import find_ladders
from tests.product import Product, await_true

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

OpenPage = Callable[..., Page]


def await_height(quality: Locator, video: Locator, label: str, height: int) -> None:
    """Choose a size, again and again while it is not made, until it is what plays."""

    def is_shown() -> bool:
        with contextlib.suppress(TimeoutError):  # a busy machine gives a size up for a minute
            quality.select_option(label=label, timeout=1_000)
        return bool(video.evaluate("v => v.videoHeight") == height)

    await_true(is_shown, f"{label} plays", timeout_s=150)
    began_s = video.evaluate("v => v.currentTime")
    await_true(lambda: video.evaluate("v => v.currentTime") > began_s + 1, "it plays on")
    assert video.evaluate("v => v.error") is None


def kill_ladders(product: Product, known: set[int]) -> set[int]:
    """Kill the processes that make smaller pictures for the product's edge; return which."""
    found = find_ladders(product.pids("edge-0")) - known
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    return found


def test_a_viewer_by_hls_chooses_the_smaller_picture_and_the_larger_again(
    product: Product, open_page: OpenPage
):
    page = open_page()
    place, address = prepare_rtmp(page, product, f"In two sizes {make_name()}")
    encoder = subprocess.Popen(
        f"ffmpeg -v error -nostdin -re -f lavfi -i testsrc2=size=960x720:rate=10:duration=600"
        f" -f lavfi -i sine=duration=600 -c:v libx264 -preset ultrafast -g 20"
        f" -pix_fmt yuv420p -c:a aac -f flv {place}".split(),
        env=trust_product(product),
    )
    try:
        expect(page.get_by_test_id("live-status")).to_contain_text("Live", timeout=60_000)
        viewer = open_page(init_script=NO_WEBRTC)
        asked: list[str] = []
        viewer.on("request", lambda request: asked.append(request.url))
        viewer.goto(f"{product.url}{address}")
        expect(viewer.locator(".live-video")).to_have_attribute("data-way", "hls", timeout=60_000)
        wait_for_picture(viewer)
        video, quality = viewer.get_by_test_id("live-video"), viewer.get_by_test_id("live-quality")
        labels = quality.locator("option")
        expect(labels).to_have_count(3, timeout=150_000)
        assert labels.all_inner_texts()[1:] == ["720p", "480p"]
        await_height(quality, video, "480p", 480)
        assert any("/480p/index.m3u8" in url for url in asked)
        expect(labels.first).to_have_text("Auto (480p)")
        print(f"\nranges loaded: {video.evaluate('v => v.buffered.length')}")
        await_height(quality, video, "720p", 720)

        await_height(quality, video, "480p", 480)
        killed: set[int] = set()

        def is_larger() -> bool:
            killed.update(kill_ladders(product, killed))
            return bool(video.evaluate("v => v.videoHeight") == 720)

        await_true(is_larger, "the source plays when 480p is given up", timeout_s=120)
        assert killed, "it was not given up by itself"
        expect(quality).to_have_value("")
        began_s = video.evaluate("v => v.currentTime")
        await_true(lambda: video.evaluate("v => v.currentTime") > began_s + 1, "it plays on")
        assert encoder.poll() is None
        page.get_by_test_id("end-live").click()
        page.get_by_role("button", name="End broadcast").click()
        expect(viewer.get_by_test_id("live-status")).to_contain_text("Ended", timeout=60_000)
    finally:
        encoder.kill()
        encoder.wait()
