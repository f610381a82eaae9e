"""An encoder set up as the studio says goes live by RTMPS; a second browser sees its picture.

By RTMP without TLS encoders go live in `tests/two_edges`.
"""

import signal
import subprocess
from collections.abc import Callable

import imageio_ffmpeg
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.documented import read_command
from tests.e2e.people import (
    make_name,
    prepare_encoder,
    prepare_rtmp,
    trust_product,
    wait_for_picture,
)
from tests.product import Product, await_true

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

TEST_MAX_S = 180

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


H264 = "ffmpeg", "-c:v libx264 -preset ultrafast -bf 0 -c:a aac"
B_FRAMES = "ffmpeg", "-c:v libx264 -preset ultrafast -bf 2 -c:a aac"
NEWER = imageio_ffmpeg.get_ffmpeg_exe()
"""Debian's FFmpeg knows no enhanced RTMP."""
AV1 = NEWER, "-c:v libsvtav1 -preset 12 -svtav1-params lp=1 -c:a libopus -b:a 96k"
HEVC = NEWER, "-c:v libx265 -preset ultrafast -x265-params log-level=error -bf 0 -c:a aac"


def publish(product: Product, place: str, encoding: tuple[str, str]) -> subprocess.Popen[bytes]:
    """Let an encoder send a test picture and a tone for longer than a test may take."""
    program, words = encoding
    return subprocess.Popen(
        f"{program} -v error -nostdin -re"
        f" -f lavfi -i testsrc2=size=640x360:rate=15:duration={TEST_MAX_S}"
        f" -f lavfi -i sine=duration={TEST_MAX_S} {words}"
        f" -g 30 -pix_fmt yuv420p -f flv {place}".split(),
        env=trust_product(product),
    )


@pytest.mark.parametrize(
    "encoding", [H264, B_FRAMES, AV1], ids=["by-webrtc", "with-b-frames-by-hls", "av1-by-webrtc"]
)
def test_an_encoder_goes_live_as_the_studio_says(
    product: Product, open_page: OpenPage, encoding: tuple[str, str]
):
    page = open_page()
    place, viewer_page = prepare_rtmp(page, product, f"From an encoder {make_name()}")
    assert place.startswith("rtmps://"), "the studio shows the way that is encrypted"
    encoder = publish(product, place, encoding)
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
        told = page.get_by_test_id("b-frames")
        if encoding == B_FRAMES:
            expect(told).to_contain_text("Set B-frames to 0", timeout=60_000)
            encoder.kill()
            await_true(lambda: is_dark(video), "a slate stands in for the encoder", timeout_s=60)
            assert video.evaluate("v => v.error") is None
        else:
            expect(page.get_by_test_id("health-panel")).to_contain_text("Comes in")
            expect(told).to_have_count(0)
        page.get_by_test_id("end-live").click()
        page.get_by_role("button", name="End broadcast").click()
        expect(viewer.get_by_test_id("live-status")).to_contain_text("Ended", timeout=60_000)
        await_true(lambda: encoder.poll() is not None, "the encoder is cut", timeout_s=60)
    finally:
        encoder.kill()
        encoder.wait()


def test_ffmpegs_whip_muxer_goes_live_as_documented_with_the_studios_address_and_key(
    product: Product, open_page: OpenPage
):
    page = open_page()
    title = f"By WHIP {make_name()}"
    server, key, viewer_page = prepare_encoder(page, product, title, "WHIP")
    program, *words = read_command(
        "WHIP", {"http://localhost:8000/whip": server}, key, seconds=TEST_MAX_S
    )
    assert program == "ffmpeg"
    encoder = subprocess.Popen([NEWER, "-v", "error", "-nostdin", *words])
    try:
        expect(page.get_by_test_id("live-status")).to_contain_text("Live", timeout=60_000)
        viewer = open_page()
        viewer.goto(f"{product.url}{viewer_page}")
        wait_for_picture(viewer)
        video = viewer.get_by_test_id("live-video")
        began_s = video.evaluate("v => v.currentTime")
        await_true(lambda: video.evaluate("v => v.currentTime") > began_s + 1, "it plays on")
        encoder.send_signal(signal.SIGINT)
        encoder.wait(timeout=60)
        status = page.get_by_test_id("live-status")
        expect(status).to_have_attribute("data-status", "interrupted", timeout=60_000)
    finally:
        encoder.kill()
        encoder.wait()


def test_a_browser_that_decodes_no_hevc_says_so(product: Product, open_page: OpenPage):
    page = open_page()
    place, viewer_page = prepare_rtmp(page, product, f"In HEVC {make_name()}")
    encoder = publish(product, place, HEVC)
    try:
        expect(page.get_by_test_id("live-status")).to_contain_text("Live", timeout=60_000)
        viewer = open_page()
        viewer.goto(f"{product.url}{viewer_page}")
        if viewer.evaluate("MediaSource.isTypeSupported('video/mp4; codecs=\"hvc1.1.6.L90.B0\"')"):
            pytest.skip("this Chromium decodes HEVC")
        problem = viewer.get_by_test_id("error-state")
        expect(problem).to_contain_text("cannot play the codec of this live", timeout=60_000)
    finally:
        encoder.kill()
        encoder.wait()
