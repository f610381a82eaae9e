"""FFmpeg in a loop at two edges, of which the one it sends to dies: the same live goes on."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.encoder_failover import EncoderLive
from tests.e2e.failover import OpenPage
from tests.product import Product, await_true

pytestmark = [pytest.mark.browser, pytest.mark.late, pytest.mark.timeout(300)]


@pytest.mark.parametrize("way", ["RTMP", "WHIP"])
def test_an_encoder_that_comes_back_goes_on_with_its_live_and_its_recording(
    open_page: OpenPage, product: Product, way: str
):
    live = EncoderLive(product, open_page, way)
    try:
        killed = live.find_origin()
        comeback = live.kill_origin()
        # On a busy machine the killed edge may be back before the encoder is.
        print(f"\n{way}, from {killed} to {live.find_origin()}: {comeback}")
        await_true(
            lambda: len(live.read_stored().generations) == 2,
            "a segment of either origin is stored",
        )
        live.end()
    finally:
        live.encoder.stop()
    print(f"{way}: {live.read_stored()}")
    stored = live.read_stored()
    assert stored.generations == sorted(stored.generations)
    assert len(stored.generations) == 2
    assert stored.gaps == 1
    expect(live.viewer.get_by_test_id("live-status")).to_contain_text("Ended")
