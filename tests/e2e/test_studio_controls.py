"""What the studio has to press while on air: devices, the screen, copies, the health graph."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator

import httpx
import imageio_ffmpeg
import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from tests.documented import read_command
from tests.e2e.conftest import CHROMIUM_FLAGS, CHROMIUM_NAMES
from tests.e2e.people import fill_registration, go_live, make_name, wait_for_picture
from tests.product import Product, await_true

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenPage = Callable[..., Page]
FAKE = "--use-fake-device-for-media-stream"
CLIPBOARD = ["clipboard-read", "clipboard-write"]
PICTURE_SETTINGS = "video => video.srcObject?.getVideoTracks()[0]?.getSettings() ?? {}"
VOICE_SETTINGS = "video => video.srcObject?.getAudioTracks()[0]?.getSettings() ?? {}"
# Remembers what cameras were opened.
OPENED = """
window.opened = [];
const devices = navigator.mediaDevices, openNow = devices.getUserMedia.bind(devices);
devices.getUserMedia = async (wanted) => {
  const stream = await openNow(wanted);
  window.opened.push(...stream.getVideoTracks());
  return stream;
};
"""
# A camera of any size, in few pictures; what is sent is remembered.
ANY_CAMERA = """
globalThis.wantsLargeCamera = true;
const media = navigator.mediaDevices, openAny = media.getUserMedia.bind(media);
media.getUserMedia = (wanted) =>
  openAny({ ...wanted, video: wanted.video && { ...wanted.video, frameRate: 10 } });
const resizeAny = MediaStreamTrack.prototype.applyConstraints;
MediaStreamTrack.prototype.applyConstraints = function (wanted) {
  return resizeAny.call(this, { ...wanted, frameRate: 10 });
};
window.senders = [];
window.voices = [];
const addNow = RTCPeerConnection.prototype.addTransceiver;
RTCPeerConnection.prototype.addTransceiver = function (track, options) {
  const transceiver = addNow.call(this, track, options);
  (track.kind === 'video' ? senders : voices).push(transceiver.sender);
  return transceiver;
};
"""
# Of every session that was ever begun.
SENT = """
senders.map((sender) => sender.getParameters().encodings
  .map(({ maxBitrate, scaleResolutionDownBy }) => [maxBitrate, scaleResolutionDownBy]))
"""
SENT_VOICE = "voices.map(({ track }) => [track.readyState, track.getSettings().deviceId])"
# As in a browser that cannot encode H.264, and on a network that lets no WebRTC through.
NO_H264 = """
const { prototype } = RTCRtpTransceiver, prefer = prototype.setCodecPreferences;
prototype.setCodecPreferences = function (codecs) {
  prefer.call(this, codecs.filter((codec) => codec.mimeType !== 'video/H264'));
};
"""
NO_WEBRTC = """
window.RTCPeerConnection = class {
  constructor() { throw new Error('No network path.'); }
};
"""
# As the browser's own bar does.
STOP_SHARING = """
({ srcObject }) => {
  const [track] = srcObject.getVideoTracks();
  track.stop();
  track.dispatchEvent(new Event('ended'));
}
"""
STILL_ON = "opened.filter((track) => track.readyState === 'live').length"


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Start Chromium with cameras (one of them of depths), microphones and a screen."""
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
    flags = [flag for flag in CHROMIUM_FLAGS if flag != FAKE]
    devices = f"{FAKE}=device-count=3,display-media-type=monitor"
    browser = playwright.chromium.launch(executable_path=path, args=[*flags, devices])
    yield browser
    browser.close()


def begin(open_page: OpenPage, product: Product) -> tuple[Page, str]:
    """Go live as a new person; return the studio's page and the live's address."""
    streamer = enter(open_page, product, OPENED)
    return streamer, go_live(streamer, product, f"Controls {make_name()}")


def enter(open_page: OpenPage, product: Product, init_script: str) -> Page:
    """Return a new person's page, which may use what the studio uses."""
    streamer = open_page("/register", init_script=init_script)
    streamer.context.grant_permissions(["camera", "microphone", *CLIPBOARD], origin=product.url)
    fill_registration(streamer)
    return streamer


