"""A video's owner at their desk, in Chromium: fetching, dressing, stopping and counting it.

And its viewer, who reads along, talks and keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, FilePayload, Locator, Page, expect

from tests.e2e.conftest import make_person
from tests.e2e.elsewhere import serve_elsewhere
from tests.e2e.people import fill_registration, make_name
from tests.e2e.test_accessibility import SIZES, examine
from tests.media.vod.clips import run_ffmpeg
from tests.product import Product, await_true

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenPage = Callable[..., Page]

PROCESSING_MS = 180_000
COUNTED_MS = 180_000
"""A day is counted again five seconds after the minute, and the page asks every fifteen."""
WORDS = "1\r\n00:00:00,000 --> 00:00:04,000\r\nÀ bientôt\r\n"
READ = """v => [...v.textTracks].filter((track) => track.mode === 'showing')
    .flatMap((track) => [...track.activeCues ?? []]).map((cue) => cue.text)"""


@dataclass(frozen=True)
class Desk:
    """An owner's studio with one video."""

    page: Page
    product: Product
    title: str
    owner: str
    video_id: str

    @property
    def path(self) -> str:
        return f"/watch/{self.video_id}"

    @property
    def row(self) -> Locator:
        return self.page.get_by_test_id("video-card").filter(has_text=self.title)

    @contextmanager
    def open(self, action: str, title: str) -> Iterator[Locator]:
        """Open one of the row's dialogs by keyboard; whoever can hardly see can use it."""
        more = self.row.get_by_role("button", name=f"More for {self.title}")
        more.focus()
        self.page.keyboard.press("Enter")
        self.row.get_by_role("button", name=action, exact=True).focus()
        self.page.keyboard.press("Enter")
        dialog = self.page.get_by_role("dialog", name=title)
        expect(dialog).to_be_visible()
        yield dialog
        expect(dialog).to_have_count(0)
        expect(more).to_be_focused()

    def check_looks(self) -> None:
        """What is open can be read in both themes, on a phone and at a desk."""
        found = examine(self.page)
        self.page.set_viewport_size(SIZES[0])
        assert found == []


@pytest.fixture(scope="module")
def desk(chromium: Browser, product: Product, small_film: Path) -> Iterator[Desk]:
    """Fetch a film from an address, on the page."""
    context = make_person(chromium, product)
    page = context.new_page()
    page.goto(product.url + "/register")
    owner = fill_registration(page)
    page.goto(product.url + "/studio")
    title = f"Fetched {make_name()}"
    with serve_elsewhere(small_film.parent) as address:
        page.get_by_text("Import from an address").click()
        page.get_by_test_id("import-url").fill("ftp://127.0.0.1/a.mp4")
        page.get_by_test_id("import-title").fill(title)
        page.get_by_test_id("import-submit").click()
        expect(page.get_by_label("Address of the file")).to_have_attribute("aria-invalid", "true")
        port = address.rpartition(":")[2]
        page.get_by_test_id("import-url").fill(f"http://127.0.0.1:{port}/{small_film.name}")
        page.keyboard.press("Enter")
        row = page.get_by_test_id("video-card").filter(has_text=title)
        expect(row.get_by_test_id("video-status")).to_have_text("Ready", timeout=PROCESSING_MS)
    yield Desk(page, product, title, owner, row.get_attribute("data-video-id") or "")
    context.close()


