"""The control room on the page: rules, held lines, people, a raid, as all sides see them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.e2e.people import (
    fill_registration,
    go_live,
    log_in,
    make_name,
    wait_for_picture,
)
from tests.product import Product

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenPage = Callable[..., Page]
PATIENCE_MS = 60_000


def open_side(page: Page, name: str) -> Locator:
    """Open one side of the moderators' desk by keyboard; return the desk."""
    desk = page.get_by_test_id("desk")
    desk.get_by_role("tab", name=re.compile(name)).focus()
    page.keyboard.press("Enter")
    return desk


def say(page: Page, text: str, state: str) -> Locator:
    """Write a line and wait until the room said what becomes of it."""
    page.get_by_test_id("chat-input").fill(text)
    page.get_by_test_id("chat-send").click()
    line = page.get_by_test_id("chat-line").filter(has_text=text)
    expect(line).to_have_attribute("data-state", state, timeout=PATIENCE_MS)
    return line


def save_rules(page: Page) -> None:
    page.get_by_test_id("rules-save").click()
    expect(page.get_by_test_id("rules-save")).to_be_disabled(timeout=PATIENCE_MS)


class SlowSocket:
    """A page's socket whose subscriptions arrive only when the test says so."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._held: list[tuple[WebSocketRoute, str | bytes]] = []
        self._holds = True
        page.route_web_socket(re.compile("/ws"), self._join)

    def _join(self, route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            if self._holds and '"subscribe"' in str(message):
                self._held.append((server, message))
            else:
                server.send(message)

        route.on_message(pass_on)

    def wait(self) -> None:
        """Wait until the page asked for its channels."""
        ends_s = time.monotonic() + PATIENCE_MS / 1000
        while not self._held:
            assert time.monotonic() < ends_s, "the page subscribes to nothing"
            self._page.wait_for_timeout(50)

    def release(self) -> None:
        """Let everything through that was held back."""
        self._holds = False
        for server, message in self._held:
            server.send(message)


def test_a_host_runs_the_room_and_everybody_sees_it(open_page: OpenPage, product: Product):
    host = open_page("/register")
    fill_registration(host)
    address = go_live(host, product, f"Room {make_name()}")
    guest = open_page("/register")
    guest_name = fill_registration(guest)
    guest.goto(product.url + address)
    check_rules_and_review(host, guest)
    check_announcement_and_reactions(host, guest)
    check_people(host, guest, guest_name)
    stranger = open_page(address)
    check_change_on_air(host, guest, stranger)
    check_takedown(product, host, stranger, Moderator(guest, guest_name, product.url + address))


def check_rules_and_review(host: Page, guest: Page) -> None:
    """A rule binds at once; a held line is seen by its writer and the desk until it is decided."""
    open_side(host, "Rules")
    host.get_by_test_id("rule-held").fill("promo")
    host.get_by_test_id("rule-slow").fill("4000")
    expect(host.get_by_test_id("rules-save")).to_be_disabled()
    host.get_by_test_id("rule-slow").fill("600")
    save_rules(host)
    expect(guest.get_by_test_id("chat-hint")).to_contain_text("one line every 10 minutes")
    first = say(guest, "my promo code", "held")
    expect(first).to_contain_text("Only you see this")
    expect(guest.get_by_test_id("chat-hint")).to_contain_text(re.compile(r"Next line in \d+:\d\d"))
    expect(guest.get_by_test_id("chat-send")).to_be_disabled()
    desk = open_side(host, "Held")
    expect(desk.get_by_role("tab", name="Held (1)")).to_be_visible(timeout=PATIENCE_MS)
    expect(host.get_by_test_id("chat-line").filter(has_text="promo code")).to_have_count(0)
    desk.get_by_test_id("held-approve").focus()
    host.keyboard.press("Enter")
    expect(first).to_have_attribute("data-state", "sent", timeout=PATIENCE_MS)
    expect(host.get_by_test_id("chat-line").filter(has_text="promo code")).to_be_visible()
    expect(desk.get_by_text("Nothing waits")).to_be_visible()

    open_side(host, "Rules")
    host.get_by_test_id("rule-slow").fill("0")
    save_rules(host)
    expect(guest.get_by_test_id("chat-hint")).to_have_count(0)
    second = say(guest, "another promo", "held")
    # What is decided between the history and the subscription is not lost on the page.
    socket = SlowSocket(guest)
    guest.reload()
    expect(second).to_have_attribute("data-state", "held", timeout=PATIENCE_MS)
    socket.wait()
    desk = open_side(host, "Held")
    desk.get_by_test_id("held-refuse").click()
    expect(desk.get_by_text("Nothing waits")).to_be_visible()
    socket.release()
    expect(second).to_have_attribute("data-state", "failed", timeout=PATIENCE_MS)
    expect(second).to_contain_text("Refused by a moderator")

    open_side(host, "Rules")
    host.get_by_test_id("rule-followers").check()
    save_rules(host)
    closed = guest.locator(".chat-closed")
    expect(closed).to_contain_text("Only followers")
    closed.get_by_test_id("follow-button").click()
    expect(guest.get_by_test_id("chat-input")).to_be_visible()
    say(guest, "now I follow", "sent")


def check_announcement_and_reactions(host: Page, guest: Page) -> None:
    """An announcement stays for whoever comes later; reactions are summed for everybody."""
    open_side(host, "Announce")
    host.get_by_test_id("announce-text").fill("We start in five minutes.")
    host.get_by_test_id("announce").click()
    notice = guest.get_by_test_id("chat-notice")
    expect(notice).to_contain_text("We start in five minutes.")
    guest.reload()
    expect(notice).to_contain_text("We start in five minutes.", timeout=PATIENCE_MS)
    notice.get_by_role("button").click()
    expect(notice).to_be_empty()
    expect(guest.get_by_test_id("react-fire")).to_be_enabled(timeout=PATIENCE_MS)
    guest.get_by_test_id("react-fire").click()
    guest.get_by_test_id("react-fire").click()
    for page in (host, guest):
        fire = page.get_by_test_id("react-fire")
        expect(fire).to_have_accessible_name("React with fire, 2 so far", timeout=PATIENCE_MS)


def check_people(host: Page, guest: Page, guest_name: str) -> None:
    """A moderator is appointed by name and gets a desk of their own; a ban can be undone."""
    open_side(host, "People")
    host.get_by_test_id("moderator-name").fill("nobody_of_this_name")
    host.get_by_test_id("moderator-add").click()
    expect(host.get_by_text("There is nobody with this name.")).to_be_visible()
    host.get_by_test_id("moderator-name").fill(f"@{guest_name}")
    host.get_by_test_id("moderator-add").click()
    expect(host.get_by_test_id("moderator")).to_contain_text(guest_name, timeout=PATIENCE_MS)
    guest.get_by_test_id("moderate").click()
    expect(open_side(guest, "Rules").get_by_test_id("rule-slow")).to_be_disabled()
    expect(guest.get_by_test_id("raid")).to_have_count(0)
    host.get_by_test_id("moderator-remove").click()
    expect(guest.get_by_test_id("desk")).to_have_count(0, timeout=PATIENCE_MS)
    line = host.get_by_test_id("chat-line").filter(has_text="now I follow")
    line.get_by_test_id("line-menu").click()
    host.get_by_role("dialog").get_by_role("button", name="Ban from this chat").click()
    expect(guest.get_by_test_id("chat-closed")).to_contain_text("banned")
    expect(host.get_by_test_id("silenced")).to_contain_text("Banned", timeout=PATIENCE_MS)
    # What changes between the API's answer and the subscription is not lost on the page.
    socket = SlowSocket(guest)
    guest.reload()
    expect(guest.get_by_test_id("chat-closed")).to_contain_text("banned", timeout=PATIENCE_MS)
    socket.wait()
    host.get_by_test_id("pardon").click()
    expect(host.get_by_test_id("silenced")).to_have_count(0)
    socket.release()
    expect(guest.get_by_test_id("chat-input")).to_be_visible(timeout=PATIENCE_MS)


def check_change_on_air(host: Page, guest: Page, stranger: Page) -> None:
    """Who may not see a live any more is cut off while it goes on; it has its new title later."""
    wait_for_picture(stranger)
    title = f"Renamed {make_name()}"
    host.get_by_test_id("change-live").click()
    host.get_by_test_id("change-title").fill(title)
    host.get_by_role("dialog").get_by_label("Who can watch").select_option("private")
    expect(host.get_by_test_id("change-does")).to_contain_text("cut off within a second")
    host.get_by_test_id("change-save").click()
    for page in (guest, stranger):
        expect(page.get_by_test_id("error-state")).to_contain_text("no longer here")
        expect(page.get_by_test_id("live-video")).to_have_count(0)
    expect(host.get_by_role("dialog")).to_have_count(0)
    expect(host.get_by_test_id("live-status")).to_have_attribute("data-status", "live")
    expect(host.get_by_text("private", exact=True)).to_be_visible()
    host.get_by_test_id("change-live").click()
    host.get_by_role("dialog").get_by_label("Who can watch").select_option("public")
    host.get_by_test_id("change-save").click()
    expect(host.get_by_role("dialog")).to_have_count(0)
    for page in (guest, stranger):
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text(title)


@dataclass(frozen=True)
class Moderator:
    """Somebody who becomes a moderator of the site, with their page, and where the live is."""

    page: Page
    name: str
    url: str


def check_takedown(product: Product, host: Page, stranger: Page, moderator: Moderator) -> None:
    """A moderator of the site takes the live down on its page; every page that shows it says so."""
    page = moderator.page
    for other in (page, stranger):
        wait_for_picture(other)
        expect(other.get_by_test_id("take-down")).to_have_count(0)
    given = product.run("role", moderator.name, "moderator")
    assert given.returncode == 0, given.stdout
    expect(page.get_by_test_id("user-menu")).to_be_hidden()  # a new role begins with a login
    log_in(page, product, moderator.name, "correct horse 7")
    page.goto(moderator.url)
    page.get_by_test_id("take-down").click()
    expect(page.get_by_test_id("takedown-confirm")).to_be_disabled()
    page.get_by_test_id("takedown-reason").fill("Shows a film of others.")
    page.get_by_test_id("takedown-confirm").click()
    expect(page.get_by_test_id("error-state")).to_contain_text("is taken down")
    for other in (host, stranger):
        expect(other.get_by_test_id("error-state")).to_contain_text("no longer here")
    expect(stranger.get_by_test_id("live-video")).to_have_count(0)
    host.get_by_text("Start a new one").click()
    expect(host.get_by_test_id("live-title")).to_be_visible()
    host.get_by_test_id("bell").click()
    told = host.get_by_test_id("notice").filter(has_text="A moderator took down your live")
    expect(told).to_contain_text("Shows a film of others.")
    expect(told).not_to_contain_text(moderator.name)


REFUSE_AT_ONCE = """() => {
    const watch = new MutationObserver(() => {
        const prompt = document.querySelector("[data-testid=raid-prompt]");
        if (!prompt) return;
        watch.disconnect();
        window.refused = prompt.textContent;
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    });
    watch.observe(document.body, { childList: true, subtree: true });
}"""
"""Presses Escape in the moment in which a raid's prompt is there."""


