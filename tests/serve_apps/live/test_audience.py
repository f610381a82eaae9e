"""A live for followers or subscribers: by every way, only they and its owner are let in."""

from __future__ import annotations

import httpx
import pytest

from storage.database import Database
from tests.serve_apps.api_client import Person
from tests.serve_apps.live.test_live import EDGE_URL, edge, put_on_air

__all__ = ["edge"]

pytestmark = pytest.mark.db

ALLOWED = {"whep": 307, "hls": 307, "join": 200, "live": 200, "messages": 200}


async def try_all(someone: Person | httpx.AsyncClient, live_id: str) -> dict[str, int]:
    """Return the status of every way to a live."""
    ask = someone.call if isinstance(someone, Person) else someone.request
    answers = {
        "whep": await ask("POST", f"/whep/{live_id}"),
        "hls": await ask("GET", f"/live/{live_id}/index.m3u8"),
        "join": await ask("POST", f"/v1/live/{live_id}/join"),
        "live": await ask("GET", f"/v1/live/{live_id}"),
        "messages": await ask("GET", f"/v1/live/{live_id}/messages"),
    }
    return {way: answer.status_code for way, answer in answers.items()}


async def test_a_live_for_followers_is_not_there_for_others_by_any_way(
    ada: Person,
    bob: Person,
    client: httpx.AsyncClient,
    database: Database,
    edge: tuple[str, int, int],
) -> None:
    live = await ada.post("/v1/live", {"title": "T", "visibility": "followers"}, status=201)
    await put_on_air(database, live["id"], edge)
    nowhere = dict.fromkeys(ALLOWED, 404)
    assert await try_all(client, live["id"]) == nowhere
    assert await try_all(bob, live["id"]) == nowhere
    assert await try_all(ada, live["id"]) == ALLOWED
    await bob.post("/v1/users/ada/follow")
    assert await try_all(bob, live["id"]) == ALLOWED
    answer = await bob.call("GET", f"/live/{live['id']}/index.m3u8")
    assert answer.headers["Location"].startswith(f"{EDGE_URL}/t/"), "with the right in the address"
    assert (await client.get("/v1/live")).json()["items"] == []
    assert (await bob.call("DELETE", "/v1/users/ada/follow")).is_success
    assert await try_all(bob, live["id"]) == nowhere


async def test_a_live_for_subscribers_says_so_to_others_by_every_way_and_lets_nobody_else_in(
    ada: Person,
    bob: Person,
    client: httpx.AsyncClient,
    database: Database,
    edge: tuple[str, int, int],
) -> None:
    live = await ada.post("/v1/live", {"title": "T", "visibility": "subscribers"}, status=201)
    await put_on_air(database, live["id"], edge)
    refused = dict.fromkeys(ALLOWED, 403)
    await bob.post("/v1/users/ada/follow")
    assert await try_all(client, live["id"]) == refused
    assert await try_all(bob, live["id"]) == refused, "followers are no subscribers"
    said = (await bob.call("GET", f"/v1/live/{live['id']}")).json()
    assert (said["error"], said["details"]["owner"]["username"]) == ("for_subscribers", "ada")
    assert await try_all(ada, live["id"]) == ALLOWED
    await bob.call("DELETE", "/v1/users/ada/follow")
    assert (await ada.call("PUT", "/v1/subscribers/bob", json={})).is_success
    assert await try_all(bob, live["id"]) == ALLOWED
    answer = await bob.call("GET", f"/live/{live['id']}/index.m3u8")
    assert answer.headers["Location"].startswith(f"{EDGE_URL}/t/"), "with the right in the address"
    assert (await bob.get("/v1/live"))["items"] == []
    async with database.transaction() as connection:
        await connection.execute(
            "UPDATE subscriptions SET since = now() - interval '2 s', until = now()"
        )
    assert await try_all(bob, live["id"]) == refused, "also before the job ran"
