"""Feeds: what followers see, in order, page by page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

from kit.clock import ManualClock
from serve_apps.http.state import ApiPorts
from tests.serve_apps.api_client import Person, deliver_all, register
from tests.serve_apps.hearing import Messages

pytestmark = pytest.mark.db
Hear = Callable[[str], AbstractAsyncContextManager[Messages]]


async def read_all(person: Person, path: str, limit: int, clock: ManualClock) -> list[str]:
    """Read a list to its end, while its authors go on writing."""
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(50):
        params: dict[str, Any] = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = await person.get(path, params=params)
        seen += [item["text"] for item in page["items"]]
        clock.advance(1)
        await person.write_post("written meanwhile")
        cursor = page["next_cursor"]
        if cursor is None:
            return seen
    raise AssertionError("the list has no end")


async def test_a_post_reaches_a_followers_home_feed_and_nobody_elses(
    ada: Person, bob: Person, ports: ApiPorts
):
    await bob.post("/v1/users/ada/follow")
    await ada.write_post("to my followers", visibility="followers")
    await deliver_all(ports)
    assert [item["text"] for item in (await bob.get("/v1/feed/home"))["items"]] == [
        "to my followers"
    ]
    await bob.write_post("bob's own")
    await deliver_all(ports)
    assert [item["text"] for item in (await ada.get("/v1/feed/home"))["items"]] == [
        "to my followers"
    ]


async def test_a_post_for_subscribers_is_in_the_home_feed_of_followers_who_subscribe(
    ada: Person, bob: Person, ports: ApiPorts
):
    await bob.post("/v1/users/ada/follow")
    await ada.write_post("behind the scenes", visibility="subscribers")
    await deliver_all(ports)
    assert (await bob.get("/v1/feed/home"))["items"] == []
    await ada.call("PUT", "/v1/subscribers/bob", json={})
    assert len((await bob.get("/v1/feed/home"))["items"]) == 1, "also what was written before"
    await bob.call("DELETE", "/v1/users/ada/follow")
    assert (await bob.get("/v1/feed/home"))["items"] == [], "home is whom one follows"
    await bob.post("/v1/users/ada/follow")
    await ada.call("DELETE", "/v1/subscribers/bob")
    assert (await bob.get("/v1/feed/home"))["items"] == []


async def test_only_subscribers_get_a_hint_of_a_post_for_them(
    ada: Person, bob: Person, ports: ApiPorts, client: httpx.AsyncClient, hear: Hear
):
    carol = await register(client, "carol")
    for person in (bob, carol):
        await person.post("/v1/users/ada/follow")
    await ada.call("PUT", "/v1/subscribers/carol", json={})
    await deliver_all(ports)
    async with hear(f"user:{bob.id}") as bobs, hear(f"user:{carol.id}") as carols:
        posts = []
        for visibility in ("subscribers", "followers"):
            posts.append((await ada.write_post("x", visibility=visibility))["id"])
            await deliver_all(ports)
        told = [await bobs(1), await carols(2)]
    assert [[hint.data["post_id"] for hint in hints] for hints in told] == [posts[1:], posts]


async def test_authors_see_their_own_post_before_any_job_ran(ada: Person):
    await ada.write_post("mine")
    assert [item["text"] for item in (await ada.get("/v1/feed/home"))["items"]] == ["mine"]


async def test_a_follow_brings_the_newest_posts_and_an_unfollow_takes_them(
    ada: Person, bob: Person, clock: ManualClock
):
    for number in range(60):
        await ada.write_post(f"post {number}")
        clock.advance(1)
    await ada.write_post("secret", visibility="private")
    for number in range(50):
        await ada.write_post(f"inner circle {number}", visibility="subscribers")
        clock.advance(1)
    await bob.post("/v1/users/ada/follow")
    page = await bob.get("/v1/feed/home", params={"limit": 100})
    assert [item["text"] for item in page["items"]] == [
        f"post {number}" for number in range(59, 9, -1)
    ]
    await bob.call("DELETE", "/v1/users/ada/follow")
    assert (await bob.get("/v1/feed/home"))["items"] == []


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_home_pages_never_repeat_or_skip_also_within_one_moment(
    ada: Person, bob: Person, ports: ApiPorts, clock: ManualClock, limit: int
):
    await bob.post("/v1/users/ada/follow")
    for number in range(11):
        await ada.write_post(f"post {number}")
        if number % 4 == 0:
            clock.advance(0.001)
    await deliver_all(ports)
    expected = [f"post {number}" for number in range(10, -1, -1)]
    assert await read_all(bob, "/v1/feed/home", limit, clock) == expected


async def test_explore_is_public_newest_first_and_shows_public_posts_only(
    client: httpx.AsyncClient, ada: Person, bob: Person, clock: ManualClock
):
    for author, text, visibility in [
        (ada, "one", "public"),
        (bob, "two", "followers"),
        (bob, "inner circle", "subscribers"),
        (bob, "three", "private"),
        (bob, "four", "public"),
    ]:
        await author.write_post(text, visibility=visibility)
        clock.advance(1)
    items = (await client.get("/v1/feed/explore")).json()["items"]
    assert [item["text"] for item in items] == ["four", "one"]
    assert await read_all(ada, "/v1/feed/explore", 1, clock) == ["four", "one"]


@pytest.mark.parametrize("limit", ["0", "101", "x"])
async def test_a_limit_outside_its_bounds_is_malformed(client: httpx.AsyncClient, limit: str):
    answer = await client.get("/v1/feed/explore", params={"limit": limit})
    assert (answer.status_code, answer.json()["error"]) == (422, "malformed_request")


@pytest.mark.parametrize("cursor", ["abc", "WyJ4IiwieSJd", "WzEsMl0"])
async def test_a_foreign_cursor_is_refused(client: httpx.AsyncClient, cursor: str):
    answer = await client.get("/v1/feed/explore", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["error"]) == (422, "cursor_malformed")
