"""Lives in Chromium: a camera seen by two others, latency read from pixels, chat, and refusals."""

import itertools
import re
import statistics
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.people import (
    choose_quality,
    fill_registration,
    go_live,
    make_name,
    wait_for_picture,
)
from tests.e2e.test_accessibility import examine
from tests.product import Product, await_true

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]

# getUserMedia returns a canvas that draws the time (milliseconds mod 2^16) as sixteen black or
# white blocks; the viewer reads them back from the decoded picture.
CLOCK_CAMERA = """
navigator.mediaDevices.getUserMedia = async () => {
  const canvas = document.createElement('canvas');
  canvas.width = 640; canvas.height = 360;
  const pen = canvas.getContext('2d');
  let turn = 0;
  setInterval(() => {
    const now = Date.now() & 0xffff;
    pen.fillStyle = `hsl(${turn++ % 360} 60% 40%)`;
    pen.fillRect(0, 0, 640, 360);
    for (let bit = 0; bit < 16; bit++) {
      pen.fillStyle = (now >> bit) & 1 ? '#fff' : '#000';
      pen.fillRect(bit * 40, 0, 40, 120);
    }
  }, 33);
  const audio = new AudioContext();
  const tone = audio.createOscillator(), out = audio.createMediaStreamDestination();
  tone.connect(out); tone.start();
  return new MediaStream([...canvas.captureStream(30).getTracks(), ...out.stream.getTracks()]);
};
"""
READ_CLOCK = """
(video) => new Promise((resolve) => {
  const canvas = document.createElement('canvas');
  canvas.width = 640; canvas.height = 120;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  const reads = [];
  const read = () => {
    pen.drawImage(video, 0, 0, video.videoWidth, video.videoHeight / 3, 0, 0, 640, 120);
    const row = pen.getImageData(0, 60, 640, 1).data;
    let drawn = 0;
    for (let bit = 0; bit < 16; bit++) if (row[(bit * 40 + 20) * 4] > 127) drawn |= 1 << bit;
    reads.push([drawn, (Date.now() - drawn) & 0xffff]);
    reads.length < 60 ? video.requestVideoFrameCallback(read) : resolve(reads);
  };
  video.requestVideoFrameCallback(read);
})
"""


# The API's answers from before a live's start reach the page only after it has shown that the live
# is on air; the camera waits until one was asked for.
LATE_ANSWERS = """
window.lateAnswers = [];
let hasAsked = false;
const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
const fetchNow = window.fetch;
window.fetch = async (...words) => {
  const request = new Request(...words);
  if (request.method === 'POST' && request.url.includes('/whip')) while (!hasAsked) await pause();
  const answer = await fetchNow(...words);
  if (request.method !== 'GET' || !/\\/v1\\/live\\/[0-9a-f-]{36}$/.test(request.url)) return answer;
  const early = await answer.json();
  const {status, headers} = answer;
  if (early.status === 'created') {
    hasAsked = true;
    const shown = () => document.querySelector('[data-testid="live-status"]')?.dataset.status;
    while (shown() !== 'live') await pause();
    setTimeout(() => window.lateAnswers.push(early.status), 500);
  }
  return new Response(JSON.stringify(early), {status, headers});
};
"""


def test_two_viewers_see_a_camera_and_chat_and_learn_that_it_ended(
    open_page: OpenPage, product: Product
):
    streamer = open_page("/register")
    fill_registration(streamer)
    address = go_live(streamer, product, f"Camera {make_name()}")
    viewers = [open_page("/register") for _ in range(2)]
    for viewer in viewers:
        fill_registration(viewer)
        viewer.goto(product.url + address)
    took = [wait_for_picture(viewer) for viewer in viewers]
    for viewer in viewers:
        expect(viewer.locator(".live-video")).to_have_attribute("data-way", "webrtc")
    print(f"time to first frame: {', '.join(f'{ms:.0f} ms' for ms in took)}")

    for number, viewer in enumerate(viewers):
        viewer.get_by_test_id("chat-input").fill(f"hello from {number}")
        viewer.get_by_test_id("chat-send").click()
        expect(
            streamer.get_by_test_id("chat-line").filter(has_text=f"hello from {number}")
        ).to_be_visible()
    for page in (streamer, *viewers):
        lines = page.get_by_test_id("chat-line")
        expect(lines).to_have_count(2)
        expect(lines.nth(0)).to_contain_text("hello from 0")
        expect(lines.nth(1)).to_contain_text("hello from 1")
    for viewer in viewers:
        check_chat_room(viewer)

    streamer.get_by_test_id("end-live").click()
    streamer.get_by_role("dialog").get_by_role("button", name=re.compile("end", re.I)).click()
    for viewer in viewers:
        expect(viewer.get_by_test_id("live-status")).to_contain_text(re.compile("ended", re.I))


