"""Bans, roles and the record of both: request in; rows, events, notices and refusals out."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from serve_apps.access.identity import Role
from serve_apps.admin import service
from serve_apps.http.state import ApiPorts
from tests.serve_apps.api_client import PASSWORD, Person

pytestmark = pytest.mark.db


async def log_in(client: httpx.AsyncClient, username: str, password: str = PASSWORD) -> Any:
    return await client.post("/v1/auth/login", json={"login": username, "password": password})


async def promote(ports: ApiPorts, person: Person, role: Role) -> Person:
    """Give the role as the command line does, and log in again."""
    async with ports.database.transaction() as connection:
        await service.change_role(connection, None, person.username, role, ports.clock.now())
    body = (await log_in(person.client, person.username)).json()
    assert body["user"]["role"] == role
    return Person(
        person.client, person.id, person.username, body["access_token"], body["refresh_token"]
    )


@pytest.fixture
async def admin(ports: ApiPorts, ada: Person) -> Person:
    """Lend an administrator."""
    return await promote(ports, ada, Role.ADMIN)


async def ban(caller: Person, username: str, reason: str = "Sells fake tickets.") -> httpx.Response:
    return await caller.call("PUT", f"/v1/admin/users/{username}/ban", json={"reason": reason})


async def list_events(ports: ApiPorts, prefix: str) -> list[tuple[str, str]]:
    async with ports.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT name, subject_id FROM events WHERE starts_with(name, $1) ORDER BY id", prefix
        )
    return [(row["name"], str(row["subject_id"])) for row in rows]


async def test_a_ban_ends_every_session_and_keeps_the_person_out(
    client: httpx.AsyncClient, ports: ApiPorts, admin: Person, bob: Person
):
    second = (await log_in(client, "bob")).json()
    heard: list[str] = []
    stop = await ports.database.listen("session_revoked", heard.append)
    answer = await ban(admin, "Bob")
    assert answer.status_code == 200
    assert answer.json()["ban_reason"] == "Sells fake tickets."
    for token in (bob.access_token, second["access_token"]):
        refused = await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert (refused.status_code, refused.json()["error"]) == (401, "session_revoked")
    for token in (bob.refresh_token, second["refresh_token"]):
        spent = await client.post("/v1/auth/refresh", json={"refresh_token": token})
        assert spent.status_code == 401
    login = await log_in(client, "bob")
    assert (login.status_code, login.json()["error"]) == (403, "account_banned")
    assert login.json()["details"]["reason"] == "Sells fake tickets."
    wrong = await log_in(client, "bob", "not the password")
    assert (wrong.status_code, wrong.json()["error"]) == (401, "login_refused")
    async with asyncio.timeout(60):
        while len(heard) < 2:
            await asyncio.sleep(0.01)
    await stop()
    async with ports.database.connection() as connection:
        ended = await connection.fetch(
            "SELECT id FROM sessions WHERE user_id = $1 AND revoked_why = 'banned'",
            uuid.UUID(bob.id),
        )
    assert sorted(heard) == sorted(str(row["id"]) for row in ended)
    assert await list_events(ports, "user.ban") == [("user.banned", bob.id)]


async def test_a_second_ban_changes_the_reason_and_tells_nobody_again(
    ports: ApiPorts, admin: Person, bob: Person
):
    first = (await ban(admin, "bob")).json()
    second = (await ban(admin, "bob", "Threats.")).json()
    assert (second["ban_reason"], second["banned_at"]) == ("Threats.", first["banned_at"])
    assert await list_events(ports, "user.ban") == [("user.banned", bob.id)]


async def test_a_lifted_ban_lets_the_person_log_in(
    client: httpx.AsyncClient, ports: ApiPorts, admin: Person, bob: Person
):
    await ban(admin, "bob")
    lifted = await admin.call("DELETE", "/v1/admin/users/bob/ban")
    assert (lifted.status_code, lifted.json()["banned_at"]) == (200, None)
    assert (await log_in(client, "bob")).status_code == 200
    again = await admin.call("DELETE", "/v1/admin/users/bob/ban")
    assert again.status_code == 200
    assert await list_events(ports, "user.unban") == [("user.unbanned", bob.id)]


async def test_a_login_that_overlaps_a_ban_leaves_no_living_session(
    client: httpx.AsyncClient, ports: ApiPorts, admin: Person, bob: Person
):
    """Whichever of the two is first, the banned person ends up without a session."""
    for _ in range(10):
        _, *logins = await asyncio.gather(
            ban(admin, "bob"), *(log_in(client, "bob") for _ in range(4))
        )
        assert {answer.status_code for answer in logins} <= {200, 403}
        async with ports.database.connection() as connection:
            living = await connection.fetchval(
                "SELECT count(*) FROM sessions WHERE user_id = $1 AND revoked_at IS NULL",
                uuid.UUID(bob.id),
            )
        assert living == 0
        await admin.call("DELETE", "/v1/admin/users/bob/ban")


async def test_a_moderator_bans_people_but_nobody_at_their_own_height(
    ports: ApiPorts, admin: Person, bob: Person, client: httpx.AsyncClient
):
    moderator = await promote(ports, bob, Role.MODERATOR)
    for username, status, code in [
        ("ada", 403, "out_of_reach"),
        ("bob", 409, "cannot_act_on_yourself"),
        ("nobody", 404, "user_not_found"),
    ]:
        answer = await ban(moderator, username)
        assert (answer.status_code, answer.json()["error"]) == (status, code)
    demote = await moderator.call("PUT", "/v1/admin/users/ada/role", json={"role": "user"})
    assert demote.status_code == 403
    assert (await admin.get("/v1/me"))["role"] == "admin"


async def test_ordinary_people_see_nothing_of_administration(bob: Person):
    for path in ("/v1/admin/users", "/v1/admin/users/bob", "/v1/admin/audit"):
        assert (await bob.call("GET", path)).status_code == 403
    assert (await ban(bob, "bob")).status_code == 403


async def test_a_new_role_counts_from_the_next_login(
    client: httpx.AsyncClient, admin: Person, bob: Person
):
    answer = await admin.call("PUT", "/v1/admin/users/bob/role", json={"role": "moderator"})
    assert answer.json()["role"] == "moderator"
    assert (await bob.call("GET", "/v1/me")).status_code == 401
    token = (await log_in(client, "bob")).json()["access_token"]
    listed = await client.get("/v1/admin/users", headers={"Authorization": f"Bearer {token}"})
    assert [person["username"] for person in listed.json()["items"]] == ["bob", "ada"]


async def test_the_last_administrator_stays(ports: ApiPorts, admin: Person):
    own = await admin.call("PUT", "/v1/admin/users/ada/role", json={"role": "user"})
    assert (own.status_code, own.json()["error"]) == (409, "cannot_act_on_yourself")
    with pytest.raises(service.LastAdmin):
        async with ports.database.transaction() as connection:
            await service.change_role(connection, None, "ada", Role.USER, ports.clock.now())


async def test_every_act_is_on_record_newest_first(ports: ApiPorts, admin: Person, bob: Person):
    await ban(admin, "bob")
    await admin.call("DELETE", "/v1/admin/users/bob/ban")
    first = await admin.get("/v1/admin/audit?limit=2")
    rest = await admin.get(f"/v1/admin/audit?limit=2&cursor={first['next_cursor']}")
    acts = [(act["actor"], act["action"], act["subject"]) for act in first["items"] + rest["items"]]
    assert acts == [
        ("ada", "user.unban", "user:bob"),
        ("ada", "user.ban", "user:bob"),
        (None, "user.role", "user:ada"),
    ]
    assert rest["next_cursor"] is None
    assert rest["items"][0]["details"] == {"before": "user", "after": "admin"}
    for cursor in ("nonsense", "WzEsIngiXQ", "WzkyMjMzNzIwMzY4NTQ3NzU4MDcsIngiXQ"):
        refused = await admin.call("GET", f"/v1/admin/audit?cursor={cursor}")
        assert (refused.status_code, refused.json()["error"]) == (422, "cursor_malformed")


async def test_people_are_found_by_how_their_name_begins(admin: Person, bob: Person):
    found = await admin.get("/v1/admin/users?name=Bo")
    assert [person["username"] for person in found["items"]] == ["bob"]
    assert (await admin.get("/v1/admin/users/BOB"))["email"] == "bob@example.org"
    page = await admin.get("/v1/admin/users?limit=1")
    rest = await admin.get(f"/v1/admin/users?limit=1&cursor={page['next_cursor']}")
    assert [p["items"][0]["username"] for p in (page, rest)] == ["bob", "ada"]
