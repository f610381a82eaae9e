"""A protected video on the page: whoever may watch it sees no difference."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.people import fill_registration, make_name
from tests.product import Product, await_true

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenPage = Callable[..., Page]
PROCESSING_MS = 180_000
PLAY_ON = "v => { if (v.paused) v.play().catch(() => undefined); return v.currentTime; }"


def call(url: str, method: str, body: object, token: str = "") -> tuple[int, Any]:
    """Send JSON; return the status and the answer."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


def watch(page: Page, address: str) -> list[tuple[str, int]]:
    """Play, seek and play on; return the addresses keys were asked for at, and the answers."""
    asked: list[tuple[str, int]] = []
    page.on(
        "response",
        lambda response: (
            response.url.endswith("/keys") and asked.append((response.url, response.status))
        ),
    )
    page.goto(address)
    video = page.get_by_test_id("player-video")
    expect(video).to_be_visible()
    video.evaluate("v => { v.muted = true; }")
    # A player that attaches its source, or asks for its keys again, loads anew, which ends a play
    # that was asked for before.
    await_true(lambda: video.evaluate(PLAY_ON) > 0.5, "the video plays")
    video.evaluate("v => { v.currentTime = 7; }")
    await_true(lambda: video.evaluate("v => v.currentTime") > 7.2, "it plays on after a seek")
    assert video.evaluate("v => v.videoWidth") > 0
    assert video.evaluate("v => v.getVideoPlaybackQuality().totalVideoFrames") > 0
    assert video.evaluate("v => v.mediaKeys !== null")
    assert asked
    return asked


def test_a_protected_video_plays_for_whoever_may_watch_it(
    open_page: OpenPage, product: Product, film: Path
):
    author = open_page("/register")
    name = fill_registration(author)
    title = f"My secret {make_name()}"
    author.goto(product.url + "/studio")
    author.get_by_test_id("upload-file").set_input_files(str(film))
    author.get_by_test_id("upload-title").fill(title)
    author.get_by_test_id("upload-submit").locator("xpath=ancestor::form").get_by_test_id(
        "protection"
    ).select_option(label="Encrypted")
    author.get_by_test_id("upload-submit").click()
    card = author.get_by_test_id("video-card").filter(has_text=title)
    expect(card.get_by_test_id("video-status")).to_contain_text(
        re.compile("ready", re.IGNORECASE), timeout=PROCESSING_MS
    )
    href = card.get_by_role("link").first.get_attribute("href") or ""
    video_id = href.rstrip("/").split("/")[-1]

    for person, path in ((author, href), (open_page(), href), (open_page(), f"/embed/{video_id}")):
        ((asked, status),) = watch(person, product.url + path)
        assert status == 200
        assert asked.endswith(f"/v/{video_id}/keys")
        assert "/t/" not in asked
    expect(author.get_by_test_id("download")).to_have_count(0)

    _status, login = call(
        f"{product.url}/v1/auth/login", "POST", {"login": name, "password": "correct horse 7"}
    )
    token = login["access_token"]
    api = f"{product.url}/v1/videos/{video_id}"
    status, hidden = call(api, "PATCH", {"visibility": "private"}, token)
    assert (status, hidden["protected"], hidden["playback"]["download"]) == (200, True, None)
    await_true(
        lambda: call(asked, "POST", {"kids": ["AAAA"]})[1].get("error") == "grant_missing",
        "the plain address gives no keys any more",
    )

    refused: list[str] = []

    def refuse_once(route: Route) -> None:
        """Answer the first as an edge does to a grant that is over."""
        if refused:
            route.continue_()
            return
        refused.append(route.request.url)
        route.fulfill(
            status=403,
            body='{"error": "grant_expired"}',
            headers={"Access-Control-Allow-Origin": "*"},
        )

    author.route("**/keys", refuse_once)
    answers = watch(author, product.url + href)
    (refused_at, first), (asked, last) = answers[0], answers[-1]
    assert (first, last) == (403, 200)
    assert "/t/" in refused_at
    assert "/t/" in asked
    assert asked != refused_at, "the key is asked for under a fresh grant"
