"""The first hour of a new site, in Chromium: register, upload, watch, post, follow, log out."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Response, Route, expect

from tests.e2e.people import fill_registration, make_name
from tests.product import Product, await_true, fetch

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenPage = Callable[..., Page]
PROCESSING_MS = 180_000
PLAY_AND_NOTE_WAITS = """v => {
  globalThis.waitedAt = 0;
  v.addEventListener('waiting', () => { globalThis.waitedAt = v.currentTime; });
  v.muted = true;
  return v.play();
}"""


def upload(page: Page, product: Product, file: Path, title: str) -> None:
    page.goto(product.url + "/studio")
    page.get_by_test_id("upload-file").set_input_files(str(file))
    page.get_by_test_id("upload-title").fill(title)
    page.get_by_test_id("upload-submit").click()


def test_a_person_registers_logs_out_and_in_again(open_page: OpenPage, product: Product):
    page = open_page("/register")
    name = fill_registration(page)
    page.get_by_test_id("user-menu").click()
    page.get_by_test_id("logout").click()
    page.goto(product.url + "/login")
    page.get_by_test_id("login-login").fill(name)
    page.get_by_test_id("login-password").fill("wrong password")
    page.get_by_test_id("login-submit").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_test_id("login-password").fill("correct horse 7")
    page.get_by_test_id("login-submit").click()
    expect(page.get_by_test_id("user-menu")).to_be_visible()
    page.reload()
    expect(page.get_by_test_id("user-menu")).to_be_visible()


def test_a_page_that_arrives_takes_the_focus_unless_the_person_moved_it(open_page: OpenPage):
    page = open_page("/register")
    fill_registration(page)
    held: list[Route] = []
    code = re.compile(r"/assets/.*\.js$")
    page.route(code, lambda route: held.append(route))  # noqa: PLW0108  Playwright marks what it is given
    with page.expect_request(code):
        page.get_by_role("link", name="Explore").click()
    page.get_by_test_id("user-menu").click()
    assert held
    page.unroute(code)  # which lets the held ones go
    expect(page.get_by_role("heading", level=1, name="Explore")).to_be_visible()
    expect(page.get_by_test_id("logout")).to_be_visible()  # the arrival closed the menu once
    page.get_by_role("link", name="Live", exact=True).click()
    expect(page.locator("#main")).to_be_focused()
    expect(page.get_by_test_id("logout")).to_be_hidden()


def test_a_video_is_uploaded_watched_posted_and_seen_by_a_follower(
    open_page: OpenPage, product: Product, film: Path
):
    author = open_page("/register")
    name = fill_registration(author)
    title = f"My film {make_name()}"
    upload(author, product, film, title)
    card = author.get_by_test_id("video-card").filter(has_text=title)
    expect(card.get_by_test_id("video-status")).to_contain_text(
        re.compile("ready", re.IGNORECASE), timeout=PROCESSING_MS
    )
    href = card.get_by_role("link").first.get_attribute("href")
    check_playback(author, href, product)
    follower = open_page("/register")
    fill_registration(follower)
    check_session(follower, f"{product.url}{href}")

    check_another_version(author, title, product)

    follower.goto(f"{product.url}/u/{name}")
    follower.get_by_test_id("follow-button").click()
    expect(follower.get_by_test_id("follow-button")).to_have_attribute("aria-pressed", "true")
    check_publication(author, follower, product, title)

    author.goto(product.url + "/")
    text = f"Look what I made {make_name()}"
    author.get_by_test_id("post-text").fill(text)
    author.get_by_test_id("post-attach").click()
    author.get_by_role("dialog").get_by_text(title).click()
    author.get_by_test_id("post-submit").click()
    mine = author.get_by_test_id("post-card").filter(has_text=text)
    expect(mine).to_be_visible()

    follower.goto(product.url + "/")
    seen = follower.get_by_test_id("post-card").filter(has_text=text)
    expect(seen).to_be_visible()
    expect(seen).to_contain_text(title)
    seen.get_by_test_id("like-button").click()
    expect(mine.get_by_test_id("like-count")).to_have_text("1")  # told by the socket, no reload


def check_publication(author: Page, follower: Page, product: Product, title: str) -> None:
    """Hide the video until a time, publish it now; then its card moves under a mouse."""
    author.goto(product.url + "/studio")
    row = author.get_by_test_id("video-card").filter(has_text=title)
    row.get_by_test_id("more").click()
    row.get_by_test_id("publication").click()
    author.get_by_test_id("publish-save").click()
    expect(row.get_by_test_id("scheduled")).to_contain_text("Scheduled")
    follower.reload()
    follower.get_by_role("tab", name="Videos").click()
    expect(follower.get_by_role("tabpanel", name="Videos")).to_contain_text("No videos")
    row.get_by_test_id("more").click()
    row.get_by_test_id("publication").click()
    author.get_by_test_id("publish-now").click()
    expect(row.get_by_test_id("scheduled")).to_have_count(0)
    follower.reload()
    follower.get_by_role("tab", name="Videos").click()
    shown = follower.get_by_test_id("video-card").filter(has_text=title)
    expect(shown).to_be_visible()
    expect(follower.get_by_test_id("preview")).to_have_count(0)
    shown.hover()
    moving = follower.get_by_test_id("preview")
    expect(moving).to_have_class(re.compile("playing"))
    await_true(lambda: moving.evaluate("v => v.currentTime") > 0, "the preview plays")
    follower.mouse.move(0, 0)
    expect(moving).to_have_count(0)


def check_another_version(page: Page, title: str, product: Product) -> None:
    """Have the video made again in AV1, too; what is asked for next plays in it."""
    page.goto(product.url + "/studio")
    card = page.get_by_test_id("video-card").filter(has_text=title)
    card.get_by_role("button", name=f"More for {title}").click()
    card.get_by_role("button", name="Make it again").click()
    page.get_by_test_id("reencode-quality").select_option("240p")
    page.get_by_test_id("reencode-av1").check()
    page.get_by_test_id("reencode").click()
    expect(card.get_by_test_id("another-version")).to_be_visible()
    expect(card.get_by_test_id("another-version")).to_be_hidden(timeout=PROCESSING_MS)
    expect(card.get_by_test_id("video-status")).to_have_text("Ready")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(product.url + (card.get_by_role("link").first.get_attribute("href") or ""))
    video = page.get_by_test_id("player-video")
    video.evaluate("v => { v.muted = true; return v.play(); }")
    await_true(lambda: video.evaluate("v => v.currentTime") > 0.5, "the new version plays")
    for folder in ("v2-240p-av1/", "v2-audio-opus/"):
        assert any(folder in url for url in asked), f"nothing of {folder} was asked for"


def check_playback(page: Page, href: str | None, product: Product) -> None:
    """Play, then seek; and let ffprobe agree about what is served."""
    assert href is not None
    page.goto(product.url + href)
    video = page.get_by_test_id("player-video")
    expect(video).to_be_visible()
    video.evaluate("v => { v.muted = true; return v.play(); }")
    await_true(lambda: video.evaluate("v => v.currentTime") > 0.5, "the video plays")
    video.evaluate("v => { v.currentTime = 7; }")
    await_true(lambda: video.evaluate("v => v.currentTime") > 7.2, "it plays on after a seek")
    facts = video.evaluate("v => [v.videoWidth, v.videoHeight, v.duration]")
    assert facts[0] > 0
    assert facts[2] == pytest.approx(10, abs=0.2)
    video_id = href.rstrip("/").split("/")[-1]
    playlist = json.loads(fetch(f"{product.url}/v1/videos/{video_id}"))["playback"]["hls"]
    command = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "format=duration:stream=codec_type,height",
    ]
    probe = subprocess.run(
        [*command, "-of", "json", playlist], capture_output=True, timeout=60, check=True
    )
    told = json.loads(probe.stdout)
    assert {stream["codec_type"] for stream in told["streams"]} == {"video", "audio"}
    assert float(told["format"]["duration"]) == pytest.approx(10, abs=0.2)


def check_session(page: Page, address: str) -> None:
    """Play it in one quality, then in the other, until data is held back: the API is told so."""
    held: list[Route] = []
    last = re.compile(r"/00002\.m4s$")  # the sound's, too: Chromium plays on without a picture
    page.route(last, lambda route: held.append(route))  # noqa: PLW0108  Playwright marks what it is given
    page.goto(address)
    video, menu = page.get_by_test_id("player-video"), page.get_by_label("Quality")
    automatic = menu.locator("option").first
    expect(automatic).to_have_text(re.compile(r"Auto \(\d+p\)"))
    qualities = ["240p", "360p"]
    if "360p" in automatic.inner_text():
        qualities.reverse()
    menu.select_option(label=qualities[0])
    video.evaluate(PLAY_AND_NOTE_WAITS)
    await_true(lambda: video.evaluate("v => v.currentTime") > 0.5, "it plays")
    menu.select_option(label=qualities[1])
    expect(automatic).to_have_text(f"Auto ({qualities[1]})")
    await_true(lambda: page.evaluate("waitedAt") > 7, "it waits for what is held back")
    assert held
    with page.expect_response(lambda answer: read_session(answer)["stalled_ms"] > 0) as answered:
        page.unroute(last)  # which lets the held ones go
    assert answered.value.ok
    told = read_session(answered.value)
    assert told["start_ms"] > 0
    assert told["stalls"] > 0
    assert told["switches"] == 1


def read_session(answer: Response) -> dict[str, Any]:
    """What this answers, if it was told of a session of watching."""
    request, nothing = answer.request, {"stalled_ms": 0}
    is_told = request.method == "POST" and request.url.endswith("/watch")
    return request.post_data_json if is_told else nothing


def test_a_file_that_is_no_video_ends_as_failed_with_its_reason(
    open_page: OpenPage, product: Product, tmp_path: Path
):
    page = open_page("/register")
    fill_registration(page)
    file = tmp_path / "notes.mp4"
    file.write_bytes(b"these are notes, not a film\n" * 4000)
    title = f"Broken {make_name()}"
    upload(page, product, file, title)
    card = page.get_by_test_id("video-card").filter(has_text=title)
    expect(card.get_by_test_id("video-status")).to_contain_text(
        re.compile("failed", re.IGNORECASE), timeout=PROCESSING_MS
    )
    expect(card).to_contain_text("not of a kind we can read")