def check_chat_room(page: Page) -> None:
    """The lines have the room, not the field to write in; nothing is pinned here."""
    written = page.get_by_test_id("chat-input").bounding_box()
    read = page.get_by_role("log").bounding_box()
    assert written is not None
    assert read is not None
    assert written["height"] < 80 < read["height"]


def read_clock(viewer: Page) -> list[int]:
    """Read sixty pictures' clocks, each later than the last; return how late they were, in ms."""
    reads = viewer.get_by_test_id("live-video").evaluate(READ_CLOCK)
    drawn = [at for at, _ in reads]
    steps = [(after - before) & 0xFFFF for before, after in itertools.pairwise(drawn)]
    assert max(steps) < 1 << 15, f"a step back, or a block that was misread: {drawn}"
    assert len(set(drawn)) > 30, "the pictures differ"
    return [late for _, late in reads]


def test_a_viewer_sees_the_cameras_pictures_in_their_order_and_in_the_size_of_their_choice(
    open_page: OpenPage, product: Product
):
    streamer = open_page("/register", init_script=CLOCK_CAMERA)
    fill_registration(streamer)
    streamer.goto(product.url + "/studio/live")
    streamer.get_by_test_id("send-several").check()
    address = go_live(streamer, product, f"Clock {make_name()}")
    viewer = open_page(address)
    first_ms = wait_for_picture(viewer)
    late = read_clock(viewer)
    print(
        f"latency: median {statistics.median(late):.0f} ms, "
        f"90th percentile {sorted(late)[53]:.0f} ms; first frame after {first_ms:.0f} ms"
    )
    choose_quality(viewer, "180p", (320, 180))
    streamer.get_by_test_id("end-live").click()


def test_an_answer_from_before_the_start_does_not_put_a_live_back_on_standby(
    open_page: OpenPage, product: Product
):
    streamer = open_page("/register", init_script=LATE_ANSWERS)
    fill_registration(streamer)
    go_live(streamer, product, f"Late {make_name()}")
    await_true(lambda: streamer.evaluate("window.lateAnswers.length > 0"), "an answer arrives")
    assert streamer.evaluate("window.lateAnswers")[0] == "created"
    expect(streamer.get_by_test_id("live-status")).to_have_attribute("data-status", "live")


# As on a network that ends every WebSocket before it opens.
NO_SOCKETS = """
window.WebSocket = class {
  readyState = 0; onopen = null; onmessage = null; onclose = null;
  constructor() {
    setTimeout(() => {
      this.readyState = 3;
      this.onclose?.(new CloseEvent('close', {code: 1006}));
    }, 20);
  }
  send() {}
  close() {}
};
"""


@pytest.mark.timeout(300)
def test_where_no_socket_opens_the_room_goes_on_over_a_stream(
    open_page: OpenPage, product: Product
):
    host = open_page("/register")
    fill_registration(host)
    address = go_live(host, product, f"Stream {make_name()}")
    viewer = open_page("/register", init_script=NO_SOCKETS)
    fill_registration(viewer)
    refused: list[str] = []
    viewer.on("console", lambda said: refused.append(said.text) if said.type == "error" else None)
    viewer.goto(product.url + address)
    connection = viewer.get_by_test_id("chat-connection")
    expect(connection).to_contain_text("Connected the slow way", timeout=60_000)
    expect(connection).to_have_attribute("data-state", "open")

    for page, other, text in ((viewer, host, "over a stream"), (host, viewer, "over a socket")):
        page.get_by_test_id("chat-input").fill(text)
        page.get_by_test_id("chat-send").click()
        for reader in (page, other):
            line = reader.get_by_test_id("chat-line").filter(has_text=text)
            expect(line).to_have_attribute("data-state", "sent", timeout=60_000)
            expect(line).to_have_count(1)
    viewer.get_by_test_id("react-fire").click()
    for page in (viewer, host):
        fire = page.get_by_test_id("react-fire")
        expect(fire).to_have_accessible_name("React with fire, 1 so far", timeout=60_000)
    # A page that met a busy edge tries the socket again after a minute.
    expect(host.get_by_test_id("react-fire")).to_be_enabled(timeout=90_000)
    host.get_by_test_id("react-fire").click()
    fire = viewer.get_by_test_id("react-fire")
    expect(fire).to_have_accessible_name("React with fire, 2 so far", timeout=60_000)

    host.get_by_test_id("end-live").click()
    host.get_by_role("dialog").get_by_test_id("confirm").click()
    expect(viewer.get_by_test_id("live-status")).to_have_text("Ended", timeout=60_000)
    assert [text for text in refused if "Content Security Policy" in text] == []


