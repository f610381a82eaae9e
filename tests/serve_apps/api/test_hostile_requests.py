"""Requests that aim at a fault: cursors that no list gave out, headers, content types."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from fastapi import FastAPI

from kit.cursors import encode_cursor
from serve_apps.http.routes import find_spec
from storage.database import Database
from storage.edges import register_edge, renew_edge
from tests.serve_apps.api.test_routes import SOME_ID, fill_path, list_operations
from tests.serve_apps.api_client import PASSWORD, Person

pytestmark = pytest.mark.db

ERROR_FIELDS = {"error", "message", "details", "request_id", "timestamp"}
MOMENTS: list[str | int] = [
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00+00:00",
    "9999-12-31T23:59:59.999999-14:00",
    "9999-12-31T23:59:59.999999+00:00",
    "2026-01-01T00:00:00",
    "\x00",
    0,
    -(10**18),
    10**18,
    10**400,
]
NUMBERS = [0, -1, (1 << 63) - 1, 1 << 63, -(1 << 63), 10**400]
HOSTILE_CURSORS = [
    *(encode_cursor(moment, SOME_ID) for moment in MOMENTS),
    *(encode_cursor(number) for number in NUMBERS),
    encode_cursor(SOME_ID),
    encode_cursor("\x00"),
    encode_cursor("\ud7ff", "\x00"),
    encode_cursor("x", "y", "z"),
]
CONTENT_TYPES = [
    "text/plain",
    "application/xml",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "application/json; charset=utf-16",
    "application/merge-patch+json",
    "",
    "\xff",
]
HOSTILE_HEADERS: list[tuple[str, bytes]] = [
    ("Authorization", b"Bearer"),
    ("Authorization", b"Bearer \xff\xfe"),
    ("Authorization", b"Bearer " + b"a." * 4_000),
    ("Authorization", b"Basic " + b"x" * 100),
    ("Authorization", b"Bearer eyJhbGciOiJub25lIn0.e30."),
    ("X-Request-Id", b"\xff" * 40),
    ("X-Request-Id", b"a" * 10_000),
    ("Content-Length", b"-1"),
    ("Content-Length", b"99999999999999999999"),
    ("Content-Length", b"\xb2"),
    ("Content-Length", b"9" * 5_000),
    ("Origin", b"null"),
    ("Host", b"\xff"),
    ("Idempotency-Key", b"\xff"),
    ("Idempotency-Key", b"k" * 10_000),
]


def check_refusal(answer: httpx.Response, *asked: object) -> None:
    """Refuse a fault of ours; a refusal has the product's shape."""
    assert answer.status_code < 500, (*asked, answer.text)
    if answer.status_code >= 400:
        assert {"error", "message", "details", "request_id", "timestamp"} == set(answer.json()), (
            asked
        )


async def test_cursors_that_no_list_gave_out_are_refused_or_answered(
    app: FastAPI, ada: Person, database: Database
):
    async with database.connection() as connection:
        await connection.execute("UPDATE users SET role = 'admin'")
    login = {"login": "ada", "password": PASSWORD}
    admin = await ada.post("/v1/auth/login", login)
    live = await ada.post("/v1/live", {"title": "T"}, status=201)
    post = await ada.write_post("First light.")
    headers = {"Authorization": f"Bearer {admin['access_token']}"}
    asked = 0
    for where, operation in list_operations(app.openapi()):
        if not any(parameter["name"] == "cursor" for parameter in operation.get("parameters", [])):
            continue
        path = where.partition(" ")[2]
        path = path.replace("{live_id}", live["id"]).replace("{post_id}", post["id"])
        # Of hosts, videos, comments and playlists there is none here.
        served = 404 if set(re.findall(r"{(\w+)}", path)) - {"username"} else 200
        for cursor in HOSTILE_CURSORS:
            answer = await ada.client.get(
                fill_path(path), params={"cursor": cursor}, headers=headers
            )
            check_refusal(answer, path, cursor)
            assert answer.status_code in {served, 422}, (path, answer.text)
            asked += 1
    assert asked >= 13 * len(HOSTILE_CURSORS)


