"""Somebody is given a subscription, sees and writes what is for subscribers, and loses it again."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.people import fill_registration, go_live, make_name
from tests.product import Product

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenPage = Callable[..., Page]


def upload_for_subscribers(page: Page, product: Product, file: Path) -> str:
    """Upload a video for subscribers; return its page's address once it plays."""
    page.goto(product.url + "/studio")
    page.get_by_test_id("upload-file").set_input_files(str(file))
    page.get_by_test_id("upload-title").fill(f"Backstage {make_name()}")
    page.get_by_label("Who can watch").first.select_option("subscribers")
    page.get_by_test_id("upload-submit").click()
    card = page.get_by_test_id("video-card").first
    expect(card).to_contain_text("for subscribers")
    expect(card).to_contain_text("Ready")
    return f"/watch/{card.get_attribute('data-video-id')}"


def give(host: Page, product: Product, username: str) -> None:
    """Give a subscription by keyboard alone."""
    host.goto(product.url + "/studio")
    host.get_by_test_id("to-subscribers").focus()
    host.keyboard.press("Enter")
    host.get_by_test_id("gift-name").focus()
    host.keyboard.type(f"@{username}")
    host.keyboard.press("Enter")
    row = host.get_by_test_id("subscriber")
    expect(row).to_contain_text(username)
    expect(row).to_contain_text("Gift, without an end")


def limit_chat(host: Page) -> None:
    """Let only subscribers write."""
    host.get_by_test_id("desk").get_by_role("tab", name=re.compile("Rules")).click()
    host.get_by_test_id("rule-subscribers").check()
    host.get_by_test_id("rules-save").click()
    expect(host.get_by_test_id("rules-save")).to_be_disabled()


def test_a_gift_opens_what_is_for_subscribers_and_its_end_closes_it(
    open_page: OpenPage, product: Product, small_film: Path
):
    host = open_page("/register")
    host_name = fill_registration(host)
    video = upload_for_subscribers(host, product, small_film)
    room = go_live(host, product, f"Open {make_name()}")
    limit_chat(host)

    guest = open_page("/register")
    guest_name = fill_registration(guest)
    guest.goto(product.url + video)
    gate = guest.get_by_test_id("for-subscribers")
    expect(gate.get_by_role("heading")).to_have_text(f"For subscribers of {host_name}")
    writer = guest.context.new_page()
    writer.goto(product.url + room)
    expect(writer.get_by_test_id("chat-closed")).to_contain_text("Only subscribers")

    owner = host.context.new_page()
    give(owner, product, guest_name)
    expect(guest.get_by_test_id("player-video")).to_be_visible()
    writer.get_by_test_id("chat-input").fill("among ourselves")
    writer.get_by_test_id("chat-send").click()
    line = writer.get_by_test_id("chat-line").filter(has_text="among ourselves")
    expect(line).to_have_attribute("data-state", "sent")
    writer.goto(product.url + "/library")
    writer.get_by_role("tab", name="Subscriptions").click()
    expect(writer.get_by_test_id("subscription")).to_contain_text(host_name)

    owner.get_by_test_id("gift-move").click()
    owner.get_by_role("dialog").get_by_test_id("gift-span").select_option("month")
    owner.get_by_test_id("gift-save").click()
    expect(owner.get_by_test_id("subscriber")).to_contain_text("Gift, until")
    owner.get_by_test_id("gift-end").click()
    owner.get_by_test_id("confirm").click()
    expect(owner.get_by_test_id("subscriber")).to_have_count(0)
    expect(gate).to_be_visible()
