"""What a person does on the page to get an account."""

from __future__ import annotations

import uuid

from playwright.sync_api import Page, expect


def make_name() -> str:
    """Return a fresh short name."""
    return uuid.uuid4().hex[:10]


def fill_registration(page: Page) -> str:
    """Register on the open registration page; return the username."""
    name = f"u_{make_name()}"
    page.get_by_test_id("register-username").fill(name)
    page.get_by_test_id("register-email").fill(f"{name}@example.com")
    page.get_by_test_id("register-password").fill("correct horse 7")
    page.get_by_test_id("register-submit").click()
    expect(page.get_by_test_id("user-menu")).to_be_visible()
    return name
