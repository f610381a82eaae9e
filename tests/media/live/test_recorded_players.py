"""A recording of two formats and sizes in Chromium by hls.js, with Opus and without: to its end."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from storage.objects import ObjectStore
from tests.media.live.aac_stage import Made, encode_opus, make_swell
from tests.media.live.recorded_stage import Broadcast

pytestmark = [pytest.mark.browser, pytest.mark.beside]

HLS_JS = Path(__file__).resolve().parents[3] / "web/node_modules/hls.js/dist/hls.min.js"
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
DEADLINE_MS = 60_000
LOAD = """([source, hasOpus]) => {
  const can = MediaSource.isTypeSupported.bind(MediaSource);
  MediaSource.isTypeSupported = (type) => (hasOpus || !/opus/i.test(type)) && can(type);
  const add = MediaSource.prototype.addSourceBuffer;
  window.types = [];
  window.errors = [];
  MediaSource.prototype.addSourceBuffer = function (type) {
    types.push(type);
    return add.call(this, type);
  };
  window.sizes = new Set();
  v.onresize = () => sizes.add(`${v.videoWidth}x${v.videoHeight}`);
  window.hls = new Hls();
  // What is being loaded when another size is asked for is given up, or comes into a buffer that is
  // being emptied for it; a busy machine plays in jerks. hls.js goes on by itself then.
  const usual = ["aborted", "bufferAppendNoProgress", "bufferStalledError", "bufferNudgeOnStall"];
  hls.on(Hls.Events.ERROR, (_, { details, fatal }) => {
    if (fatal || !usual.includes(details)) errors.push(details);
  });
  hls.loadSource(source);
  hls.attachMedia(v);
}"""
PLAY_ANOTHER_SIZE = """() => {
  const now = hls.levels[hls.loadLevel];
  hls.currentLevel = hls.levels.findIndex(
    (level) => level.height !== v.videoHeight && level.audioCodec === now.audioCodec);
  v.play();
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve four seconds of one format and then four of another, and a page with hls.js."""
    folder = tmp_path_factory.mktemp("players")
    cast = Broadcast(ObjectStore.open(f"file://{folder / 'store'}"), uuid.uuid4())
    # As browsers send it: hls.js begins with the sound whose average is the lower one.
    cast.voice = encode_opus(make_swell(4), 64_000)
    cast.publish((640, 360))
    cast.publish((320, 180), offset_s=30)
    Made(cast, folder, ladder=["240p"])
    shutil.copy(HLS_JS, folder)
    (folder / "index.html").write_text("<video id=v muted></video><script src=hls.min.js></script>")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_arguments: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.mark.parametrize(
    ("has_opus", "codec"), [pytest.param(True, "opus", id="with"), (False, "mp4a.40.2")]
)
def test_it_plays_across_its_parts_with_the_sound_a_browser_can(
    chromium: Browser, address: str, has_opus: bool, codec: str
) -> None:
    page = chromium.new_page()
    page.goto(address)
    page.evaluate(LOAD, [f"{address}/master.m3u8", has_opus])
    page.wait_for_function("v.readyState >= 2 && sizes.size === 1", timeout=DEADLINE_MS)
    page.evaluate(PLAY_ANOTHER_SIZE)
    page.wait_for_function("v.ended", timeout=DEADLINE_MS)
    assert page.evaluate("errors") == []
    assert [kind for kind in page.evaluate("types") if kind.startswith("audio")] == [
        f"audio/mp4;codecs={codec}"
    ]
    length_s, shown, heard = page.evaluate(
        "[v.duration, v.videoWidth, v.webkitAudioDecodedByteCount]"
    )
    assert length_s == pytest.approx(8, abs=0.1)
    assert shown == 320
    assert set(page.evaluate("[...sizes]")) == {"640x360", "426x240", "320x180"}
    assert heard > 50_000
    page.close()