def change_devices(streamer: Page) -> None:
    """Take another camera and another microphone; what was left is off."""
    preview = streamer.get_by_test_id("live-preview")
    for label, settings in (("Camera", PICTURE_SETTINGS), ("Microphone", VOICE_SETTINGS)):
        before = preview.evaluate(settings)["deviceId"]
        choice = streamer.get_by_label(label, exact=True)
        values = choice.locator("option").evaluate_all("all => all.map(one => one.value)")
        other = values[-1]
        assert other != before
        choice.select_option(value=other)
        await_true(
            lambda s=settings, o=other: preview.evaluate(s)["deviceId"] == o, f"another {label}"
        )
    assert streamer.evaluate(STILL_ON) == 1, "cameras that were left are off"


def choose_picture(streamer: Page, name: str, bitrate_bps: int) -> None:
    """Choose on air; the session that there is, the only one ever, has the rate of the choice."""
    streamer.get_by_label("Picture", exact=True).select_option(name)
    await_true(
        lambda: streamer.evaluate(SENT) == [[[bitrate_bps, 1]]], f"{name} in the same session"
    )


def walk_about(streamer: Page) -> None:
    """Leave the control room and come back; the session goes on, and the devices are known."""
    streamer.get_by_role("link", name="Explore", exact=True).first.click()
    expect(streamer.get_by_test_id("live-preview")).to_have_count(0)
    streamer.get_by_role("link", name="Back to the control room").click()
    expect(streamer.get_by_label("Microphone", exact=True)).to_be_visible()


def show_screen(streamer: Page) -> None:
    """Show the screen in place of the camera."""
    streamer.get_by_role("button", name="Show the screen").click()
    preview = streamer.get_by_test_id("live-preview")
    await_true(
        lambda: preview.evaluate(PICTURE_SETTINGS).get("displaySurface") == "monitor",
        "the preview shows the screen",
    )


def await_camera(streamer: Page, camera_id: str) -> None:
    """Wait until the preview shows this camera, the only one that is on."""
    preview = streamer.get_by_test_id("live-preview")
    await_true(
        lambda: preview.evaluate(PICTURE_SETTINGS).get("deviceId") == camera_id,
        "the preview shows the camera",
    )
    assert streamer.evaluate(STILL_ON) == 1


def check_acts_on_a_phone(streamer: Page) -> None:
    """What can be done on air stands in one line on a phone."""
    wide = streamer.viewport_size
    assert wide is not None
    streamer.set_viewport_size({"width": 390, "height": 844})
    acts = streamer.locator(".broadcast-acts > :not(.live)")
    tops = acts.evaluate_all("all => all.map((one) => one.getBoundingClientRect().top)")
    assert len(tops) == 3
    assert len(set(tops)) == 1
    streamer.set_viewport_size(wide)


def await_size(streamer: Page, video: Locator, width: int, height: int) -> None:
    """Wait until the camera gives this size, and the viewer sees it."""
    preview = streamer.get_by_test_id("live-preview")
    wanted = [width, height]
    sized = "({ width, height }) => [width, height]"
    await_true(
        lambda: preview.evaluate(f"v => ({sized})(({PICTURE_SETTINGS})(v))") == wanted,
        f"the camera gives {wanted}",
    )
    await_true(
        lambda: read(video, "[v.videoWidth, v.videoHeight]") == wanted, f"the viewer sees {wanted}"
    )


def read(video: Locator, expression: str) -> object:
    """Return something of the video element."""
    return video.evaluate(f"v => {expression}")


def await_pictures(video: Locator) -> None:
    """Wait until a viewer was shown more of them than were on their way."""
    shown = "v.getVideoPlaybackQuality().totalVideoFrames"
    before = read(video, shown)
    assert isinstance(before, int)
    await_true(lambda: int(str(read(video, shown))) > before + 20, "the picture goes on")


