"""Chat lines over plain HTTP: stored by the room like any other, and refused in its own words."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import httpx
import pytest

from kit.setting_sections import LimitSettings
from serve_apps.api.app import build_app
from serve_apps.http.state import ApiPorts
from storage.database import COMMAND_TIMEOUT_S, Database, PoolOptions
from tests.actors.hosting.stage import run_client, run_host
from tests.serve_apps.api_client import Person, make_client, register
from tests.storage.gate import Gate

pytestmark = pytest.mark.db


@pytest.fixture
async def talking(ports: ApiPorts) -> AsyncIterator[httpx.AsyncClient]:
    """Lend a client of an API whose rooms are kept by a host."""
    settings = dataclasses.replace(ports.settings, limits=LimitSettings(chat_per_10_s_max=3))
    async with run_host(settings), run_client(settings, name="api-0", role="api") as rooms:
        app = build_app(dataclasses.replace(ports, rooms=rooms))
        async with make_client(app) as client:
            yield client
        app.state.passwords.close()


async def announce(person: Person, visibility: str = "public") -> str:
    live = await person.post("/v1/live", {"title": "T", "visibility": visibility}, status=201)
    return f"/v1/live/{live['id']}/messages"


async def test_a_line_is_stored_once_however_often_it_is_sent(talking: httpx.AsyncClient) -> None:
    ada, bob = await register(talking, "ada"), await register(talking, "bob")
    path = await announce(ada)
    line = {"client_id": "c1", "text": "hello"}
    first, again = await asyncio.gather(
        bob.post(path, line, status=201), bob.post(path, line, status=201)
    )
    assert first == again
    assert (first["client_id"], first["offset"]) == ("c1", 1)
    history = await bob.get(path)
    assert [item["data"]["text"] for item in history["items"]] == ["hello"]
    assert history["items"][0]["data"]["id"] == first["message_id"]


async def test_a_room_refuses_in_its_own_words(
    talking: httpx.AsyncClient, database: Database
) -> None:
    ada, bob = await register(talking, "ada"), await register(talking, "bob")
    path = await announce(ada)
    anonymous = await talking.post(path, json={"client_id": "x", "text": "hi"})
    assert anonymous.status_code == 401
    hidden = await announce(ada, "private")
    assert (await bob.call("POST", hidden, json={"client_id": "x", "text": "y"})).status_code == 404
    long = await bob.call("POST", path, json={"client_id": "l", "text": "x" * 501})
    assert (long.status_code, long.json()["error"]) == (422, "chat_line_too_long")
    for n in range(3):
        await bob.post(path, {"client_id": f"c{n}", "text": "quick"}, status=201)
    fast = await bob.call("POST", path, json={"client_id": "c4", "text": "quick"})
    assert (fast.status_code, fast.json()["error"]) == (429, "chat_too_fast")
    await ada.post(path.replace("messages", "end"))
    over = await bob.call("POST", path, json={"client_id": "z", "text": "late"})
    assert (over.status_code, over.json()["error"]) == (409, "room_ended")


async def test_without_hosts_the_sender_is_told_to_try_again(ada: Person) -> None:
    path = await announce(ada)
    answer = await ada.call("POST", path, json={"client_id": "c", "text": "hello"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


async def test_a_room_asked_while_the_database_is_silent_says_so_before_a_query_would(
    ports: ApiPorts, database_dsn: str
) -> None:
    """They waited for eight to ten seconds; a socket hears it after three."""
    gate = Gate(database_dsn)
    await gate.open()
    gated = Database(gate.dsn, PoolOptions(size=8))
    await gated.open()
    async with run_host(ports.settings), run_client(ports.settings, name="api-0", role="api") as it:
        app = build_app(dataclasses.replace(ports, database=gated, rooms=it))
        async with make_client(app) as client:
            ada, bob = await register(client, "ada"), await register(client, "bob")
            path = await announce(ada)
            line = {"client_id": "c1", "text": "hello"}
            gate.carries.clear()
            began_s = asyncio.get_running_loop().time()
            answers = await asyncio.gather(
                bob.call("POST", path, json=line),
                bob.call("POST", path.replace("messages", "reactions"), json={"reaction": "🔥"}),
                ada.call("POST", path.replace("messages", "bans"), json={"username": bob.username}),
            )
            assert asyncio.get_running_loop().time() - began_s < COMMAND_TIMEOUT_S - 2
            assert [answer.status_code for answer in answers] == [503, 503, 503]
            assert all(answer.headers["Retry-After"] for answer in answers)
            gate.carries.set()
            assert (await bob.post(path, line, status=201))["offset"] == 1
        app.state.passwords.close()
    await gated.close()
    await gate.shut()


async def test_a_chat_for_subscribers_takes_their_lines_alone(talking: httpx.AsyncClient) -> None:
    ada, bob = await register(talking, "ada"), await register(talking, "bob")
    path = await announce(ada)
    rules = path.replace("/messages", "/chat/rules")
    assert (await ada.call("PATCH", rules, json={"subscribers_only": True})).is_success
    await bob.post("/v1/users/ada/follow")
    refused = await bob.call("POST", path, json={"client_id": "a", "text": "hi"})
    assert (refused.status_code, refused.json()["error"]) == (403, "subscribers_only")
    await ada.call("PUT", "/v1/subscribers/bob", json={})
    await bob.post(path, {"client_id": "b", "text": "hi"}, status=201)
    await ada.post(path, {"client_id": "c", "text": "welcome"}, status=201)
