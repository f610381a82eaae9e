"""Chromium when edges die: the studio sends on to the other edge, and the picture goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Response, expect

from cluster.topology import EDGE_PORT_STEP
from tests.e2e.people import fill_registration, go_live, make_name, wait_for_picture
from tests.product import Product

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PATIENCE_S = 60
OpenPage = Callable[..., Page]

# Notes when each picture was shown.
NOTE_PICTURES = """
(video) => {
  window.shownAtMs = [];
  const note = () => {
    window.shownAtMs.push(Date.now());
    video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
}
"""
LONGEST_GAP_MS = """
() => Math.max(...window.shownAtMs.slice(1).map((at, before) => at - window.shownAtMs[before]))
"""


class Sessions:
    """At which edges a page's WebRTC sessions began."""

    def __init__(self, page: Page, product: Product) -> None:
        port = product.settings.edge.port
        self._slots = {port + EDGE_PORT_STEP * slot: slot for slot in range(2)}
        self._page = page
        self.began_at: list[int] = []
        page.on("response", self._note)

    def _note(self, answer: Response) -> None:
        slot = self._slots.get(urlsplit(answer.url).port or 0)
        is_session = any(path in answer.url for path in ("/whip", "/whep/"))
        if slot is not None and is_session and answer.status == 201:
            self.began_at.append(slot)

    def await_at(self, slot: int) -> None:
        """Wait until the page's latest session is at this edge."""
        end_s = time.monotonic() + PATIENCE_S
        while self.began_at[-1:] != [slot]:
            assert time.monotonic() < end_s, f"no session at edge {slot}: {self.began_at}"
            self._page.wait_for_timeout(100)  # what the browser tells arrives meanwhile


def watch(page: Page, product: Product, address: str) -> Sessions:
    """Open a live and note its pictures."""
    sessions = Sessions(page, product)
    page.goto(product.url + address)
    wait_for_picture(page)
    page.get_by_test_id("live-video").evaluate(NOTE_PICTURES)
    return sessions


def await_pictures(page: Page, since: int) -> None:
    """Wait until pictures are shown after a moment."""
    page.wait_for_function(
        "since => window.shownAtMs.filter((at) => at > since).length > 10", arg=since
    )


def now_ms(page: Page) -> int:
    return int(page.evaluate("Date.now()"))


def test_the_picture_goes_on_when_the_edge_of_a_viewer_dies_and_that_of_the_camera(
    open_page: OpenPage, product: Product
):
    streamer = open_page("/register")
    sending = Sessions(streamer, product)
    fill_registration(streamer)
    address = go_live(streamer, product, f"Two edges {make_name()}")
    origin = sending.began_at[-1]
    relay = 1 - origin
    near, far = open_page("/"), open_page("/")
    edge = product.settings.edge
    avoided = f"http://{edge.public_host}:{edge.port + EDGE_PORT_STEP * origin}"
    far.route(
        f"{product.url}/whep/**",
        lambda route: route.continue_(url=f"{route.request.url}?avoid={avoided}"),
        times=1,
    )
    at_origin, at_relay = watch(near, product, address), watch(far, product, address)
    assert (at_origin.began_at, at_relay.began_at) == ([origin], [relay])

    killed = product.kill(f"edge-{relay}")
    at_relay.await_at(origin)
    await_pictures(far, now_ms(far))
    print(f"relay killed: {far.evaluate(LONGEST_GAP_MS)} ms without a picture")
    assert at_origin.began_at == [origin], "who watches at the origin is not touched"
    assert sending.began_at == [origin]

    product.await_new(f"edge-{relay}", killed)
    for page in (near, far):
        page.evaluate("window.shownAtMs = []")
    product.kill(f"edge-{origin}")
    for sessions in (sending, at_origin, at_relay):
        sessions.await_at(relay)
    for page in (near, far):
        await_pictures(page, now_ms(page))
        print(f"origin killed: {page.evaluate(LONGEST_GAP_MS)} ms without a picture")
        expect(page.locator(".live-video")).to_have_attribute("data-way", "webrtc")
    expect(streamer.get_by_test_id("live-status")).to_have_attribute("data-status", "live")
    streamer.get_by_test_id("end-live").click()
