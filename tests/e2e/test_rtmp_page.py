"""An encoder set up as the studio says goes live by RTMP; a second browser sees its picture."""

import subprocess
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.people import make_name, prepare_rtmp, wait_for_picture
from tests.product import Product, await_true

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

OpenPage = Callable[..., Page]


def is_dark(video: Locator) -> bool:
    """Say whether the corner of the picture is a slate's ground; the encoder's is red."""
    pixel = video.evaluate(
        """v => {
            const context = document.createElement("canvas").getContext("2d");
            context.drawImage(v, 0, 0, 32, 18);
            return Array.from(context.getImageData(2, 2, 1, 1).data);
        }"""
    )
    return max(pixel[:3]) < 40


@pytest.mark.parametrize("b_frames", [0, 2], ids=["by-webrtc", "with-b-frames-by-hls"])
def test_an_encoder_goes_live_as_the_studio_says(
    product: Product, open_page: OpenPage, b_frames: int
):
    page = open_page()
    place, viewer_page = prepare_rtmp(page, product, f"From an encoder {make_name()}")
    encoder = subprocess.Popen(
        f"ffmpeg -v error -nostdin -re -f lavfi -i testsrc2=size=640x360:rate=25:duration=120"
        f" -f lavfi -i sine=duration=120 -c:v libx264 -preset ultrafast -g 50 -bf {b_frames}"
        f" -pix_fmt yuv420p -c:a aac -f flv {place}".split()
    )
    try:
        expect(page.get_by_test_id("live-status")).to_contain_text("Live", timeout=60_000)
        viewer = open_page()
        viewer.goto(f"{product.url}{viewer_page}")
        took_ms = wait_for_picture(viewer)
        video = viewer.get_by_test_id("live-video")
        began_s = video.evaluate("v => v.currentTime")
        await_true(lambda: video.evaluate("v => v.currentTime") > began_s + 1, "it plays on")
        print(f"\nthe first picture after {took_ms / 1000:.1f} s")
        assert video.evaluate("v => [v.videoWidth, v.videoHeight]") == [640, 360]
        assert encoder.poll() is None
        if b_frames:
            encoder.kill()
            await_true(lambda: is_dark(video), "a slate stands in for the encoder", timeout_s=60)
            assert video.evaluate("v => v.error") is None
        page.get_by_test_id("end-live").click()
        page.get_by_role("button", name="End broadcast").click()
        expect(viewer.get_by_test_id("live-status")).to_contain_text("Ended", timeout=60_000)
        await_true(lambda: encoder.poll() is not None, "the encoder is cut", timeout_s=60)
    finally:
        encoder.kill()
        encoder.wait()