# As on a network that lets no UDP through; `window.isWebrtcOpen = true` ends that.
NO_WEBRTC = """
const Peer = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Peer {
  constructor(...words) {
    if (!window.isWebrtcOpen) throw new Error('No network path.');
    super(...words);
  }
};
"""


@pytest.mark.timeout(300)
def test_where_webrtc_fails_the_picture_comes_by_hls_and_stays_as_a_video(
    open_page: OpenPage, product: Product
):
    streamer = open_page("/register", init_script=CLOCK_CAMERA)
    fill_registration(streamer)
    address = go_live(streamer, product, f"By HLS {make_name()}")
    viewer = open_page("/register", init_script=NO_WEBRTC)
    fill_registration(viewer)
    asked: list[str] = []
    viewer.on("request", lambda request: asked.append(request.url))
    viewer.goto(product.url + address)
    player = viewer.locator(".live-video")
    expect(player).to_have_attribute("data-way", "hls", timeout=60_000)
    wait_for_picture(viewer)
    assert any("/audio/index.m3u8" in url for url in asked)
    assert not any("/aac/" in url for url in asked)  # who can play Opus makes nobody encode
    late = read_clock(viewer)
    print(f"latency by HLS: median {statistics.median(late):.0f} ms, worst {max(late)} ms")
    expect(viewer.get_by_test_id("live-latency")).to_contain_text("s late", timeout=60_000)

    # Back in time by keyboard, and live again by the button.
    live = viewer.get_by_test_id("go-live-again")
    expect(live).to_have_attribute("aria-pressed", "true")
    bar = viewer.get_by_test_id("dvr-bar").element_handle()
    viewer.wait_for_function("bar => bar.max > 12", arg=bar)  # who is not 6 s behind is live
    viewer.keyboard.press("j")
    expect(live).to_contain_text("behind", timeout=60_000)
    live.click()
    expect(live).to_have_attribute("aria-pressed", "true", timeout=60_000)

    # WebRTC takes over by itself once it can.
    viewer.evaluate("window.isWebrtcOpen = true")
    expect(player).to_have_attribute("data-way", "webrtc", timeout=60_000)
    wait_for_picture(viewer)

    viewer.get_by_test_id("clip").click()
    expect(viewer.get_by_test_id("watch-clip")).to_be_visible(timeout=60_000)
    streamer.get_by_test_id("end-live").click()
    streamer.get_by_role("dialog").get_by_test_id("confirm").click()
    recording = viewer.get_by_test_id("watch-recording")
    expect(recording).to_be_visible(timeout=60_000)
    recording.click()
    video = viewer.get_by_test_id("player-video")
    expect(video).to_be_visible(timeout=60_000)
    # Both at one moment: the player is loaded anew once the recording has more qualities.
    viewer.wait_for_function(
        """() => {
            const video = document.querySelector("[data-testid=player-video]");
            return video.readyState >= 2 && video.duration > 5;
        }""",
        timeout=60_000,
    )
    check_analytics(streamer)


def check_analytics(streamer: Page) -> None:
    """Its streamer reads how it went: curves, and the same as a table."""
    streamer.get_by_test_id("open-analytics").click()
    page = streamer.get_by_test_id("live-analytics")
    expect(page.get_by_role("img", name=re.compile(r"^Viewers\."))).to_be_visible(timeout=60_000)
    expect(page.locator("dl > div").filter(has_text="Most at once").locator("dd")).to_have_text("1")
    page.get_by_test_id("points-table").locator("summary").click()
    table = page.get_by_role("region", name=re.compile("^How “By HLS"))
    expect(table.get_by_role("columnheader", name="Lines per minute")).to_be_visible()
    assert table.get_by_role("row").count() > 1
    assert examine(streamer) == []


def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_wrong_key_an_unknown_room_and_a_malformed_offer_are_refused(product: Product):
    sdp = {"Content-Type": "application/sdp"}
    status, _ = post(f"{product.url}/whip", b"v=0\r\n", sdp | {"Authorization": "Bearer wrong"})
    assert status == 401
    status, _ = post(f"{product.url}/whep/01900000-0000-7000-8000-000000000000", b"v=0\r\n", sdp)
    assert status == 404
