"""The whole product, started as its user starts it, and a real Chromium to look at it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from storage.embedded.ports import get_free_port
from tests.product import Product
from tests.serve_apps.edge.coturn import HAS_COTURN
from tests.serve_apps.edge.tls import issue_pair

collect_ignore = [] if HAS_COTURN else ["test_turn_page.py"]
CHROMIUM_NAMES = (
    # The same engine without windows, toolbars and their renderers: a third of the processor time
    # for each context (0.31 s instead of 0.93).
    "chromium-headless-shell",
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
)
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
PATIENCE_MS = 60_000
"""A busy machine is slow, not wrong."""
# The studio sends several sizes on machines with four cores; journeys are the same everywhere.
ONE_PICTURE = """
try { localStorage['studio-several'] ??= 'no'; } catch { /* a blank page has no storage */ }
"""
# Journeys need a moving picture, not a large one: encoding is what costs a browser test most.
SMALL_CAMERA = """
{
  const devices = navigator.mediaDevices;
  const open = devices?.getUserMedia.bind(devices);
  const small = { width: 640, height: 360, frameRate: 10 };
  if (devices) devices.getUserMedia = (wanted) => open(
    wanted?.video && !globalThis.wantsLargeCamera
      ? { ...wanted, video: { ...(wanted.video === true ? {} : wanted.video), ...small } }
      : wanted);
}
"""
FAILED = pytest.StashKey[bool]()
expect.set_options(timeout=PATIENCE_MS)
OPTIONS = {
    "limits_rates_enabled": "false",
    "limits_chat_per_10_s_max": "100000",
    # An edge that is out of breath turns pages away; here the whole machine is.
    "edge_loop_lag_max_ms": "60000",
    # The cameras of journeys are smaller than that; what is larger is made smaller, too.
    "live_ladder": "480p",
    # Films that a test serves are fetched.
    "uploads_import_allowed": "127.0.0.1",
}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, for the fixtures that end after it."""
    report = yield
    item.stash[FAILED] = report.failed or item.stash.get(FAILED, False)
    return report


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Start the product once; every end-to-end test uses the same one, which takes RTMPS, too."""
    pair = str(issue_pair(tmp_path_factory.mktemp("tls")))
    tls = {"rtmp_tls_certificate": pair, "rtmp_tls_key": pair}
    running = Product.start(**OPTIONS, **tls, rtmp_tls_port=str(get_free_port()))
    yield running
    running.stop()


@pytest.fixture(scope="package")
def small_world(product: Product) -> str:
    """Fill the product as `socialflow seed` does, its scenes cut short; return what it printed."""
    result = product.run("seed", "--scene-seconds", "1", timeout_s=240)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Start Playwright once: its loop stays in this thread, so other tests come before these."""
    with sync_playwright() as lent:
        yield lent


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Start Chromium with a fake camera and microphone."""
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
    browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def contexts(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[list[BrowserContext]]:
    """Collect this test's browser contexts; on failure keep a picture of each page."""
    opened: list[BrowserContext] = []
    yield opened
    folder = Path("test-results")
    for number, context in enumerate(opened):
        for page in context.pages if request.node.stash.get(FAILED, False) else ():
            folder.mkdir(exist_ok=True)
            page.screenshot(path=folder / f"{request.node.name}-{number}.png")
        context.close()


def make_person(browser: Browser, product: Product, init_script: str = "") -> BrowserContext:
    """Open a fresh browser context with a small camera, as another person would."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.grant_permissions(["camera", "microphone"], origin=product.url)
    context.add_init_script(ONE_PICTURE + SMALL_CAMERA)
    if init_script:
        context.add_init_script(init_script)
    context.set_default_timeout(PATIENCE_MS)
    return context


@pytest.fixture
def open_page(chromium: Browser, contexts: list[BrowserContext], product: Product):
    """Return a function that opens a fresh browser context, as another person would."""

    def open_fresh(path: str = "/", init_script: str = "") -> Page:
        context = make_person(chromium, product, init_script)
        contexts.append(context)
        page = context.new_page()
        page.goto(product.url + path)
        return page

    return open_fresh


@pytest.fixture(scope="session")
def small_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a four-second MP4 that is quick to transcode and still takes many pieces to upload."""
    path = tmp_path_factory.mktemp("film") / "small.mp4"
    command = [
        *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15:duration=4"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-qp", "1", "-pix_fmt", "yuv420p", str(path)),
    ]
    subprocess.run(command, check=True, timeout=60)
    return path


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a ten-second MP4 with picture and sound."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    command = [
        *(
            "ffmpeg",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "gradients=size=640x360:rate=15:duration=10:seed=7",
        ),
        *("-f", "lavfi", "-i", "sine=frequency=440:duration=10", "-c:v", "libx264"),
        *("-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest", str(path)),
    ]
    subprocess.run(command, check=True, timeout=60)
    return path
