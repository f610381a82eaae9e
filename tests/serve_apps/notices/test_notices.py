"""Reading what one was told, and saying that it was seen, at the API."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from kit.ids import make_id
from serve_apps.http.state import ApiPorts
from tests.serve_apps.api_client import Person

pytestmark = pytest.mark.db


async def tell(ports: ApiPorts, person: Person, by: Person, count: int) -> None:
    """Write what the host of the person's session would have written."""
    user = {"id": by.id, "username": by.username, "display_name": ""}
    async with ports.database.connection() as connection:
        await connection.executemany(
            "INSERT INTO user_entries (user_id, seq, id, kind, event_id, body, created_at)"
            " VALUES ($1, $2, $3, 'notification', $3, $4, now())",
            [
                (
                    uuid.UUID(person.id),
                    seq,
                    make_id(),
                    {"kind": "like", "data": {"post_id": str(make_id()), "user": user}},
                )
                for seq in range(1, count + 1)
            ],
        )


async def see(person: Person, offset: int) -> Any:
    return await person.post("/v1/notices/seen", {"offset": offset})


async def test_notices_are_listed_newest_first_and_a_page_at_a_time(
    ada: Person, bob: Person, ports: ApiPorts
) -> None:
    await tell(ports, ada, bob, 5)
    first = await ada.get("/v1/notices?limit=3")
    assert [item["offset"] for item in first["items"]] == [5, 4, 3]
    assert first["items"][0]["user"]["username"] == "bob"
    rest = await ada.get(f"/v1/notices?limit=3&cursor={first['next_cursor']}")
    assert [item["offset"] for item in rest["items"]] == [2, 1]
    assert rest["next_cursor"] is None
    assert (first["unseen"], rest["unseen"]) == (5, 5)
    nothing = await bob.get("/v1/notices")
    assert nothing == {"items": [], "next_cursor": None, "unseen": 0}


async def test_what_was_seen_stays_seen_and_nothing_is_seen_in_advance(
    ada: Person, bob: Person, ports: ApiPorts
) -> None:
    await tell(ports, ada, bob, 5)
    assert await see(ada, 3) == {"offset": 3, "unseen": 2}
    assert await see(ada, 1) == {"offset": 3, "unseen": 2}
    assert await see(ada, 99) == {"offset": 5, "unseen": 0}
    assert (await ada.get("/v1/notices"))["unseen"] == 0
    assert await see(bob, 7) == {"offset": 0, "unseen": 0}


async def test_other_devices_hear_that_something_was_seen(
    ada: Person, bob: Person, ports: ApiPorts
) -> None:
    await tell(ports, ada, bob, 2)
    heard = ports.cache.client.pubsub()
    await heard.psubscribe(f"*user:{ada.id}")
    await see(ada, 2)
    async with asyncio.timeout(60):
        while True:
            message = await heard.get_message(ignore_subscribe_messages=True, timeout=1)
            if message is not None:
                break
    assert b"notices_seen" in message["data"]
    await heard.aclose()


async def test_notices_are_for_whom_they_tell_and_for_nobody_else(
    client: httpx.AsyncClient, ada: Person
) -> None:
    assert (await client.get("/v1/notices")).status_code == 401
    assert (await client.post("/v1/notices/seen", json={"offset": 1})).status_code == 401
    strange = await ada.call("GET", "/v1/notices?cursor=WyJhIl0")
    assert (strange.status_code, strange.json()["error"]) == (422, "cursor_malformed")
    assert (await ada.call("POST", "/v1/notices/seen", json={"offset": -1})).status_code == 422
