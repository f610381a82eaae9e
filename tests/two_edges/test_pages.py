"""Chromium at two edges: one chooses a quality at either, and the picture goes on when one dies."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.failover import OpenPage, TwoEdges
from tests.e2e.people import choose_quality
from tests.e2e.stored_lives import read_stored
from tests.product import Product, await_true

pytestmark = [pytest.mark.browser, pytest.mark.late, pytest.mark.timeout(300)]


def test_a_viewer_at_the_other_edge_has_the_same_choice_of_quality(
    open_page: OpenPage, product: Product
):
    live = TwoEdges(product, open_page, sends_several=True)
    assert live.at_relay.began_at == [live.relay]
    choose_quality(live.far, "180p", (320, 180))
    expect(live.near.get_by_test_id("live-quality")).to_have_value("")
    assert live.at_relay.began_at == [live.relay], "another quality is no other session"
    live.end()


def test_the_picture_goes_on_when_the_edge_of_a_viewer_dies_and_that_of_the_camera(
    open_page: OpenPage, product: Product
):
    live = TwoEdges(product, open_page)
    origin, relay = live.origin, live.relay
    assert (live.at_origin.began_at, live.at_relay.began_at) == ([origin], [relay])
    print(f"relay killed: {live.kill_relay():.0f} ms without a picture")
    assert live.at_origin.began_at == [origin], "who watches at the origin is not touched"
    assert live.sending.began_at == [origin]
    print(f"origin killed: {live.kill_origin():.0f} ms without a picture")
    assert live.at_origin.began_at == [origin, relay]
    assert live.at_relay.began_at == [relay, origin, relay]
    await_true(
        lambda: len(read_stored(product, live.address).generations) > 1,
        "a segment of either origin is stored",
    )
    live.end()
    stored = read_stored(product, live.address)
    assert stored.generations == sorted(stored.generations), "one recording, in their order"
    # On a busy machine the camera may have come more than once again.
    assert stored.gaps == len(stored.generations) - 1 > 0
