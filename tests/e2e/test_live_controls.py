"""What a live's page has to press, and what it does by itself when WebRTC suffers."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.page_link import lend_link, make_detour
from tests.e2e.people import fill_registration, go_live, make_name, wait_for_picture
from tests.media.sfu.impaired_link import PERFECT, Conditions
from tests.product import Product, await_true

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenPage = Callable[..., Page]
# Remembers where the page's WHEP sessions are; edges answer later than a viewer is patient.
SESSIONS = """
window.sessions = [];
const fetchNow = window.fetch;
window.fetch = async (...words) => {
  const answer = await fetchNow(...words);
  if (/whep/.test(answer.url) && answer.status === 201) {
    await new Promise((resolve) => setTimeout(resolve, 2500));
    window.sessions.push(answer.headers.get('location'));
  }
  return answer;
};
"""
ENOUGH_S = 14
"""A key goes ten seconds back, and the live end of HLS is some seconds before that of WebRTC."""
START = "v.seekable.start(0)"
AT_START = f"Math.abs(v.currentTime - {START}) < 0.5"
LOSSES = 3
"""So many within a minute are called suffering (web/src/live/ways.ts)."""

BAD = Conditions(garbled=0.003)
"""Nearly all of the picture's packets are lost, of what keeps a session one of five."""
STILL_S = 20
"""So much of a picture is watched before it is said to stand still (web/src/live/freezes.ts)."""
LOSSES_MAX = 3
"""So many sessions that broke end WebRTC, too (web/src/live/ways.ts)."""
REST_MS = 90_000
"""The longest first rest from WebRTC (web/src/live/rests.ts)."""
# `window.skippedMs` lets a page believe that so much time has passed.
CLOCK = """
window.skippedMs = 0;
const runMs = performance.now.bind(performance);
performance.now = () => runMs() + window.skippedMs;
"""


def begin(open_page: OpenPage, product: Product) -> tuple[Page, str]:
    """Go live as a new person; return the studio's page and the live's address."""
    streamer = open_page("/register")
    fill_registration(streamer)
    return streamer, go_live(streamer, product, f"Controls {make_name()}")


def read(video: Locator, expression: str) -> object:
    """Return something of the video element."""
    return video.evaluate(f"v => {expression}")


def test_the_keys_of_a_live_do_what_its_buttons_do(open_page: OpenPage, product: Product) -> None:
    _, address = begin(open_page, product)
    viewer = open_page(address)
    wait_for_picture(viewer)
    video, player = viewer.get_by_test_id("live-video"), viewer.locator(".live-video")
    keys = viewer.keyboard
    was_muted = read(video, "v.muted")
    keys.press("m")
    assert read(video, "v.muted") is not was_muted
    keys.press("m")
    assert read(video, "v.muted") is was_muted

    inset = "document.pictureInPictureElement === v"
    for press in (
        lambda: keys.press("p"),
        lambda: keys.press("i"),
        lambda: viewer.get_by_role("button", name="Picture in picture").click(),
    ):
        press()
        await_true(lambda: read(video, inset) is True, "the picture is in a window of its own")
        press()
        await_true(lambda: read(video, inset) is False, "the picture is back in the page")

    full = "document.fullscreenElement?.contains(v) ?? false"
    keys.press("f")
    await_true(lambda: read(video, full) is True, "the picture fills the screen")
    keys.press("f")
    await_true(lambda: read(video, full) is False, "the picture is back in the page")

    await_true(
        lambda: "late" in viewer.get_by_test_id("live-latency").inner_text(), "how late it is"
    )
    bar = viewer.get_by_test_id("dvr-bar")
    await_true(
        lambda: float(bar.get_attribute("max") or 0) >= ENOUGH_S, "there is enough to go back to"
    )
    again = viewer.get_by_test_id("go-live-again")
    keys.press("j")
    expect(player).to_have_attribute("data-way", "hls")
    expect(again).to_have_text(re.compile("behind"))
    again.click()
    expect(again).to_have_text("Live")
    expect(player).to_have_attribute("data-way", "webrtc")
    slow_down(viewer, 800)  # every key comes before HLS has anything to show
    viewer.get_by_role("button", name="Pause").press("Enter")
    expect(viewer.get_by_role("button", name="Play", exact=True)).to_be_focused()
    await_true(lambda: read(video, "v.paused") is True, "the picture stands still")
    keys.press(" ")
    await_true(lambda: read(video, "v.paused") is False, "it goes on from there")
    check_start(viewer)


