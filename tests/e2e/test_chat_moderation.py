"""A chat's moderation on the page: a host pins, deletes and bans by keyboard, and all see it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.people import fill_registration, go_live, make_name
from tests.product import Product

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]


def say(page: Page, text: str) -> None:
    """Write a line and wait until the room took it."""
    page.get_by_test_id("chat-input").fill(text)
    page.get_by_test_id("chat-send").click()
    line = page.get_by_test_id("chat-line").filter(has_text=text)
    expect(line).to_have_attribute("data-state", "sent")


def act(page: Page, text: str, button: str) -> None:
    """Act on somebody's line with the keyboard alone."""
    line = page.get_by_test_id("chat-line").filter(has_text=text)
    line.get_by_test_id("line-menu").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name=button).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_host_pins_deletes_and_bans_and_everybody_sees_it(
    open_page: OpenPage, product: Product
):
    host = open_page("/register")
    fill_registration(host)
    address = go_live(host, product, f"Moderated {make_name()}")
    guest = open_page("/register")
    fill_registration(guest)
    guest.goto(product.url + address)
    say(guest, "read this first")
    say(guest, "something rude")
    act(host, "read this first", "Pin above the chat")
    expect(guest.get_by_test_id("chat-pin")).to_contain_text("read this first")
    act(host, "something rude", "Delete line")
    rude = guest.get_by_test_id("chat-line").filter(has_text="something rude")
    expect(rude).to_have_count(0)
    guest.reload()
    expect(guest.get_by_test_id("chat-pin")).to_contain_text("read this first")
    expect(guest.get_by_test_id("chat-line")).to_have_count(1)
    act(host, "read this first", "Ban from this chat")
    expect(guest.get_by_text("You are banned from this chat.")).to_be_visible()
    expect(guest.get_by_test_id("chat-input")).to_have_count(0)
