"""A video for oneself: its picture, its file by a link, and the trash, by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.people import fill_registration, make_name
from tests.product import Product

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenPage = Callable[..., Page]


def upload_private(page: Page, product: Product, file: Path) -> Locator:
    """Upload a video for oneself; return its row once it is ready."""
    title = f"Mine {make_name()}"
    page.goto(product.url + "/studio")
    page.get_by_test_id("upload-file").set_input_files(str(file))
    page.get_by_test_id("upload-title").fill(title)
    page.get_by_label("Who can watch").first.select_option("private")
    page.get_by_test_id("upload-submit").click()
    row = page.get_by_test_id("video-card").filter(has_text=title)
    expect(row.get_by_test_id("video-status")).to_have_attribute("data-status", "ready")
    return row


def press(page: Page, button: Locator) -> None:
    """Press a button as the keyboard does."""
    button.focus()
    page.keyboard.press("Enter")


def delete(page: Page, row: Locator) -> None:
    """Delete a video of the studio, and go to the trash."""
    row.get_by_role("button", name=re.compile("^More for")).click()
    row.get_by_role("button", name="Delete").click()
    page.get_by_test_id("confirm").click()
    expect(row).to_have_count(0)
    press(page, page.get_by_test_id("to-trash"))
    expect(page.get_by_test_id("trash-row")).to_have_count(1)


def test_a_picture_whose_right_has_ended_is_fetched_by_another(
    open_page: OpenPage, product: Product, small_film: Path
):
    page = open_page("/register")
    fill_registration(page)
    row = upload_private(page, product, small_film)
    asked: list[str] = []

    def refuse_first(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=403)
        else:
            route.continue_()

    page.route("**/thumbnail.jpg*", refuse_first)
    page.reload()
    picture = row.locator("img")
    expect(picture).not_to_have_js_property("naturalWidth", 0)
    assert len(asked) == 2
    assert asked[0] != asked[1] == picture.get_attribute("src")


def test_a_video_is_saved_by_its_link_restored_and_deleted_for_good(
    open_page: OpenPage, product: Product, small_film: Path
):
    page = open_page("/register")
    fill_registration(page)
    row = upload_private(page, product, small_film)
    video = row.get_attribute("data-video-id")
    page.goto(f"{product.url}/watch/{video}")
    link = page.get_by_test_id("download").get_attribute("href") or ""
    saved = open_page().request.get(link)  # as "save link as" does: without a token
    assert (saved.status, saved.headers["content-type"]) == (200, "video/mp4")

    page.goto(product.url + "/studio")
    delete(page, row)
    assert page.request.get(link).status == 404
    entry = page.get_by_test_id("trash-row")
    expect(entry.get_by_test_id("trash-end")).to_contain_text("To be removed")
    press(page, entry.get_by_test_id("restore"))
    expect(entry).to_have_count(0)
    expect(page.get_by_role("heading", name="Deleted videos")).to_be_focused()
    assert page.request.get(link).status == 200

    page.goto(product.url + "/studio")
    delete(page, row)
    press(page, entry.get_by_test_id("delete-for-good"))
    page.keyboard.press("Escape")
    expect(entry.get_by_test_id("delete-for-good")).to_be_focused()
    page.keyboard.press("Enter")
    press(page, page.get_by_test_id("confirm"))
    expect(entry.get_by_test_id("trash-end")).to_have_text("Being removed")
    expect(entry).to_be_focused()
    expect(entry.get_by_role("button")).to_have_count(0)
