"""Rooms and hosts as an administrator sees them, with a real host behind."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from kit.settings import Settings
from serve_apps.access.identity import Role
from serve_apps.admin import service
from serve_apps.http.state import ApiPorts
from tests.actors.hosting.stage import Heard, run_client, run_host
from tests.serve_apps.api_client import PASSWORD, Person

pytestmark = pytest.mark.db


@pytest.fixture
async def admin(ports: ApiPorts, ada: Person) -> Person:
    """Lend an administrator."""
    async with ports.database.transaction() as connection:
        await service.change_role(connection, None, "ada", Role.ADMIN, ports.clock.now())
    login = {"login": "ada", "password": PASSWORD}
    body = (await ada.client.post("/v1/auth/login", json=login)).json()
    return Person(ada.client, ada.id, "ada", body["access_token"], body["refresh_token"])


async def test_placed_rooms_are_listed_with_their_host_and_rates(
    admin: Person, bob: Person, settings: Settings
):
    lives = [await bob.post("/v1/live", {"title": f"Night {n}"}, status=201) for n in range(3)]
    assert (await admin.get("/v1/admin/rooms"))["items"] == []
    async with run_host(settings), run_client(settings, Heard()) as edge:
        for live in lives:
            edge.open_room(uuid.UUID(live["id"]))
        async with asyncio.timeout(30):
            while len((await admin.get("/v1/admin/rooms"))["items"]) < 3:
                await asyncio.sleep(0.05)
        [host] = (await admin.get("/v1/admin/hosts"))["items"]
        assert (host["state"], host["objects"]["room"]) == ("live", 3)
        assert host["lease_left_s"] > 0
        first = await admin.get(f"/v1/admin/rooms?limit=2&host={host['id']}")
        rest = await admin.get(f"/v1/admin/rooms?limit=2&cursor={first['next_cursor']}")
        rooms = first["items"] + rest["items"]
        assert [room["title"] for room in rooms] == ["Night 2", "Night 1", "Night 0"]
        assert {(room["owner"], room["host"], room["is_owned"]) for room in rooms} == {
            ("bob", host["id"], True)
        }
        assert {room["incarnation"] for room in rooms} == {host["incarnation"]}
        assert rest["next_cursor"] is None
        assert (await admin.get("/v1/admin/rooms?host=host-99"))["items"] == []


async def test_rooms_and_hosts_are_for_administrators(bob: Person):
    for path in ("/v1/admin/rooms", "/v1/admin/hosts"):
        assert (await bob.call("GET", path)).status_code == 403


async def test_a_cursor_of_another_list_is_refused(admin: Person):
    refused = await admin.call("GET", "/v1/admin/rooms?cursor=WyJ4Il0")
    assert (refused.status_code, refused.json()["error"]) == (422, "cursor_malformed")
