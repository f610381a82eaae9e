"""Administration in Chromium: naming an administrator, banning, and what the banned person sees."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.people import fill_registration
from tests.product import Product

pytestmark = pytest.mark.browser


def log_in(page: Page, product: Product, name: str) -> None:
    page.goto(product.url + "/login")
    page.get_by_test_id("login-login").fill(name)
    page.get_by_test_id("login-password").fill("correct horse 7")
    page.get_by_test_id("login-submit").click()


def test_a_banned_person_is_logged_out_without_a_reload_and_told_why(
    open_page: Callable[..., Page], product: Product
):
    admin, victim = open_page("/register"), open_page("/register")
    chief, culprit = fill_registration(admin), fill_registration(victim)
    given = product.run("role", chief, "admin")
    assert given.returncode == 0, given.stdout
    refused = product.run("role", "nobody_at_all", "admin")
    assert (refused.returncode, "nobody with this name" in refused.stdout) == (1, True)
    log_in(admin, product, chief)
    admin.get_by_test_id("user-menu").click()
    admin.get_by_test_id("admin-link").click()
    admin.get_by_test_id("people-search").fill(culprit)
    row = admin.get_by_test_id("person")
    expect(row).to_have_count(1)
    row.get_by_test_id("ban").click()
    admin.get_by_test_id("ban-reason").fill("Sells fake tickets.")
    admin.get_by_test_id("ban-confirm").click()
    expect(row).to_contain_text("Sells fake tickets.")
    expect(victim.get_by_test_id("user-menu")).to_be_hidden()  # told by the socket, no reload
    log_in(victim, product, culprit)
    expect(victim.get_by_role("alert")).to_contain_text("Sells fake tickets.")
    admin.get_by_role("tab", name="Record").click()
    expect(admin.get_by_test_id("act").first).to_contain_text(f"banned @{culprit}")
    admin.get_by_role("tab", name="People").click()
    admin.get_by_test_id("people-search").fill(culprit)
    expect(row).to_have_count(1)
    row.get_by_test_id("unban").click()
    expect(row.get_by_test_id("ban")).to_be_visible()
    log_in(victim, product, culprit)
    expect(victim.get_by_test_id("user-menu")).to_be_visible()


def test_a_host_is_taken_out_of_service_and_brought_back(
    open_page: Callable[..., Page], product: Product
):
    admin = open_page("/register")
    chief = fill_registration(admin)
    assert product.run("role", chief, "admin").returncode == 0
    log_in(admin, product, chief)
    admin.get_by_test_id("user-menu").click()
    admin.get_by_test_id("admin-link").click()
    admin.get_by_role("tab", name="Rooms").click()
    row = admin.get_by_test_id("host").filter(has_text="host-1").first
    row.get_by_test_id("host-ask").click()
    expect(row.get_by_test_id("running")).to_be_visible()
    row.get_by_test_id("host-drain").click()
    expect(row.get_by_test_id("host-resume")).to_be_visible(timeout=60_000)
    expect(row).to_contain_text("out of service")
    row.get_by_test_id("host-resume").click()
    expect(row.get_by_test_id("host-drain")).to_be_visible(timeout=60_000)
    expect(row).to_contain_text("live")
    product.await_new("host-1", 0)
    admin.get_by_role("tab", name="Record").click()
    expect(admin.get_by_test_id("act").first).to_contain_text("brought host-1 back into service")
