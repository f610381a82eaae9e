"""Profiles and following, request in, rows out."""

from __future__ import annotations

import httpx
import pytest

from serve_apps.http.state import ApiPorts
from tests.serve_apps.api_client import Person, deliver_all, register

pytestmark = pytest.mark.db


async def test_a_profile_shows_no_address(client: httpx.AsyncClient, ada: Person):
    body = (await client.get("/v1/users/ADA")).json()
    assert body["username"] == "ada"
    assert "email" not in body
    assert body["counters"] == {"followers": 0, "following": 0, "posts": 0}


async def test_a_follow_counts_on_both_sides_and_shows_to_each(
    ada: Person, bob: Person, ports: ApiPorts
):
    for _ in range(2):
        answer = await bob.post("/v1/users/ada/follow")
        assert answer == {"username": "ada", "is_following": True}
    await deliver_all(ports)
    seen_by_bob = await bob.get("/v1/users/ada")
    assert seen_by_bob["is_following"]
    assert seen_by_bob["counters"]["followers"] == 1
    seen_by_ada = await ada.get("/v1/users/bob")
    assert seen_by_ada["follows_you"]
    assert not seen_by_ada["is_following"]
    assert seen_by_ada["counters"]["following"] == 1
    async with ports.database.connection() as connection:
        events = await connection.fetchval("SELECT count(*) FROM events WHERE name LIKE '%follow%'")
    assert events == 1


async def test_an_unfollow_takes_the_count_back(ada: Person, bob: Person, ports: ApiPorts):
    await bob.post("/v1/users/ada/follow")
    await deliver_all(ports)
    for _ in range(2):
        assert (await bob.call("DELETE", "/v1/users/ada/follow")).status_code == 200
    await deliver_all(ports)
    assert (await bob.get("/v1/users/ada"))["counters"]["followers"] == 0


async def test_nobody_follows_themselves_or_nobody(ada: Person):
    for path, status, code in [
        ("/v1/users/ada/follow", 409, "cannot_follow_yourself"),
        ("/v1/users/ghost/follow", 404, "user_not_found"),
    ]:
        answer = await ada.call("POST", path)
        assert (answer.status_code, answer.json()["error"]) == (status, code)


async def test_follower_lists_page_without_repeating_or_skipping(
    client: httpx.AsyncClient, ada: Person
):
    names = [f"fan_{number}" for number in range(7)]
    for name in names:
        await (await register(client, name)).post("/v1/users/ada/follow")
    seen, cursor = [], None
    while True:
        page = (
            await client.get(
                "/v1/users/ada/followers",
                params={"limit": 3} | ({"cursor": cursor} if cursor else {}),
            )
        ).json()
        seen += [person["username"] for person in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["items"]) == 3
    assert seen == names[::-1]
    following = (await client.get("/v1/users/fan_0/following")).json()
    assert [person["username"] for person in following["items"]] == ["ada"]


@pytest.mark.parametrize("cursor", ["x", "!!!!", "WyJub3QtYS11dWlkIl0", "W10"])
async def test_a_foreign_cursor_is_refused(client: httpx.AsyncClient, ada: Person, cursor: str):
    answer = await client.get("/v1/users/ada/followers", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["error"]) == (422, "cursor_malformed")