@pytest.fixture
def viewer(chromium: Browser, contexts: list[BrowserContext], desk: Desk) -> Page:
    """Somebody with an account, and a browser that does not call itself a machine."""
    agent = desk.page.evaluate("navigator.userAgent").replace("Headless", "")
    context = chromium.new_context(user_agent=agent, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    contexts.append(context)
    page = context.new_page()
    page.goto(desk.product.url + "/register")
    fill_registration(page)
    return page


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that is higher than wide."""
    path = tmp_path_factory.mktemp("own") / "own.png"
    run_ffmpeg("-f", "lavfi", "-i", "color=c=red:s=90x160", "-frames:v", "1", path)
    return path


def test_a_video_has_the_picture_its_owner_brings(desk: Desk, portrait: Path):
    picture = desk.row.locator("img")
    shape = "i => i.complete && i.naturalHeight > i.naturalWidth"
    assert not picture.evaluate(shape)
    with desk.open("Picture", "Choose the picture") as dialog:
        expect(dialog.get_by_role("button", name=re.compile("^Picture 1 of"))).to_be_visible()
        desk.check_looks()
        broken = FilePayload(name="a.png", mimeType="image/png", buffer=b"no picture")
        dialog.get_by_test_id("own-picture").set_input_files(broken)
        expect(dialog.get_by_role("alert")).to_have_text("This file is not a picture we can read.")
        dialog.get_by_test_id("own-picture").set_input_files(portrait)
    await_true(lambda: picture.evaluate(shape) is True, "its own picture is shown")


def test_subtitles_that_are_uploaded_are_read_along(desk: Desk, open_page: OpenPage):
    with desk.open("Subtitles", "Subtitles") as dialog:
        expect(dialog).to_contain_text("Nobody can read along yet")
        dialog.get_by_label("Language").select_option(label="Français")
        older = FilePayload(name="a.srt", mimeType="text/plain", buffer=WORDS.encode("cp1252"))
        dialog.get_by_test_id("subtitles-file").set_input_files(older)
        expect(dialog.get_by_test_id("languages")).to_contain_text("Français")
        desk.check_looks()
        desk.page.keyboard.press("Escape")
    viewer = open_page(desk.path)
    viewer.get_by_test_id("captions").select_option(label="Français")
    video = viewer.get_by_test_id("player-video")
    video.evaluate("v => { v.muted = true; return v.play(); }")
    await_true(lambda: video.evaluate(READ) == ["À bientôt"], "it is shown")
    with desk.open("Subtitles", "Subtitles") as dialog:
        dialog.get_by_role("button", name="Remove Français").click()
        expect(dialog).to_contain_text("Nobody can read along yet")
        expect(dialog.get_by_label("Language")).to_be_focused()
        desk.page.keyboard.press("Escape")


def test_tags_and_chapters_are_written_by_keyboard_and_seen_while_watching(
    desk: Desk, open_page: OpenPage
):
    keys = desk.page.keyboard
    with desk.open("Tags and chapters", "Tags and chapters") as dialog:
        desk.check_looks()
        keys.press("Tab")  # from its button that closes it
        expect(dialog.get_by_label("Tags")).to_be_focused()
        keys.type("#Old harbour, cranes")
        keys.press("Tab")
        keys.type("nature")
        keys.press("Tab")
        keys.press("Tab")
        expect(dialog.get_by_label("Chapters")).to_be_focused()
        keys.type("0:00 Leaving\nThe crane")
        keys.press("Tab")
        keys.press("Tab")
        keys.press("Enter")
        expect(dialog.get_by_role("alert")).to_contain_text("Each chapter is a line")
        expect(dialog.get_by_label("Chapters")).to_have_attribute("aria-invalid", "true")
        keys.press("Shift+Tab")
        keys.press("Shift+Tab")
        keys.press("ControlOrMeta+a")
        keys.type("0:00 Leaving\n0:02 The crane")
        keys.press("Tab")
        keys.press("Tab")
        keys.press("Enter")
    viewer = open_page(desk.path)
    labels = viewer.get_by_test_id("labels").locator(".chip")
    expect(labels).to_have_text(["nature", "#old harbour", "#cranes"])
    chapters = viewer.get_by_test_id("chapters")
    chapters.locator("summary").click()
    expect(chapters.get_by_role("button")).to_have_text(["0:00 Leaving", "0:02 The crane"])


def test_an_owner_says_until_when_it_can_be_watched_and_lets_it_stay(desk: Desk):
    until = "Until when can it be watched?"
    with desk.open("Available until", until) as dialog:
        desk.check_looks()
        dialog.get_by_test_id("withdraw-time").fill("2020-01-01T10:00")
        dialog.get_by_test_id("withdraw-save").click()
        expect(dialog.get_by_role("alert")).to_be_visible()
        desk.page.keyboard.press("Escape")
    expect(desk.row.get_by_test_id("seen-until")).to_have_count(0)
    with desk.open("Available until", until) as dialog:
        dialog.get_by_test_id("withdraw-save").click()
    expect(desk.row.get_by_test_id("seen-until")).to_contain_text("Until")
    with desk.open("Available until", until) as dialog:
        dialog.get_by_test_id("withdraw-cancel").click()
    expect(desk.row.get_by_test_id("seen-until")).to_have_count(0)


def test_a_thread_is_written_liked_and_pinned_and_both_see_it_live(desk: Desk, open_page: OpenPage):
    owner, viewer = desk.page, open_page("/register")
    fill_registration(viewer)
    url = desk.product.url + desk.path
    for page in (owner, viewer):
        page.goto(url)
        expect(page.get_by_test_id("comment-text")).to_be_visible()
    first, second, reply = (f"{word} {make_name()}" for word in ("First", "Second", "Reply"))
    for text in (first, second):
        viewer.get_by_test_id("comment-text").fill(text)
        viewer.keyboard.press("Enter")
        expect(owner.get_by_test_id("comment").first).to_contain_text(text)
    thread = owner.get_by_test_id("comment").filter(has_text=first)
    thread.get_by_test_id("comment-reply").focus()
    owner.keyboard.press("Enter")
    expect(thread.get_by_test_id("reply-text")).to_be_focused()
    owner.keyboard.type(reply)
    owner.keyboard.press("Enter")
    expect(thread.get_by_test_id("reply")).to_contain_text(reply)
    expect(thread.get_by_test_id("reply-text")).to_have_count(0)
    expect(thread.get_by_test_id("comment-reply")).to_be_focused()
    thread.get_by_test_id("comment-like").first.click()
    thread.get_by_test_id("comment-pin").click()
    pinned = viewer.get_by_test_id("comment").first
    expect(pinned).to_contain_text(first)
    expect(pinned).to_contain_text("Pinned")
    expect(pinned.get_by_test_id("comment-like").first).to_contain_text("1")
    toggle = pinned.get_by_test_id("comment-replies")
    expect(toggle).to_have_text("Show 1 reply")
    toggle.click()
    expect(pinned.get_by_test_id("reply")).to_contain_text(reply)
    thread.get_by_test_id("reply").get_by_role("button", name="Delete this comment").click()
    expect(pinned.get_by_test_id("reply")).to_have_count(0)
    owner.goto(desk.product.url + "/studio")


def keep(viewer: Page, desk: Desk, name: str) -> None:
    """Keep the video to watch it later, and in a new playlist."""
    viewer.goto(desk.product.url + desk.path)
    viewer.get_by_test_id("save").click()
    dialog = viewer.get_by_role("dialog", name="Save to")
    dialog.get_by_label(re.compile("Watch later")).check()
    dialog.get_by_label("New playlist").fill(name)
    viewer.keyboard.press("Enter")
    expect(dialog.get_by_label(re.compile(name))).to_be_checked()
    assert examine(viewer) == []
    viewer.set_viewport_size(SIZES[0])
    viewer.keyboard.press("Escape")
    expect(viewer.get_by_test_id("save")).to_be_focused()


def test_what_is_watched_and_kept_is_in_the_library_and_counted(desk: Desk, viewer: Page):
    name = f"Evening {make_name()}"
    keep(viewer, desk, name)
    video = viewer.get_by_test_id("player-video")
    video.evaluate("v => { v.muted = true; return v.play(); }")
    expect(viewer.get_by_test_id("end-screen")).to_be_visible()
    viewer.goto(desk.product.url + "/library")
    expect(viewer.get_by_test_id("history-row")).to_contain_text(desk.title)
    viewer.get_by_role("tab", name="Playlists").click()
    lists = viewer.get_by_test_id("playlist-row")
    expect(lists).to_have_count(2)
    expect(lists.filter(has_text="Watch later")).to_contain_text("1 video")
    lists.filter(has_text=name).click()
    expect(viewer.get_by_test_id("playlist-video")).to_contain_text(desk.title)
    assert examine(viewer) == []
    expect(viewer.get_by_text("1 video")).to_be_visible()
    viewer.get_by_role("button", name=f"Remove {desk.title}").click()
    expect(viewer.get_by_test_id("playlist-video")).to_have_count(0)
    expect(viewer.get_by_text("0 videos")).to_be_visible()
    check_numbers(desk)


def check_numbers(desk: Desk) -> None:
    """The owner sees that it was watched to its end, and has the same as a table."""
    page = desk.page
    page.goto(desk.product.url + "/studio")
    desk.row.get_by_role("link", name=f"Numbers of {desk.title}").click()
    views = page.get_by_test_id("analytics").locator("div").filter(has_text="Views")
    expect(views.locator("dd")).to_have_text("1", timeout=COUNTED_MS)
    expect(page.get_by_role("heading", level=1, name=desk.title)).to_be_visible()
    expect(page.get_by_test_id("chart")).to_have_count(4)
    page.get_by_label("Range").select_option("7")
    expect(page.get_by_test_id("chart").first.locator("tr")).to_have_count(7)
    curve = page.get_by_test_id("chart").filter(has_text="How many still watch")
    assert set(curve.locator("td").all_inner_texts()) == {"100 %"}
    desk.check_looks()
    with page.expect_download() as saved:
        page.get_by_test_id("analytics-csv").click()
    table = Path(saved.value.path()).read_text()
    assert saved.value.suggested_filename == f"video-{desk.video_id}.csv"
    assert re.search(r"^day,\d{4}-\d\d-\d\d,1,", table, re.MULTILINE), table
    page.goto(desk.product.url + "/studio")


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """Twenty minutes, made by repeating some seconds: nobody waits until it is encoded."""
    once, path = tmp_path / "once.mp4", tmp_path / "endless.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=8"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", "51", "-g", "200", once),
    )
    run_ffmpeg("-stream_loop", "150", "-i", once, "-c", "copy", path)
    return path


def test_work_on_a_video_is_stopped_and_begun_again(desk: Desk, endless: Path):
    page, title = desk.page, f"Endless {make_name()}"
    page.goto(desk.product.url + "/studio")
    page.get_by_test_id("upload-file").set_input_files(endless)
    page.get_by_test_id("upload-title").fill(title)
    page.get_by_test_id("upload-submit").click()
    row = page.get_by_test_id("video-card").filter(has_text=title)
    status = row.get_by_test_id("video-status")
    work = row.get_by_test_id("video-work")
    expect(status).to_have_attribute("data-status", "processing")
    work.focus()
    page.keyboard.press("Enter")
    expect(status).to_have_attribute("data-status", "failed")
    expect(work).to_have_text("Try again")
    expect(work).to_be_focused()
    page.keyboard.press("Enter")
    expect(status).to_have_attribute("data-status", "processing")
    row.get_by_role("button", name=f"More for {title}").click()
    row.get_by_role("button", name="Delete").click()
    page.get_by_test_id("confirm").click()
    expect(row).to_have_count(0)