async def test_bodies_of_other_content_types_are_refused(app: FastAPI, ada: Person):
    for where, operation in list_operations(app.openapi()):
        if "requestBody" not in operation:
            continue
        method, _, path = where.partition(" ")
        for kind in CONTENT_TYPES:
            for content in (b"a=1", b"--x\r\n\r\n", json.dumps({"title": "T"}).encode("utf-16")):
                answer = await ada.call(
                    method,
                    fill_path(path),
                    content=content,
                    headers={"Content-Type": kind.encode("latin-1")},
                )
                check_refusal(answer, where, kind, content)


@pytest.fixture
async def edge(database: Database) -> None:
    """Have an edge take clients, so that no route has to say that there is none."""
    async with database.connection() as connection:
        incarnation = await register_edge(
            connection, node="here", slot=0, url="http://localhost:8001", candidates=[]
        )
        await renew_edge(connection, ("here", 0, incarnation), state="live", load=0, ttl_s=600)


async def test_hostile_headers_are_refused_or_passed_over(app: FastAPI, ada: Person, edge: None):
    for route in app.routes:
        spec = find_spec(route)
        if spec is None:
            continue
        for name, value in HOSTILE_HEADERS:
            token = f"Bearer {ada.access_token}".encode()
            headers = {"Authorization": token, name: value}
            answer = await ada.client.request(
                spec.method, fill_path(route.path), headers=headers, content=b"{}"
            )
            check_refusal(answer, spec.method, route.path, name, value)


async def test_a_null_character_anywhere_is_refused(app: FastAPI, ada: Person):
    asked = 0
    for where, operation in list_operations(app.openapi()):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body is None:
            continue
        method, _, path = where.partition(" ")
        for name, value in body["example"].items():
            if not isinstance(value, str):
                continue
            for hostile in (body["example"] | {name: f"a\x00{value}"}, {f"{name}\x00": value}):
                answer = await ada.call(method, fill_path(path), json=hostile)
                check_refusal(answer, where, name)
                assert answer.status_code in {403, 404, 422}, (where, name, answer.text)
                asked += 1
    assert asked > 40


async def test_json_too_deep_or_too_long_is_refused(ada: Person):
    deep = b'{"text":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    number = b'{"title":"T","filename":"f","size_bytes":' + b"9" * 5_000 + b"}"
    for path, content in (("/v1/posts", deep), ("/v1/videos", number)):
        answer = await ada.call(
            "POST", path, content=content, headers={"Content-Type": "application/json"}
        )
        check_refusal(answer, path)
        assert answer.status_code == 422, answer.text


async def test_a_login_from_a_strange_program_is_written_down_as_text(
    client: httpx.AsyncClient, ada: Person
):
    login = {"login": "ada", "password": PASSWORD}
    for agent in (b"\xff\xfe" * 300, b"a\x00b", "Ω".encode()):
        answer = await client.post("/v1/auth/login", json=login, headers={"User-Agent": agent})
        check_refusal(answer, agent)
        assert answer.status_code == 200, answer.text
    agents = [session["user_agent"] for session in (await ada.get("/v1/sessions"))["items"]]
    assert "a b" in agents
    assert all(agent.isprintable() for agent in agents)


async def test_stream_keys_that_are_no_text_open_nothing(client: httpx.AsyncClient):
    for key in (b"\x00", b"\xff" * 50, b"live_" + b"x" * 60_000, b"'; DROP TABLE lives; --"):
        answer = await client.post(
            "/whip", headers={"Authorization": b"Bearer " + key}, content=b"v=0"
        )
        assert (answer.status_code, answer.json()["error"]) == (401, "stream_key_invalid")
