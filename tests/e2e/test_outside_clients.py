"""WHIP and WHEP clients that others wrote: npm's on a page of another origin, and Pion."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from cluster.bootstrap import find_node
from tests.e2e.conftest import SMALL_CAMERA
from tests.e2e.elsewhere import ask, register, serve_elsewhere
from tests.media.sfu.pion_program import HAS_PION, build_pion
from tests.product import Product, await_true

pytestmark = pytest.mark.browser

WEB = Path(__file__).resolve().parents[2] / "web"
OPEN_CAMERA = """
  const media = {video: true, audio: true};
  const stream = await navigator.mediaDevices.getUserMedia(media);
"""
# Each returns how to leave.
PUBLISH = {
    "medooze": """
  const {MedoozePublisher} = await import('/clients.js');
  const peer = new RTCPeerConnection();
  for (const track of stream.getTracks()) {
    peer.addTransceiver(track, {direction: 'sendonly', streams: [stream]});
  }
  const client = new MedoozePublisher();
  await client.publish(peer, url, token);
  window.restart = () => client.restart();
  window.leave = () => client.stop();
""",
    "eyevinn": """
  const {EyevinnPublisher} = await import('/clients.js');
  const client = new EyevinnPublisher({endpoint: url, opts: {authkey: token}});
  await client.ingest(stream);
  window.leave = () => client.destroy();
""",
}
WATCH = {
    "medooze": """
  const {MedoozePlayer} = await import('/clients.js');
  const peer = new RTCPeerConnection();
  for (const kind of ['audio', 'video']) peer.addTransceiver(kind, {direction: 'recvonly'});
  peer.ontrack = (event) => { document.querySelector('video').srcObject = event.streams[0]; };
  const client = new MedoozePlayer();
  await client.view(peer, url);
  window.restart = () => client.restart();
  window.leave = () => client.stop();
""",
    "eyevinn": """
  const {EyevinnPlayer} = await import('/clients.js');
  const video = document.querySelector('video');
  const player = new EyevinnPlayer({video, type: 'whep', iceServers: []});
  await player.load(new URL(url));
  window.leave = () => player.destroy();
""",
}
COUNT_PICTURES = "v => v.getVideoPlaybackQuality().totalVideoFrames"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bundle the clients and serve them from an origin that is not the product's."""
    folders = find_node(Path(sys.prefix))
    assert folders is not None, "run the tests by `make test`"
    folder = tmp_path_factory.mktemp("clients")
    command = ["node", "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"]
    subprocess.run(
        [*command, "--config", "outside/vite.config.js", "--outDir", str(folder), "--emptyOutDir"],
        cwd=WEB,
        env={"PATH": ":".join([*folders, "/usr/bin", "/bin"])},
        check=True,
        timeout=60,
    )
    with serve_elsewhere(folder) as url:
        yield url


@pytest.fixture
def open_elsewhere(
    chromium: Browser, contexts: list[BrowserContext], elsewhere: str
) -> Callable[[], Page]:
    """Return a function that opens the other origin's page."""

    def open_fresh() -> Page:
        context = chromium.new_context()
        context.grant_permissions(["camera", "microphone"], origin=elsewhere)
        context.add_init_script(SMALL_CAMERA)
        contexts.append(context)
        page = context.new_page()
        page.goto(elsewhere)
        return page

    return open_fresh


def announce(product: Product) -> dict[str, str]:
    """Register somebody, and announce a live of theirs."""
    return ask(product, "/v1/live", {"title": "From elsewhere", "record": False}, register(product))


def await_more_pictures(page: Page) -> None:
    """Wait until more is shown than now."""
    video = page.locator("video")
    before = video.evaluate(COUNT_PICTURES)
    await_true(lambda: video.evaluate(COUNT_PICTURES) > before + 5, "the picture goes on")


@pytest.mark.parametrize("name", ["medooze", "eyevinn"])
def test_a_client_of_npm_publishes_and_another_page_of_it_watches(
    name: str, open_elsewhere: Callable[[], Page], product: Product
):
    live = announce(product)
    publisher, viewer = open_elsewhere(), open_elsewhere()
    publish = f"async ([url, token]) => {{ {OPEN_CAMERA} {PUBLISH[name]} }}"
    publisher.evaluate(publish, [f"{product.url}/whip", live["stream_key"]])
    await_true(lambda: ask(product, f"/v1/live/{live['id']}")["status"] == "live", "it is on air")
    viewer.evaluate(f"async (url) => {{ {WATCH[name]} }}", f"{product.url}/whep/{live['id']}")
    await_more_pictures(viewer)
    if name == "medooze":  # the other one has no ICE restart
        for page in (publisher, viewer):
            page.evaluate("() => window.restart()")
            await_more_pictures(viewer)
    viewer.evaluate("() => window.leave()")
    publisher.evaluate("() => window.leave()")
    await_true(lambda: ask(product, f"/v1/live/{live['id']}")["status"] == "interrupted", "it left")


@pytest.mark.timeout(300)
@pytest.mark.skipif(not HAS_PION, reason="Pion comes with two packages of Debian (make test)")
def test_pion_publishes_with_a_stream_key_and_watches(product: Product, tmp_path: Path) -> None:
    pion, live = build_pion(tmp_path), announce(product)

    def says(status: str) -> bool:
        return bool(ask(product, f"/v1/live/{live['id']}")["status"] == status)

    publisher = subprocess.Popen(
        [pion, "publish", f"{product.url}/whip", live["stream_key"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        await_true(lambda: says("live"), "it is on air")
        watch = [str(pion), "watch", f"{product.url}/whep/{live['id']}", "60"]
        subprocess.run(watch, check=True, timeout=90)  # it fails with fewer pictures
        publisher.communicate(timeout=60)
    finally:
        publisher.kill()
        publisher.wait()
    assert publisher.returncode == 0, "it could say goodbye"
    await_true(lambda: says("interrupted"), "it left")
