"""What a person does on the page: get an account, go live, wait for a picture."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

from playwright.sync_api import Page, expect

from kit.settings import copy_environment
from tests.product import Product, await_true

FIRST_FRAME_MS = 60_000


def make_name() -> str:
    """Return a fresh short name."""
    return uuid.uuid4().hex[:10]


def fill_registration(page: Page) -> str:
    """Register on the open registration page; return the username."""
    name = f"u_{make_name()}"
    page.get_by_test_id("register-username").fill(name)
    page.get_by_test_id("register-email").fill(f"{name}@example.com")
    page.get_by_test_id("register-password").fill("correct horse 7")
    page.get_by_test_id("register-submit").click()
    expect(page.get_by_test_id("user-menu")).to_be_visible()
    return name


def go_live(page: Page, product: Product, title: str) -> str:
    """Go live from the studio; return the page address of the live."""
    page.goto(product.url + "/studio/live")
    page.get_by_test_id("live-title").fill(title)
    page.get_by_test_id("go-live").click()
    expect(page.get_by_test_id("live-status")).to_contain_text(
        re.compile("live", re.IGNORECASE), timeout=FIRST_FRAME_MS
    )
    return read_address(page)


def read_address(page: Page) -> str:
    """Return the address of the live that is open in the control room."""
    address = page.get_by_test_id("open-live").get_attribute("href")
    assert address is not None, "the link leads to the live"
    return address


def prepare_rtmp(page: Page, product: Product, title: str) -> tuple[str, str]:
    """Prepare a live as a new person; return where an encoder sends it and the live's address."""
    server, key, address = prepare_encoder(page, product, title, "RTMP")
    return f"{server}/{key}", address


def prepare_encoder(page: Page, product: Product, title: str, way: str) -> tuple[str, str, str]:
    """Prepare a live as a new person; return what the studio shows for a way, and the address."""
    page.goto(product.url + "/register")
    fill_registration(page)
    page.goto(product.url + "/studio/live")
    page.get_by_test_id("live-title").fill(title)
    page.get_by_test_id("prepare-live").click()
    page.get_by_role("tab", name=way).click()
    server = page.get_by_test_id(f"{way.lower()}-address").inner_text()
    page.get_by_test_id("stream-key-show").click()
    key = page.get_by_test_id("stream-key").inner_text()
    return server, key, read_address(page)


def trust_product(product: Product) -> dict[str, str]:
    """Return an environment in which encoders trust the product's certificate for RTMPS.

    FFmpeg 8 checks certificates; OpenSSL reads from its environment whose.
    """
    authority = Path(product.settings.rtmp.tls_certificate).with_name("authority.pem")
    return {**copy_environment(), "SSL_CERT_FILE": str(authority)}


def wait_for_picture(page: Page) -> float:
    """Wait for the first decoded frame; return the milliseconds since navigation."""
    video = page.get_by_test_id("live-video")
    expect(video).to_be_visible()
    await_true(lambda: video.evaluate("v => v.videoWidth") > 0, "a picture arrives")
    took = video.evaluate(
        "v => new Promise(r => v.requestVideoFrameCallback(() => r(performance.now())))"
    )
    return float(took)


def choose_quality(viewer: Page, label: str, size: tuple[int, int]) -> None:
    """Choose a quality by hand; the picture changes, and the menu says what plays."""
    quality = viewer.get_by_test_id("live-quality")
    expect(quality).to_be_visible(timeout=60_000)
    expect(quality.locator("option")).to_have_count(3)
    quality.select_option(label=label)
    viewer.wait_for_function(
        "([w, h]) => { const v = document.querySelector('[data-testid=live-video]');"
        " return v.videoWidth === w && v.videoHeight === h; }",
        arg=list(size),
        timeout=60_000,
    )
    expect(quality.locator("option").first).to_have_text(f"Auto ({label})", timeout=60_000)


def log_in(page: Page, product: Product, login: str, password: str) -> None:
    """Log in as somebody who has an account."""
    page.goto(product.url + "/login")
    page.get_by_test_id("login-login").fill(login)
    page.get_by_test_id("login-password").fill(password)
    page.get_by_test_id("login-submit").click()
    expect(page.get_by_test_id("user-menu")).to_be_visible()