def slow_down(viewer: Page, latency_ms: int) -> None:
    """Let each request of a page wait so much longer for its answer."""
    network = viewer.context.new_cdp_session(viewer)
    network.send("Network.enable")
    conditions = {"latency": latency_ms, "downloadThroughput": -1, "uploadThroughput": -1}
    network.send("Network.emulateNetworkConditions", {"offline": False, **conditions})


def check_start(viewer: Page) -> None:
    """Go to the live's very first picture, from HLS that stands still and from WebRTC."""
    video, player = viewer.get_by_test_id("live-video"), viewer.locator(".live-video")
    bar, keys = viewer.get_by_test_id("dvr-bar"), viewer.keyboard
    keys.press("k")
    await_true(lambda: read(video, "v.paused") is True, "the picture stands still")
    slow_down(viewer, 0)
    video.focus()
    keys.press("Home")
    await_true(
        lambda: read(video, f"!v.seeking && v.readyState >= 2 && {AT_START}") is True,
        "the first picture is shown",
    )
    assert read(video, "v.paused") is True, "nothing plays by itself"
    expect(bar).to_have_attribute("aria-valuetext", re.compile("^0:0[01] since the start"))
    bar.press("ArrowRight")
    await_true(lambda: read(video, f"v.currentTime - {START} > 3") is True, "five seconds on")
    bar.press("Home")
    await_true(lambda: read(video, AT_START) is True, "the bar leads there, too")
    keys.press("k")
    await_true(lambda: read(video, f"v.currentTime - {START} > 2") is True, "it plays from there")
    keys.press("End")
    expect(player).to_have_attribute("data-way", "webrtc")
    expect(player).to_have_attribute("data-state", "playing")
    bar.press("ArrowLeft")
    expect(player).to_have_attribute("data-way", "hls")
    expect(player).to_have_attribute("data-state", "playing")
    expect(bar).to_be_focused()
    keys.press("Home")
    played = f"v.played.length > 0 && v.played.start(0) - {START} < 1"
    await_true(lambda: read(video, played) is True, "it is played from the start")


def test_webrtc_that_suffers_gives_way_to_hls_and_the_picture_stays(
    open_page: OpenPage, product: Product
) -> None:
    _, address = begin(open_page, product)
    viewer = open_page(address, init_script=SESSIONS)
    wait_for_picture(viewer)
    player = viewer.locator(".live-video")
    for number in range(LOSSES):
        await_true(lambda n=number: viewer.evaluate("sessions.length") > n, "a session is open")
        expect(player).to_have_attribute("data-state", "playing")
        expect(player).to_have_attribute("data-way", "webrtc")
        viewer.evaluate("fetch(sessions.at(-1), {method: 'DELETE'})")
        await_true(lambda n=number: viewer.evaluate("sessions.length") > n + 1, "it joined again")
    expect(player).to_have_attribute("data-way", "hls")
    expect(player).to_have_attribute("data-state", "playing")
    check_moving(viewer, "HLS plays on")
    viewer.close()
    check_still_picture(open_page, product, address)


def check_moving(viewer: Page, what: str) -> None:
    """Wait for two seconds of picture."""
    video = viewer.get_by_test_id("live-video")
    shown = float(str(read(video, "v.currentTime")))
    await_true(lambda: float(str(read(video, "v.currentTime"))) > shown + 2, what)


def check_still_picture(open_page: OpenPage, product: Product, address: str) -> None:
    """Watch over a link that brings too little, until HLS has the picture, and WebRTC again."""
    edge_port = product.settings.edge.udp_port
    with lend_link(edge_port) as link:
        viewer = open_page(address, init_script=CLOCK + make_detour(edge_port, link))
        wait_for_picture(viewer)
        player = viewer.locator(".live-video")
        expect(player).to_have_attribute("data-way", "webrtc")
        lost, opened = link.down.lost, viewer.evaluate("sessionsOpened")
        link.down.conditions = BAD
        expect(player).to_have_attribute("data-way", "hls", timeout=(60 + STILL_S) * 1000)
        assert link.down.lost > lost, "the picture came past the link"
        broken = viewer.evaluate("sessionsOpened") - opened
        assert broken < LOSSES_MAX - 1, "it stood still, no session broke"
        link.down.conditions = PERFECT
        expect(player).to_have_attribute("data-state", "playing")
        check_moving(viewer, "HLS plays on")
        viewer.evaluate(f"skippedMs = {REST_MS}")
        expect(player).to_have_attribute("data-way", "webrtc")
        expect(player).to_have_attribute("data-state", "playing")
        check_moving(viewer, "WebRTC plays again")
        viewer.close()