def test_a_raid_names_its_target_takes_viewers_along_and_lets_them_stay(
    open_page: OpenPage, product: Product
):
    target, host = open_page("/register"), open_page("/register")
    target_name = fill_registration(target)
    fill_registration(host)
    target_title = f"Target {make_name()}"
    target_address = go_live(target, product, target_title)
    address = go_live(host, product, f"Raider {make_name()}")
    stays, goes = open_page(address), open_page(address)
    for viewer in (stays, goes):
        expect(viewer.get_by_test_id("chat-connection")).to_have_attribute("data-state", "open")
        expect(viewer.get_by_test_id("react-fire")).to_be_visible()
    stays.evaluate(REFUSE_AT_ONCE)
    open_side(host, "raid")
    host.get_by_test_id("raid-target").filter(has_text=target_title).get_by_role("radio").check()
    host.get_by_test_id("raid").click()
    expect(host.get_by_role("dialog")).to_contain_text(target_title)
    expect(host.get_by_role("dialog")).to_contain_text(target_name)
    host.get_by_test_id("confirm").click()
    expect(goes.get_by_test_id("raid-prompt")).to_contain_text(target_title, timeout=PATIENCE_MS)
    stays.wait_for_function("window.refused", timeout=PATIENCE_MS)
    assert target_title in stays.evaluate("window.refused")
    expect(stays.get_by_test_id("raid-prompt")).to_have_count(0)
    goes.wait_for_url(product.url + target_address, timeout=PATIENCE_MS)
    expect(goes.get_by_role("heading", level=1)).to_have_text(target_title)
    assert stays.url == product.url + address
    expect(stays.get_by_test_id("chat-notice")).to_contain_text(target_title)
    expect(host.get_by_test_id("raid-prompt")).to_have_count(0)
    expect(target.get_by_test_id("chat-notice")).to_contain_text("here")