def test_the_studio_changes_its_devices_and_shows_the_screen_on_air(
    open_page: OpenPage, product: Product
) -> None:
    streamer = enter(open_page, product, ANY_CAMERA + OPENED)
    streamer.goto(product.url + "/studio/live")
    streamer.get_by_label("Picture", exact=True).select_option("360p")
    # The page that goes live is another one: it remembers the choice.
    address = go_live(streamer, product, f"Controls {make_name()}")
    check_acts_on_a_phone(streamer)
    preview = streamer.get_by_test_id("live-preview")
    change_devices(streamer)
    viewer = open_page(address)
    wait_for_picture(viewer)
    video = viewer.get_by_test_id("live-video")
    await_size(streamer, video, 640, 360)
    assert streamer.evaluate(SENT) == [[[800_000, 1]]]
    choose_picture(streamer, "480p", 1_200_000)
    await_size(streamer, video, 848, 480)
    camera_id = preview.evaluate(PICTURE_SETTINGS)["deviceId"]
    voice = [["live", preview.evaluate(VOICE_SETTINGS)["deviceId"]]]
    assert streamer.evaluate(SENT_VOICE) == voice
    walk_about(streamer)
    show_screen(streamer)
    await_pictures(video)
    assert streamer.evaluate(SENT_VOICE) == voice, "the microphone goes on being heard"
    await_true(lambda: streamer.evaluate(STILL_ON) == 0, "the camera that was left is off")
    walk_about(streamer)
    lines = preview.evaluate(PICTURE_SETTINGS)["height"]
    choose_picture(streamer, "360p", 800_000)
    assert preview.evaluate(PICTURE_SETTINGS)["height"] == lines, "the screen keeps its size"
    preview.evaluate(STOP_SHARING)
    await_camera(streamer, camera_id)
    show_screen(streamer)
    streamer.get_by_role("button", name="Back to the camera").click()
    await_camera(streamer, camera_id)
    await_size(streamer, video, 640, 360)
    await_pictures(video)
    assert streamer.evaluate(SENT) == [[[800_000, 1]]]
    assert streamer.evaluate(SENT_VOICE) == voice
    expect(viewer.get_by_test_id("live-status")).to_contain_text(re.compile("live", re.I))

    copied = "navigator.clipboard.readText()"
    streamer.get_by_test_id("stream-key-show").click()
    key = streamer.get_by_test_id("stream-key").inner_text()
    streamer.get_by_test_id("stream-key-copy").click()
    await_true(lambda: streamer.evaluate(copied) == key, "the key is copied")
    for way in ("whip", "rtmp"):
        streamer.get_by_role("tab", name=way.upper()).click()
        server = streamer.get_by_test_id(f"{way}-address").inner_text()
        streamer.get_by_role("button", name="Copy: Server").click()
        await_true(lambda s=server: streamer.evaluate(copied) == s, "the address is copied")
    health = streamer.get_by_test_id("health-panel")
    expect(health.get_by_role("img", name=re.compile("^Bitrate in"))).to_be_visible()
    sent = streamer.get_by_test_id("publish-stats")
    expect(sent).to_contain_text(re.compile(r"[1-9]\d* kbit/s|[\d.]+ Mbit/s"), timeout=60_000)
    ways = streamer.get_by_test_id("viewer-ways")
    expect(ways).to_contain_text("1 by WebRTC · 0 by HLS", timeout=60_000)

    voice_id = preview.evaluate(VOICE_SETTINGS)["deviceId"]
    streamer.get_by_test_id("revoke-key").click()
    streamer.get_by_test_id("confirm").click()
    await_true(lambda: streamer.evaluate(STILL_ON) == 0, "who is cut off the air has no camera on")
    streamer.get_by_role("button", name="Turn the camera on").click()
    await_camera(streamer, camera_id)
    assert preview.evaluate(VOICE_SETTINGS)["deviceId"] == voice_id
    check_acts_on_a_phone(streamer)


def test_a_browser_without_h264_hears_that_nothing_is_recorded_and_a_viewer_without_webrtc_why(
    open_page: OpenPage, product: Product
) -> None:
    streamer = open_page("/register", init_script=NO_H264)
    fill_registration(streamer)
    address = go_live(streamer, product, f"VP8 {make_name()}")
    viewer = open_page(address, init_script=NO_WEBRTC)
    expect(streamer.get_by_test_id("hls-off")).to_contain_text("comes in as VP8")
    expect(viewer.get_by_test_id("error-state")).to_contain_text("by WebRTC alone")
    streamer.get_by_test_id("end-live").click()
    streamer.get_by_role("dialog").get_by_test_id("confirm").click()
    expect(streamer.get_by_test_id("what-is-kept")).to_contain_text(
        "Nothing of it was kept: the picture came in as VP8"
    )


