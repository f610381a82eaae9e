"""People in Chromium: who is there, what they are told, and who may see that."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.people import fill_registration
from tests.e2e.test_accessibility import examine
from tests.product import Product

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]
LOADED_MS = 60_000


def test_who_follows_is_told_of_at_the_bell_until_it_was_seen(
    open_page: OpenPage, product: Product
):
    ada, bob = open_page("/register"), open_page("/register")
    name, fan = fill_registration(ada), fill_registration(bob)
    bell, count = ada.get_by_test_id("bell"), ada.get_by_test_id("bell-count")
    bob.get_by_test_id("bell").click()
    expect(bob.get_by_test_id("notices-empty")).to_be_visible(timeout=LOADED_MS)
    assert examine(bob) == []
    bob.keyboard.press("Escape")

    bob.goto(f"{product.url}/u/{name}")
    presence = bob.get_by_test_id("presence")
    expect(presence).to_have_attribute("data-presence", "online", timeout=LOADED_MS)
    bob.get_by_test_id("follow-button").click()
    expect(count).to_have_text("1", timeout=LOADED_MS)
    expect(bell).to_have_accessible_name("Notices, 1 new")

    bell.focus()
    ada.keyboard.press("Enter")
    notice = ada.get_by_test_id("notice")
    expect(notice).to_contain_text(f"New: {fan} follows you")
    expect(count).to_have_count(0)
    assert examine(ada) == []
    ada.keyboard.press("Escape")
    expect(notice).to_have_count(0)
    expect(bell).to_be_focused()

    ada.reload()
    expect(bell).to_have_accessible_name("Notices")
    bell.click()
    expect(notice).not_to_contain_text("New", timeout=LOADED_MS)
    ada.keyboard.press("Tab")
    ada.keyboard.press("Enter")
    expect(ada).to_have_url(f"{product.url}/u/{fan}")
    expect(ada.get_by_test_id("presence")).to_have_attribute("data-presence", "online")


def test_presence_is_for_whom_the_settings_say(open_page: OpenPage, product: Product):
    ada, bob = open_page("/register"), open_page("/register")
    name = fill_registration(ada)
    fill_registration(bob)
    bob.goto(f"{product.url}/u/{name}")
    expect(bob.get_by_test_id("presence")).to_be_visible(timeout=LOADED_MS)

    ada.goto(product.url + "/settings")
    ada.get_by_test_id("presence-nobody").check(force=True)
    expect(ada.get_by_test_id("toasts")).to_contain_text("Saved.")
    heard: list[str] = []
    bob.on("websocket", lambda socket: socket.on("framereceived", lambda f: heard.append(str(f))))
    bob.reload()
    end_s = time.monotonic() + LOADED_MS / 1000
    while not any('"error":"not_found"' in frame for frame in heard):
        assert time.monotonic() < end_s, f"presence is not refused: {heard}"
        bob.wait_for_timeout(100)
    expect(bob.get_by_test_id("follow-button")).to_be_visible()
    expect(bob.get_by_test_id("presence")).to_have_count(0)

    ada.reload()
    expect(ada.get_by_test_id("presence-nobody")).to_be_checked()
