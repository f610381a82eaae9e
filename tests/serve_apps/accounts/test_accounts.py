"""Registration, login, tokens and sessions, request in and rows out."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from kit.clock import ManualClock
from serve_apps.http.state import ApiPorts
from tests.serve_apps.api_client import PASSWORD, Person, make_client, register
from tests.storage.waiting import wait_until_heard

pytestmark = pytest.mark.db


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/v1/auth/refresh", json={"refresh_token": token})


async def test_a_registration_opens_a_session_and_writes_its_event(
    client: httpx.AsyncClient, ports: ApiPorts
):
    answer = await client.post(
        "/v1/auth/register",
        json={"username": " Ada_1 ", "email": "Ada@Example.org", "password": PASSWORD},
    )
    assert answer.status_code == 201
    body = answer.json()
    assert body["user"]["username"] == "ada_1"
    assert body["user"]["email"] == "ada@example.org"
    assert body["token_type"] == "bearer"
    assert body["expires_in"] == 900
    async with ports.database.connection() as connection:
        names = await connection.fetch("SELECT name, subject_id FROM events")
        stored = await connection.fetchval("SELECT password_hash FROM users")
    assert [(row["name"], str(row["subject_id"])) for row in names] == [
        ("user.created", body["user"]["id"])
    ]
    assert stored.startswith("$argon2id$")


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("username", "ab", "3 to 30 characters"),
        ("username", "ada lovelace", "letters a to z"),
        ("username", "a" * 31, "3 to 30 characters"),
        ("email", "nobody", "e-mail address"),
        ("email", "a@b", "e-mail address"),
        ("password", "short", "10 to 200 characters"),
        ("password", "x" * 201, "10 to 200 characters"),
        ("display_name", "x" * 61, "at most 60"),
    ],
)
async def test_a_malformed_registration_names_the_field_and_what_it_takes(
    client: httpx.AsyncClient, field: str, value: str, problem: str
):
    body = {"username": "ada", "email": "ada@example.org", "password": PASSWORD, field: value}
    answer = await client.post("/v1/auth/register", json=body)
    assert answer.status_code == 422
    refusal = answer.json()
    assert refusal["error"] == "malformed_request"
    [named] = [entry for entry in refusal["details"]["fields"] if entry["field"] == field]
    assert problem in named["problem"]
    assert field != "password" or value not in answer.text


async def test_a_taken_name_or_address_is_refused(client: httpx.AsyncClient, ada: Person):
    for username, email, code in [
        ("ADA", "other@example.org", "username_taken"),
        ("other", "ADA@example.org", "email_taken"),
    ]:
        answer = await client.post(
            "/v1/auth/register",
            json={"username": username, "email": email, "password": PASSWORD},
        )
        assert (answer.status_code, answer.json()["error"]) == (409, code)


async def test_two_registrations_of_one_name_at_once_make_one_account(client: httpx.AsyncClient):
    async def attempt(number: int) -> int:
        body = {"username": "ada", "email": f"a{number}@example.org", "password": PASSWORD}
        return (await client.post("/v1/auth/register", json=body)).status_code

    assert sorted(await asyncio.gather(*(attempt(n) for n in range(4)))) == [201, 409, 409, 409]


@pytest.mark.parametrize("login", ["ada", "ADA", "ada@example.org"])
async def test_login_takes_the_name_or_the_address(
    client: httpx.AsyncClient, ada: Person, login: str
):
    answer = await client.post("/v1/auth/login", json={"login": login, "password": PASSWORD})
    assert answer.status_code == 200
    token = answer.json()["access_token"]
    me = await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert me.json()["id"] == ada.id


async def test_an_unknown_name_and_a_wrong_password_are_refused_alike(
    client: httpx.AsyncClient, ada: Person
):
    bodies = []
    for login, password in [("ada", "wrong password"), ("nobody", PASSWORD)]:
        answer = await client.post("/v1/auth/login", json={"login": login, "password": password})
        assert answer.status_code == 401
        bodies.append({key: answer.json()[key] for key in ("error", "message", "details")})
    assert bodies[0] == bodies[1]


async def test_a_refresh_token_counts_once_and_its_reuse_ends_the_session(
    client: httpx.AsyncClient, ada: Person, ports: ApiPorts, clock: ManualClock
):
    fresh = await refresh(client, ada.refresh_token)
    assert fresh.status_code == 200
    clock.advance(31)
    again = await refresh(client, ada.refresh_token)
    assert (again.status_code, again.json()["error"]) == (401, "refresh_token_reused")
    stolen = await refresh(client, fresh.json()["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (401, "refresh_token_invalid")
    token = fresh.json()["access_token"]
    me = await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert (me.status_code, me.json()["error"]) == (401, "session_revoked")
    async with ports.database.connection() as connection:
        why = await connection.fetchval("SELECT revoked_why FROM sessions")
    assert why == "refresh_token_reused"


async def test_a_lost_answer_may_be_asked_for_again_within_half_a_minute(
    client: httpx.AsyncClient, ada: Person, clock: ManualClock
):
    assert (await refresh(client, ada.refresh_token)).status_code == 200
    clock.advance(29)
    again = await refresh(client, ada.refresh_token)
    assert again.status_code == 200
    clock.advance(1)
    assert (await refresh(client, again.json()["refresh_token"])).status_code == 200


async def test_a_spent_token_is_theft_at_once_when_its_successor_was_used(
    client: httpx.AsyncClient, ada: Person, clock: ManualClock
):
    fresh = await refresh(client, ada.refresh_token)
    clock.advance(1)
    assert (await refresh(client, fresh.json()["refresh_token"])).status_code == 200
    again = await refresh(client, ada.refresh_token)
    assert (again.status_code, again.json()["error"]) == (401, "refresh_token_reused")


async def test_two_refreshes_at_once_are_one_page_in_a_hurry(
    client: httpx.AsyncClient, ada: Person
):
    answers = await asyncio.gather(*(refresh(client, ada.refresh_token) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_a_session_ends_when_nobody_refreshes_it_for_its_life(
    client: httpx.AsyncClient, ada: Person, clock: ManualClock, ports: ApiPorts
):
    clock.advance(ports.settings.auth.refresh_ttl_s + 1)
    assert (await refresh(client, ada.refresh_token)).json()["error"] == "refresh_token_invalid"


async def test_an_access_token_expires(client: httpx.AsyncClient, ada: Person, clock: ManualClock):
    clock.advance(910)
    answer = await ada.call("GET", "/v1/me")
    assert (answer.status_code, answer.json()["error"]) == (401, "token_expired")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_after_logout_no_token_of_the_session_counts(client: httpx.AsyncClient, ada: Person):
    assert (await ada.call("POST", "/v1/auth/logout")).status_code == 204
    assert (await ada.call("GET", "/v1/me")).json()["error"] == "session_revoked"
    assert (await refresh(client, ada.refresh_token)).status_code == 401


async def test_a_refresh_token_alone_logs_out_too(client: httpx.AsyncClient, ada: Person):
    body = {"refresh_token": ada.refresh_token}
    stale = {"Authorization": "Bearer expired.or.broken"}
    for _ in range(2):
        answer = await client.post("/v1/auth/logout", json=body, headers=stale)
        assert answer.status_code == 204
    assert (await ada.call("GET", "/v1/me")).json()["error"] == "session_revoked"
    for nothing in ({}, {"refresh_token": "sfr_unknown"}, None):
        answer = await client.post("/v1/auth/logout", json=nothing)
        assert (answer.status_code, answer.json()["error"]) == (401, "not_authenticated")


async def test_another_process_hears_of_a_logout(app: FastAPI, ada: Person):
    async with app.router.lifespan_context(app):
        book = app.state.revocations
        heard = asyncio.Event()
        book.on_revoked(lambda _session: heard.set())
        ports: ApiPorts = app.state.ports
        await wait_until_heard(ports.database, "session_revoked")
        async with ports.database.transaction() as connection:
            # What another replica's logout commits.
            await connection.execute("UPDATE sessions SET revoked_at = clock_timestamp()")
            await connection.execute("SELECT pg_notify('session_revoked', id::text) FROM sessions")
        async with asyncio.timeout(60):
            await heard.wait()
        assert (await ada.call("GET", "/v1/me")).json()["error"] == "session_revoked"


async def test_people_see_and_end_their_own_sessions_only(
    client: httpx.AsyncClient, ada: Person, bob: Person
):
    login = await client.post(
        "/v1/auth/login",
        json={"login": "ada", "password": PASSWORD},
        headers={"User-Agent": "second device"},
    )
    assert login.status_code == 200
    listed = (await ada.get("/v1/sessions"))["items"]
    assert [(entry["user_agent"], entry["is_current"]) for entry in listed].count(
        ("second device", False)
    ) == 1
    other = next(entry["id"] for entry in listed if not entry["is_current"])
    assert (await bob.call("DELETE", f"/v1/sessions/{other}")).status_code == 404
    assert (await ada.call("DELETE", f"/v1/sessions/{other}")).status_code == 204
    assert [entry["is_current"] for entry in (await ada.get("/v1/sessions"))["items"]] == [True]


async def test_an_account_changes_what_is_given_and_keeps_the_rest(ada: Person):
    answer = await ada.call("PATCH", "/v1/me", json={"bio": " Engines. "})
    assert answer.status_code == 200
    assert answer.json()["bio"] == "Engines."
    answer = await ada.call("PATCH", "/v1/me", json={"display_name": "Ada L."})
    assert (answer.json()["display_name"], answer.json()["bio"]) == ("Ada L.", "Engines.")
    assert answer.json()["presence_audience"] == "everyone"
    answer = await ada.call("PATCH", "/v1/me", json={"presence_audience": "nobody"})
    assert (answer.json()["presence_audience"], answer.json()["bio"]) == ("nobody", "Engines.")
    answer = await ada.call("PATCH", "/v1/me", json={"presence_audience": "friends"})
    assert answer.status_code == 422


async def test_guessing_a_password_is_refused_after_ten_tries(counting: FastAPI):
    async with make_client(counting) as client:
        await register(client, "ada")
        wrong = {"login": "ada", "password": "a wrong password"}
        codes = [(await client.post("/v1/auth/login", json=wrong)).status_code for _ in range(11)]
        assert codes == [401] * 10 + [429]
        right = await client.post("/v1/auth/login", json={"login": "ada", "password": PASSWORD})
        assert right.status_code == 429
        assert int(right.headers["retry-after"]) > 0
    async with make_client(counting, "192.0.2.7") as elsewhere:
        body = {"login": "ada", "password": PASSWORD}
        assert (await elsewhere.post("/v1/auth/login", json=body)).status_code == 200


async def test_logging_in_gives_the_tries_back(counting: FastAPI):
    async with make_client(counting) as client:
        await register(client, "ada")
        for _ in range(2):
            for _ in range(9):
                await client.post("/v1/auth/login", json={"login": "ada", "password": "wrong"})
            right = await client.post("/v1/auth/login", json={"login": "ada", "password": PASSWORD})
            assert right.status_code == 200


async def test_a_changed_password_ends_every_other_session(client: httpx.AsyncClient, ada: Person):
    other = await client.post("/v1/auth/login", json={"login": "ada", "password": PASSWORD})
    fresh = "a longer horse battery"
    changed = await ada.call(
        "POST", "/v1/me/password", json={"current_password": PASSWORD, "new_password": fresh}
    )
    assert changed.status_code == 204
    assert (await ada.call("GET", "/v1/me")).status_code == 200
    token = other.json()["access_token"]
    refused = await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert (refused.status_code, refused.json()["error"]) == (401, "session_revoked")
    for password, status in [(PASSWORD, 401), (fresh, 200)]:
        login = await client.post("/v1/auth/login", json={"login": "ada", "password": password})
        assert login.status_code == status


async def test_a_password_changes_only_for_who_knows_the_present_one(ada: Person):
    wrong = {"current_password": "not the password", "new_password": "a longer horse battery"}
    refused = await ada.call("POST", "/v1/me/password", json=wrong)
    assert (refused.status_code, refused.json()["error"]) == (403, "password_wrong")
    short = {"current_password": PASSWORD, "new_password": "short"}
    assert (await ada.call("POST", "/v1/me/password", json=short)).status_code == 422
    both = {"current_password": PASSWORD, "new_password": "a longer horse battery"}
    answers = await asyncio.gather(
        *(ada.call("POST", "/v1/me/password", json=both) for _ in range(3))
    )
    assert sorted(answer.status_code for answer in answers) == [204, 403, 403]