def is_opened_by(product: Product, key: str) -> bool:
    """Whether the API lets an encoder in with this key."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/sdp"}
    answer = httpx.post(f"{product.url}/whip", headers=headers, content="v=0")
    assert answer.status_code in (307, 401), answer.text
    return answer.status_code == 307


def test_a_key_is_revoked_by_keyboard_and_whoever_publishes_is_cut_until_there_is_another(
    open_page: OpenPage, product: Product
) -> None:
    streamer, address = begin(open_page, product)
    viewer = open_page(address)
    wait_for_picture(viewer)
    streamer.get_by_test_id("stream-key-show").click()
    key = streamer.get_by_test_id("stream-key").inner_text()
    revoke, make = streamer.get_by_test_id("revoke-key"), streamer.get_by_test_id("make-key")
    dialog = streamer.get_by_role("dialog", name="Revoke the stream key?")
    revoke.focus()
    streamer.keyboard.press("Enter")
    expect(dialog).to_contain_text("is cut at once")
    streamer.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(revoke).to_be_focused()
    assert is_opened_by(product, key)

    streamer.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    streamer.get_by_test_id("confirm").press("Enter")
    expect(streamer.get_by_test_id("no-stream-key")).to_have_text("No key")
    expect(streamer.get_by_test_id("live-status")).to_contain_text("Interrupted")
    expect(viewer.get_by_test_id("live-status").first).to_contain_text("Interrupted")
    expect(revoke).to_have_count(0)
    expect(make).to_be_focused()
    expect(streamer.get_by_test_id("error-state")).to_have_count(0)
    assert not is_opened_by(product, key)
    streamer.reload()
    expect(streamer.get_by_test_id("no-stream-key")).to_have_text("No key")
    expect(streamer.get_by_role("tab", name="RTMP")).to_be_visible()

    make.press("Enter")
    streamer.get_by_test_id("stream-key-show").click()
    another = streamer.get_by_test_id("stream-key").inner_text()
    assert is_opened_by(product, another)
    assert not is_opened_by(product, key)
    streamer.get_by_test_id("go-live").click()
    expect(streamer.get_by_test_id("live-status")).to_contain_text(re.compile("live", re.I))
    await_pictures(viewer.get_by_test_id("live-video"))
    make.press("Enter")
    streamer.get_by_test_id("confirm").press("Enter")
    expect(streamer.get_by_test_id("stream-key")).not_to_have_text(another)
    await_true(lambda: not is_opened_by(product, another), "the key before opens nothing")
    expect(streamer.get_by_test_id("live-status")).to_contain_text(re.compile("live", re.I))
    expect(streamer.get_by_test_id("error-state")).to_have_count(0)
    await_pictures(viewer.get_by_test_id("live-video"))


def test_an_encoder_takes_over_from_the_control_room_for_good(
    open_page: OpenPage, product: Product
) -> None:
    streamer, address = begin(open_page, product)
    viewer = open_page(address)
    wait_for_picture(viewer)
    streamer.get_by_test_id("stream-key-show").click()
    key = streamer.get_by_test_id("stream-key").inner_text()
    server = {"http://localhost:8000/whip": f"{product.url}/whip"}
    _program, *words = read_command("WHIP", server, key, seconds=120)
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    encoder = subprocess.Popen([ffmpeg, "-v", "error", "-nostdin", *words])
    try:
        told = streamer.get_by_test_id("error-state")
        expect(told).to_contain_text("Another sender took over", timeout=60_000)
        await_pictures(viewer.get_by_test_id("live-video"))
        expect(streamer.get_by_test_id("live-status")).to_contain_text(re.compile("live", re.I))
        expect(streamer.get_by_test_id("go-live")).to_contain_text("Send from this camera")
        expect(told).to_have_count(1)
        assert encoder.poll() is None, "nobody took the live back from it"
    finally:
        encoder.kill()
        encoder.wait()
