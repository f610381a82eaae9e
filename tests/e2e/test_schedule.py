"""A live is scheduled on the page, counted down to, moved and begun; another is called off."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.people import FIRST_FRAME_MS, fill_registration, make_name
from tests.product import Product

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenPage = Callable[..., Page]
PATIENCE_MS = 60_000
LOCAL_TIME = """(hours) => {
  const moment = new Date(Date.now() + hours * 3600e3);
  return new Date(moment - moment.getTimezoneOffset() * 60e3).toISOString().slice(0, 16);
}"""


def schedule(page: Page, product: Product, title: str) -> None:
    """Schedule a live for an hour and a half from now; the control room opens on it."""
    page.goto(product.url + "/studio/live")
    page.get_by_test_id("live-title").fill(title)
    page.get_by_test_id("schedule-live").click()
    # The form proposes a full hour, to which there may be less than one left when it is read again.
    expect(page.get_by_test_id("schedule-time")).to_have_value(re.compile(r":00$"))
    page.get_by_test_id("schedule-time").fill(page.evaluate(LOCAL_TIME, 1.5))
    page.get_by_test_id("schedule-save").click()
    expect(page.get_by_test_id("scheduled-at")).to_contain_text("in 1 hour", timeout=PATIENCE_MS)


def fetch(page: Page, test_id: str) -> str:
    """Return the calendar that a link leads to."""
    answer = page.request.get(page.get_by_test_id(test_id).evaluate("a => a.href"))
    assert answer.headers["content-type"].startswith("text/calendar"), answer.status
    return answer.text()


def test_a_live_is_announced_counted_down_to_and_begun(open_page: OpenPage, product: Product):
    host = open_page("/register")
    name = fill_registration(host)
    title, dropped = f"Evening {make_name()}", f"Dropped {make_name()}"
    schedule(host, product, title)
    expect(host.get_by_test_id("live-status")).to_have_attribute("data-status", "scheduled")
    address = host.url.replace("/studio/live?live=", "/live/")

    viewer = open_page("/live")
    viewer.get_by_test_id("upcoming").get_by_role("link", name=title).click()
    expect(viewer.get_by_test_id("countdown")).to_contain_text("Starts in")
    assert viewer.url == address
    expect(viewer.get_by_test_id("live-status")).to_have_text("Scheduled")

    host.get_by_test_id("reschedule").click()
    host.get_by_test_id("schedule-time").fill(host.evaluate(LOCAL_TIME, -1))
    host.get_by_test_id("schedule-save").click()
    expect(host.get_by_role("alert")).to_have_text("This time has passed.")
    host.get_by_test_id("schedule-time").fill(host.evaluate(LOCAL_TIME, 49))
    host.keyboard.press("Enter")
    expect(host.get_by_test_id("scheduled-at")).to_contain_text("in 2 days", timeout=PATIENCE_MS)
    viewer.reload()
    expect(viewer.get_by_test_id("countdown")).to_contain_text("days", timeout=PATIENCE_MS)
    assert f"SUMMARY:{title}" in fetch(viewer, "add-to-calendar")

    host.get_by_test_id("go-live").click()
    status = viewer.get_by_test_id("live-status")
    expect(status).to_have_attribute("data-status", "live", timeout=FIRST_FRAME_MS)
    expect(viewer.get_by_test_id("countdown")).to_have_count(0)
    expect(host.get_by_test_id("scheduled-at")).to_have_count(0)

    guest = open_page("/register")
    guest_name = fill_registration(guest)
    schedule(guest, product, dropped)
    viewer.goto(product.url + f"/u/{guest_name}")
    expect(viewer.get_by_test_id("upcoming-live")).to_contain_text(dropped)
    assert f"SUMMARY:{dropped}" in fetch(viewer, "subscribe-calendar")
    guest.get_by_test_id("cancel-live").click()
    expect(guest.get_by_role("dialog")).to_contain_text(dropped)
    guest.get_by_test_id("confirm").click()
    expect(guest.get_by_test_id("live-title")).to_be_visible(timeout=PATIENCE_MS)
    viewer.goto(product.url + f"/u/{name}")
    expect(viewer.get_by_test_id("followers-count")).to_be_visible()
    expect(viewer.get_by_test_id("upcoming-live")).to_have_count(0)
    viewer.goto(product.url + "/live")
    expect(viewer.get_by_test_id("live-card").filter(has_text=title)).to_be_visible()
    expect(viewer.get_by_text(dropped)).to_have_count(0)
