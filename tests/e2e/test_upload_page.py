"""Uploading on the page: what is said of a file before and after, and how one is given up."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.held_upload import PIECE_BYTES, HeldUpload
from tests.e2e.people import fill_registration, make_name
from tests.media.vod.clips import run_ffmpeg
from tests.product import Product, await_true

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenPage = Callable[..., Page]
PROCESSING_MS = 180_000
DROP = """(form, files) => {
  const carried = new DataTransfer();
  for (const { name, data } of files) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    carried.items.add(new File([bytes], name, { type: 'video/mp4' }));
  }
  const how = { bubbles: true, cancelable: true, dataTransfer: carried };
  for (const kind of ['dragover', 'drop']) form.dispatchEvent(new DragEvent(kind, how));
}"""


def make_film(path: Path) -> Path:
    """Render three seconds with two sounds, the second of which is German."""
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=10:d=3"),
        *("-f", "lavfi", "-i", "sine=d=3", "-f", "lavfi", "-i", "sine=f=220:d=3"),
        *("-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-pix_fmt", "yuv420p"),
        *("-c:a", "aac", "-metadata:s:a:1", "language=deu", path),
    )
    return path


def make_sound(path: Path) -> Path:
    """Ten loud seconds without a picture, quiet in their second half."""
    quiet = "volume=6,volume=0.02:enable='gte(t,5)'"
    run_ffmpeg("-f", "lavfi", "-i", "sine=frequency=300:d=10", "-af", quiet, "-c:a", "aac", path)
    return path


def add_free_box(film: bytes, content: bytes) -> bytes:
    """Lengthen an MP4 by bytes that players skip (ISO/IEC 14496-12 8.1.2)."""
    return film + (8 + len(content)).to_bytes(4, "big") + b"free" + content


def choose(page: Page, product: Product, film: Path, title: str) -> None:
    page.goto(product.url + "/studio")
    page.get_by_test_id("upload-file").set_input_files(str(film))
    page.get_by_test_id("upload-title").fill(title)
    page.get_by_test_id("upload-submit").click()


def test_a_file_says_how_long_it_is_and_its_owner_what_was_left_out(
    open_page: OpenPage, product: Product, tmp_path: Path
):
    page = open_page("/register")
    fill_registration(page)
    title = f"Two sounds {make_name()}"
    with page.expect_request(re.compile(r"/v1/videos$")) as asked:
        choose(page, product, make_film(tmp_path / "film.mp4"), title)
    said = json.loads(asked.value.post_data or "{}")
    assert said["duration_ms"] == pytest.approx(3000, abs=100)
    card = page.get_by_test_id("video-card").filter(has_text=title)
    expect(card.get_by_test_id("video-status")).to_contain_text("Ready", timeout=PROCESSING_MS)
    page.reload()
    expect(card.get_by_test_id("video-warnings")).to_have_text(
        "1 further sound track was left out: track 3 (deu, aac)."
    )


def test_an_upload_that_is_given_up_is_gone(open_page: OpenPage, product: Product, tmp_path: Path):
    page = open_page("/register")
    fill_registration(page)
    title = f"Given up {make_name()}"

    def hold(route: Route) -> None:
        if route.request.method != "PATCH":
            route.continue_()

    page.route("**/uploads/*", hold)
    choose(page, product, make_film(tmp_path / "film.mp4"), title)
    row = page.get_by_test_id("upload-row").filter(has_text=title)
    row.get_by_test_id("upload-pause").click()
    row.get_by_test_id("upload-drop").click()
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as removed:
        page.get_by_test_id("confirm").click()
    assert removed.value.status == 204
    expect(row).to_have_count(0)
    page.reload()
    expect(page.get_by_text("Nothing here yet")).to_be_visible()


def test_of_files_that_are_dropped_two_are_sent_while_one_waits(
    open_page: OpenPage, product: Product, tmp_path: Path
):
    page = open_page("/register")
    fill_registration(page)
    film = make_film(tmp_path / "film.mp4").read_bytes()
    titles = [f"{letter} {make_name()}" for letter in "abc"]
    files = [
        {
            "name": f"{title}.mp4",
            "data": base64.b64encode(add_free_box(film, title.encode())).decode(),
        }
        for title in titles
    ]
    page.goto(product.url + "/studio")
    upload = HeldUpload(page, holds_first=True)
    page.locator(".upload .drop").evaluate(DROP, files)
    page.get_by_role("button", name="Upload 3 videos").click()
    upload.await_held(2)
    first, second, third = (
        page.get_by_test_id("upload-row").filter(has_text=title) for title in titles
    )
    for row, state in ((first, "sending"), (second, "sending"), (third, "waiting")):
        expect(row).to_have_attribute("data-state", state)
    with page.expect_event("requestfailed", upload.is_piece) as ended:
        first.get_by_test_id("upload-pause").click()
    expect(third).to_have_attribute("data-state", "sending")
    expect(first).to_have_attribute("data-state", "paused")
    upload.await_held(3)
    upload.let_go()
    for title in titles[1:]:
        card = page.get_by_test_id("video-card").filter(has_text=title)
        expect(card.get_by_test_id("video-status")).to_contain_text("Ready", timeout=PROCESSING_MS)
    expect(first).to_have_attribute("data-state", "paused")
    with page.expect_request(upload.is_piece) as again:
        first.get_by_test_id("upload-resume").click()
    offset = again.value.headers["upload-offset"]
    assert (again.value.url, offset) == (ended.value.url, "0"), "it goes on with what it had"
    card = page.get_by_test_id("video-card").filter(has_text=titles[0])
    expect(card.get_by_test_id("video-status")).to_contain_text("Ready", timeout=PROCESSING_MS)
    expect(page.get_by_test_id("video-card")).to_have_count(3)


def break_off(page: Page, product: Product, folder: Path) -> tuple[HeldUpload, Path, str]:
    """Send a piece of a film, and load the page again; return the upload, the film, its title."""
    fill_registration(page)
    film = make_film(folder / "film.mp4")
    film.write_bytes(add_free_box(film.read_bytes(), bytes(PIECE_BYTES)))
    upload = HeldUpload(page)
    title = upload.begin(product, film)
    upload.await_held()
    with page.expect_event("requestfailed", upload.is_piece):
        page.reload()
    upload.let_go()
    return upload, film, title


def test_a_file_chosen_again_after_a_reload_goes_on_where_it_stopped(
    open_page: OpenPage, product: Product, tmp_path: Path
):
    page = open_page("/register")
    upload, film, title = break_off(page, product, tmp_path)
    with page.expect_request(upload.is_piece) as sent:
        upload.begin(product, film, title)
    assert sent.value.headers["upload-offset"] == str(PIECE_BYTES)
    card = page.get_by_test_id("video-card").filter(has_text=title)
    expect(card.get_by_test_id("video-status")).to_contain_text("Ready", timeout=PROCESSING_MS)
    expect(page.get_by_test_id("video-card")).to_have_count(1)


def test_a_file_chosen_again_is_for_whom_it_is_chosen_then_before_more_of_it_is_sent(
    open_page: OpenPage, product: Product, tmp_path: Path
):
    page = open_page("/register")
    upload, film, title = break_off(page, product, tmp_path)
    page.get_by_test_id("upload-file").set_input_files(str(film))
    expect(page.get_by_test_id("upload-begun")).to_be_visible()
    expect(page.get_by_test_id("upload-title")).to_have_value(title)
    form = page.get_by_role("form", name="Upload videos")
    audience = form.get_by_label("Who can watch")
    expect(audience).to_have_value("public")
    audience.select_option("private")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    with page.expect_request(upload.is_piece) as sent:
        page.get_by_test_id("upload-submit").click()
    assert sent.value.headers["upload-offset"] == str(PIECE_BYTES)
    changed = next(at for at, line in enumerate(asked) if re.match("PATCH .*/v1/videos/", line))
    assert changed < asked.index(f"PATCH {sent.value.url}")
    card = page.get_by_test_id("video-card").filter(has_text=title)
    expect(card.get_by_test_id("video-status")).to_contain_text("Ready", timeout=PROCESSING_MS)
    expect(card).to_contain_text("private")
    expect(page.get_by_test_id("video-card")).to_have_count(1)
    page.goto(product.url + "/studio")
    page.get_by_test_id("upload-file").set_input_files(str(film))
    expect(page.get_by_test_id("upload-begun")).to_have_count(0)


def test_sound_without_a_picture_shows_its_waveform_lit_as_far_as_it_was_heard(
    open_page: OpenPage, product: Product, tmp_path: Path
):
    page = open_page("/register")
    fill_registration(page)
    title = f"Sound {make_name()}"
    choose(page, product, make_sound(tmp_path / "sound.m4a"), title)
    card = page.get_by_test_id("video-card").filter(has_text=title)
    expect(card.get_by_test_id("video-status")).to_contain_text("Ready", timeout=PROCESSING_MS)
    card.get_by_role("link", name=title, exact=True).click()
    waveform = page.get_by_test_id("waveform")
    expect(waveform).to_be_visible()
    drawn = waveform.locator("path").first.get_attribute("d") or ""
    bars = [float(height) for height in re.findall(r"v([\d.]+)", drawn)]
    quarter = len(bars) // 4
    assert min(bars[1:quarter]) > 5 * max(bars[-quarter:])

    def read_lit() -> float:
        return float(waveform.evaluate("w => parseFloat(w.style.getPropertyValue('--played'))"))

    assert read_lit() == 0
    page.get_by_test_id("player-video").evaluate("v => { v.muted = true; v.play(); }")
    await_true(lambda: 0 < read_lit() < 100, "some of it is lit")
    await_true(lambda: read_lit() == 100, "all of it is lit")
