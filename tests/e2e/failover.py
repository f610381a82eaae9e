"""A live in Chromium on two edges, of which one or the other is killed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import Page, Response, expect

from cluster.topology import EDGE_PORT_STEP
from tests.e2e.people import fill_registration, go_live, make_name, wait_for_picture
from tests.product import Product

PATIENCE_S = 60
PICTURES_MIN = 10
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
SHOWN_SINCE = """
([since, least]) => window.shownAtMs.filter((at) => at > since).length > least
"""


class Sessions:
    """At which edges a page's WebRTC sessions began, by slot."""

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

    def settle(self) -> None:
        """It plays: what was tried at an edge again until then, on a busy machine, is one."""
        self.began_at = [slot for slot, _again in itertools.groupby(self.began_at)]


class TwoEdges:
    """A camera and a viewer at one edge, a second viewer at the other one."""

    def __init__(
        self, product: Product, open_page: OpenPage, *, sends_several: bool = False
    ) -> None:
        self._product = product
        self.streamer = open_page("/register")
        self.sending = Sessions(self.streamer, product)
        fill_registration(self.streamer)
        if sends_several:
            self.streamer.goto(product.url + "/studio/live")
            self.streamer.get_by_test_id("send-several").check()
        self.address = address = go_live(self.streamer, product, f"Two edges {make_name()}")
        self.sending.settle()
        self.origin = self.sending.began_at[-1]
        self.near, self.far = open_page("/"), open_page("/")
        self._send_elsewhere(self.far)
        self.at_origin = self._watch(self.near, address)
        self.at_relay = self._watch(self.far, address)

    @property
    def relay(self) -> int:
        """The slot of the edge that the camera does not send to."""
        return 1 - self.origin

    def kill_relay(self) -> float:
        """Kill the second viewer's edge; return its longest time without a picture, in ms."""
        killed = self._kill(self.relay)
        self.at_relay.await_at(self.origin)
        gap_ms = self._await_pictures(self.far)
        self.at_relay.settle()
        self._product.await_new(f"edge-{self.relay}", killed)
        return gap_ms

    def kill_origin(self) -> float:
        """Kill the edge that all are at; return a viewer's longest time without a picture."""
        killed = self._kill(self.origin)
        for sessions in (self.sending, self.at_origin, self.at_relay):
            sessions.await_at(self.relay)
        gap_ms = max(self._await_pictures(page) for page in (self.near, self.far))
        for sessions in (self.sending, self.at_origin, self.at_relay):
            sessions.settle()
        self._product.await_new(f"edge-{self.origin}", killed)
        self.origin = self.relay
        return gap_ms

    def move_second_viewer(self) -> None:
        """Let the second viewer come again, at the other edge."""
        self._send_elsewhere(self.far)
        self.far.reload()
        self._note_pictures(self.far)
        assert self.at_relay.began_at[-1] == self.relay

    def end(self) -> None:
        """End the live."""
        expect(self.streamer.get_by_test_id("live-status")).to_have_attribute("data-status", "live")
        self.streamer.get_by_test_id("end-live").click()

    def _send_elsewhere(self, page: Page) -> None:
        edge = self._product.settings.edge
        avoided = f"http://{edge.public_host}:{edge.port + EDGE_PORT_STEP * self.origin}"
        page.route(
            f"{self._product.url}/whep/**",
            lambda route: route.continue_(url=f"{route.request.url}?avoid={avoided}"),
        )

    def _watch(self, page: Page, address: str) -> Sessions:
        sessions = Sessions(page, self._product)
        page.goto(self._product.url + address)
        self._note_pictures(page)
        sessions.settle()
        return sessions

    def _note_pictures(self, page: Page) -> None:
        wait_for_picture(page)
        # On a busy machine HLS may be first; WebRTC is tried again until it plays.
        way = page.locator(".live-video")
        expect(way).to_have_attribute("data-way", "webrtc", timeout=PATIENCE_S * 1000)
        page.unroute(f"{self._product.url}/whep/**")  # from now on it goes where it is sent
        page.get_by_test_id("live-video").evaluate(NOTE_PICTURES)

    def _kill(self, slot: int) -> int:
        for page in (self.near, self.far):
            page.wait_for_function("() => window.shownAtMs.length > 0")
            page.evaluate("window.shownAtMs = window.shownAtMs.slice(-1)")
        return self._product.kill(f"edge-{slot}")

    def _await_pictures(self, page: Page) -> float:
        since = int(page.evaluate("Date.now()"))
        page.wait_for_function(SHOWN_SINCE, arg=[since, PICTURES_MIN])
        expect(page.locator(".live-video")).to_have_attribute("data-way", "webrtc")
        return float(page.evaluate(LONGEST_GAP_MS))
