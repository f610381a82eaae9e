"""axe finds nothing serious or critical: every page, both themes, phone and desk, any visitor."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from cluster.seed.world import DEMO_OWNER
from cluster.status import DEMO
from tests.e2e.conftest import PATIENCE_MS
from tests.e2e.people import fill_registration, log_in
from tests.product import ROOT, Product, await_true, fetch

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = ({"width": 1280, "height": 800}, {"width": 390, "height": 844})
THEMES = {
    "light": {},
    # A theme is colours alone (web/src/look/tokens.css): what else is wrong is so in both.
    "dark": {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}},
}
# What axe would preload is for rules that are less than serious, or experiments.
RUN_AXE = """
async (rules) => (
  await axe.run(document, {resultTypes: ['violations'], preload: false, ...rules})
).violations
  .filter((found) => ['serious', 'critical'].includes(found.impact))
  .map((found) => `${found.impact} ${found.id}: ` + found.nodes.map((node) =>
    `${node.target.join(' ')} (${[...node.any, ...node.all][0]?.message ?? ''})`).join('; '))
"""
SET_THEME = "(theme) => { document.documentElement.dataset.theme = theme; }"
PLANT = """
() => {
  const words = document.createElement('p');
  words.textContent = 'Who can read this?';
  Object.assign(words.style, {color: '#777', background: '#888'});
  document.querySelector('main').append(document.createElement('button'), words);
}
"""
NO_FADING = "*, *::before, *::after { transition: none !important; }"
PUBLIC = {
    "/": "main h1",
    "/explore": "main article",
    "/watch/{video}": "[data-testid=player-video]",
    "/live": "[data-testid=live-card]",
    "/live/{live}": "[data-testid=live-status][data-status=live]",
    "/live/{upcoming}": "[data-testid=countdown]",
    "/post/{post}": "[data-testid=comment]",
    "/u/mara": "[data-testid=followers-count]",
    "/u/nobody": "[data-testid=error-state]",
    "/nowhere": "main h1",
}
STRANGERS = {"/login": "[data-testid=login-submit]", "/register": "[data-testid=register-submit]"}
MEMBERS = {
    "/u/{owner}": "[data-testid=post-card]",
    "/studio": "[data-testid=video-card]",
    "/studio/subscribers": "[data-testid=gift-give]",
    "/studio/trash": "main h2",
    "/library": "[data-testid=history-pause]",
    "/studio/live": "[data-testid=go-live]",
    "/studio/live?live={live}": "[data-testid=end-live]",
    "/settings": "[data-testid=session]",
}
NEWCOMERS = {"/": "[data-testid=post-text]", "/studio": "[data-testid=upload-file]"}


@dataclass(frozen=True)
class World:
    """What the addresses of the seeded product are filled with."""

    product: Product
    names: dict[str, str]

    def fill(self, path: str) -> str:
        return self.product.url + path.format(**self.names)


def get(product: Product, path: str) -> Any:
    return json.loads(fetch(f"{product.url}/v1{path}"))


@pytest.fixture(scope="module")
def world(small_world: str, product: Product) -> Iterator[World]:
    """Name what the pages show; the demo, which costs a tenth of a core, ends with this file."""
    await_true(lambda: bool(get(product, "/live")["items"]), "the demo is on air")
    talked = (p for p in get(product, "/feed/explore?limit=100")["items"] if p["videos"])
    post = next(p for p in talked if p["counters"]["comments"])
    names = {
        "owner": DEMO_OWNER,
        "live": next(
            item["id"]
            for item in get(product, "/live")["items"]
            if item["owner"]["username"] == DEMO_OWNER
        ),
        "upcoming": get(product, "/live?state=scheduled")["items"][0]["id"],
        "post": post["id"],
        "video": post["videos"][0]["id"],
    }
    yield World(product, names)
    product.kill(DEMO, signal.SIGTERM)


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """Open one tab for the file: its tests run in order, from stranger to member."""
    context = chromium.new_context(reduced_motion="reduce")
    lent = context.new_page()
    lent.set_default_timeout(PATIENCE_MS)
    yield lent
    context.close()


def examine(page: Page) -> list[str]:
    """Run axe on the open page in both themes and sizes; return what it found."""
    found: list[str] = []
    page.evaluate(AXE.read_text())
    page.add_style_tag(content=NO_FADING)  # a colour on its way to the other theme is no colour
    for size in SIZES:
        page.set_viewport_size(size)
        for theme, rules in THEMES.items():
            page.evaluate(SET_THEME, theme)
            found += [f"{size['width']} {theme}: {text}" for text in page.evaluate(RUN_AXE, rules)]
    return found


def check_pages(page: Page, world: World, paths: dict[str, str]) -> None:
    """Examine each page once it shows what it is for."""
    problems: dict[str, list[str]] = {}
    for path, landmark in paths.items():
        page.set_viewport_size(SIZES[0])
        page.goto(world.fill(path))
        expect(page.locator(landmark).first).to_be_attached()
        expect(page.locator("main .skeleton")).to_have_count(0)
        found = examine(page)
        if found:
            problems[path] = found
    assert problems == {}


def test_for_a_stranger(page: Page, world: World):
    check_pages(page, world, PUBLIC | STRANGERS)


def test_for_a_newcomer(page: Page, world: World):
    page.goto(world.fill("/register"))
    fill_registration(page)
    check_pages(page, world, NEWCOMERS)
    page.get_by_test_id("user-menu").click()
    page.get_by_test_id("logout").click()


def test_for_a_member(page: Page, world: World, small_world: str):
    log_in(page, world.product, DEMO_OWNER, small_world.split()[-1])
    check_pages(page, world, PUBLIC | MEMBERS)


def test_for_a_host_at_the_desk(page: Page, world: World):
    page.set_viewport_size(SIZES[0])
    page.goto(world.fill("/studio/live?live={live}"))
    problems = {}
    tabs = page.get_by_test_id("desk").get_by_role("tab")
    expect(tabs).to_have_count(4)
    for tab in tabs.all():
        tab.click()
        expect(page.locator("main .skeleton")).to_have_count(0)
        problems[tab.inner_text()] = examine(page)
    assert set(problems) == {"Held", "Rules", "People", "Announce & raid"}
    assert [found for found in problems.values() if found] == []


def test_planted_faults_are_found(page: Page, world: World):
    page.goto(world.fill("/nowhere"))
    page.evaluate(PLANT)
    found = [text.partition(": ") for text in examine(page)]
    faults = {(where, fault.partition(":")[0]) for where, _, fault in found}
    widths = {size["width"] for size in SIZES}
    assert faults == {
        *((f"{width} light", "critical button-name") for width in widths),
        *((f"{w} {theme}", "serious color-contrast") for w in widths for theme in THEMES),
    }
