"""What every request may rely on: commit before the answer, one shape of refusal, safe repeats."""

from __future__ import annotations

import asyncio
import time
import uuid

import httpx
import pytest
from fastapi import FastAPI

from kit.errors import Conflict
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import Routes
from serve_apps.http.state import ApiPorts, Transaction
from storage.database import Database
from tests.serve_apps.api_client import Person, make_client, register

pytestmark = pytest.mark.db

probe_routes = Routes("/probe", "probe")
INSERT = "INSERT INTO events (id, name, subject_id) VALUES ($1, 'user.updated', $1)"


@probe_routes.post(
    "/write/{event_id}", permission=Permission.PUBLIC, rate=RateTier.NONE, summary="Writes."
)
async def write(event_id: uuid.UUID, connection: Transaction) -> dict[str, str]:
    await connection.execute(INSERT, event_id)
    return {"wrote": str(event_id)}


@probe_routes.post(
    "/refuse/{event_id}", permission=Permission.PUBLIC, rate=RateTier.NONE, summary="Refuses."
)
async def refuse(event_id: uuid.UUID, connection: Transaction) -> dict[str, str]:
    await connection.execute(INSERT, event_id)
    raise Conflict(seen=1)


@probe_routes.post(
    "/crash/{event_id}", permission=Permission.PUBLIC, rate=RateTier.NONE, summary="Crashes."
)
async def crash(event_id: uuid.UUID, connection: Transaction) -> dict[str, str]:
    await connection.execute(INSERT, event_id)
    raise ZeroDivisionError


@probe_routes.post(
    "/lose/{event_id}", permission=Permission.PUBLIC, rate=RateTier.NONE, summary="Gets lost."
)
async def lose_connection(event_id: uuid.UUID, connection: Transaction) -> dict[str, str]:
    await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    return {"wrote": str(event_id)}


@pytest.fixture
def probe(app: FastAPI) -> FastAPI:
    probe_routes.install(app)
    return app


async def has_event(database: Database, event_id: uuid.UUID) -> bool:
    async with database.connection() as connection:
        return bool(await connection.fetchval("SELECT 1 FROM events WHERE id = $1", event_id))


async def test_the_write_is_committed_before_the_first_byte_of_the_answer(
    probe: FastAPI, ports: ApiPorts
):
    event_id, seen = uuid.uuid4(), []

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            seen.append((message["status"], await has_event(ports.database, event_id)))

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": f"/probe/write/{event_id}",
        "raw_path": f"/probe/write/{event_id}".encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 8000),
    }
    await probe(scope, receive, send)
    assert seen == [(200, True)]


@pytest.mark.parametrize(("path", "status"), [("refuse", 409), ("crash", 500)])
async def test_a_refused_or_crashed_request_writes_nothing(
    probe: FastAPI, client: httpx.AsyncClient, ports: ApiPorts, path: str, status: int
):
    event_id = uuid.uuid4()
    answer = await client.post(f"/probe/{path}/{event_id}")
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "message", "details", "request_id", "timestamp"}
    assert not await has_event(ports.database, event_id)


async def test_a_lost_database_connection_is_503_with_retry_after(
    probe: FastAPI, client: httpx.AsyncClient
):
    answer = await client.post(f"/probe/lose/{uuid.uuid4()}")
    assert answer.status_code == 503
    assert answer.json()["error"] in {"database_busy", "write_outcome_unknown"}
    assert answer.headers["retry-after"] == "2"


async def test_unknown_paths_and_methods_are_refused_in_the_same_shape(client: httpx.AsyncClient):
    for method, path, status, code in [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/posts/not-a-uuid", 422, "malformed_request"),
        ("PUT", "/v1/posts", 405, "method_not_allowed"),
        ("GET", "/v1/feed/explore/", 404, "not_found"),
    ]:
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["error"]) == (status, code), path
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_method_not_allowed_says_what_is(client: httpx.AsyncClient):
    assert (await client.put("/v1/posts")).headers["allow"] == "POST"


async def test_a_plain_request_id_is_kept_and_a_strange_one_replaced(client: httpx.AsyncClient):
    kept = await client.get("/health/live", headers={"X-Request-Id": "trace-12345678"})
    assert kept.headers["x-request-id"] == "trace-12345678"
    for strange in ("short", "a b c d e f g h", "x" * 65):
        answer = await client.get("/health/live", headers={"X-Request-Id": strange})
        assert uuid.UUID(answer.headers["x-request-id"]).version == 7


async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient):
    for path in ("/health/live", "/v1/nothing"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_beyond_the_limit_is_refused_before_it_is_read(
    ada: Person, ports: ApiPorts, declared: bool
):
    size_bytes = ports.settings.http.body_bytes_max + 1

    async def pieces():
        for _ in range(0, size_bytes, 65_536):
            yield b" " * 65_536

    answer = await ada.call(
        "POST",
        "/v1/posts",
        content=b" " * size_bytes if declared else pieces(),
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["error"]) == (413, "body_too_large")


async def test_a_strangers_body_is_not_read_at_all(client: httpx.AsyncClient):
    answer = await client.post(
        "/v1/posts", content=b"{not json", headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "not_authenticated")


async def test_json_that_no_text_column_can_hold_is_malformed(ada: Person):
    for content, kind in [
        (b"{not json", "application/json"),
        (b"text=1", "text/plain"),
        (b'{"text": "a\\u0000b"}', "application/json"),
        (b'{"text": "a\\ud800b"}', "application/json"),
        (b'{"text": "a\xff"}', "application/json"),
        (b'{"text": NaN}', "application/json"),
        (b"[" * 5_000, "application/json"),
    ]:
        answer = await ada.call(
            "POST", "/v1/posts", content=content, headers={"Content-Type": kind}
        )
        assert (answer.status_code, answer.json()["error"]) == (422, "malformed_request")
    assert (await ada.write_post("a \\u0000 that is only text"))["text"].endswith("only text")


async def test_other_origins_may_call_with_a_token_and_read_our_headers(
    client: httpx.AsyncClient,
):
    preflight = await client.options(
        "/v1/posts",
        headers={
            "Origin": "https://example.org",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in preflight.headers
    answer = await client.get("/health/live", headers={"Origin": "https://example.org"})
    assert "X-RateLimit-Remaining" in answer.headers["access-control-expose-headers"]


async def test_head_is_answered_as_get(client: httpx.AsyncClient):
    assert (await client.head("/health/live")).status_code == 200


async def test_a_repeated_key_gets_the_first_answer_and_writes_once(ada: Person):
    body, headers = {"text": "once"}, {"Idempotency-Key": "key-1"}
    first = await ada.call("POST", "/v1/posts", json=body, headers=headers)
    second = await ada.call("POST", "/v1/posts", json=body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert len((await ada.get("/v1/feed/explore"))["items"]) == 1


async def test_a_key_belongs_to_one_request_of_one_person(ada: Person, bob: Person):
    headers = {"Idempotency-Key": "key-1"}
    await ada.call("POST", "/v1/posts", json={"text": "one"}, headers=headers)
    other = await ada.call("POST", "/v1/posts", json={"text": "two"}, headers=headers)
    assert (other.status_code, other.json()["error"]) == (409, "idempotency_key_reused")
    theirs = await bob.call("POST", "/v1/posts", json={"text": "two"}, headers=headers)
    assert theirs.status_code == 201


async def test_of_many_requests_with_one_key_at_once_one_writes(ada: Person):
    headers = {"Idempotency-Key": "key-1"}
    answers = await asyncio.gather(
        *(ada.call("POST", "/v1/posts", json={"text": "x"}, headers=headers) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_a_refused_request_leaves_its_key_free(ada: Person):
    headers = {"Idempotency-Key": "key-1"}
    refused = await ada.call("POST", "/v1/posts", json={"text": ""}, headers=headers)
    assert (refused.status_code, refused.json()["error"]) == (422, "post_empty")
    written = await ada.call("POST", "/v1/posts", json={"text": "now"}, headers=headers)
    assert written.status_code == 201


@pytest.mark.parametrize("key", ["", "k" * 201])
async def test_an_unusable_key_is_refused(ada: Person, key: str):
    answer = await ada.call(
        "POST", "/v1/posts", json={"text": "x"}, headers={"Idempotency-Key": key}
    )
    assert answer.json()["error"] == "idempotency_key_malformed"


async def test_a_person_has_their_plans_allowance_and_is_told_about_it(counting: FastAPI):
    async with make_client(counting) as client:
        ada = await register(client, "ada")
        first = await ada.call("GET", "/v1/me")
        assert first.headers["x-ratelimit-limit"] == "60"
        assert first.headers["x-ratelimit-remaining"] == "59"
        assert int(first.headers["x-ratelimit-reset"]) > 0
        began_s, served = time.monotonic(), 0
        while (refused := await ada.call("GET", "/v1/me")).status_code == 200:
            served += 1
        # The server's clock gives one back a second, also while a busy machine asks.
        assert 59 <= served <= 60 + (time.monotonic() - began_s)
        assert refused.status_code == 429
        assert refused.json()["error"] == "rate_limited"
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["x-ratelimit-remaining"] == "0"
        bob = await register(client, "bob")
        assert (await bob.call("GET", "/v1/me")).status_code == 200


async def test_health_is_never_counted(counting: FastAPI):
    async with make_client(counting) as client:
        answer = await client.get("/health/live")
        assert "x-ratelimit-limit" not in answer.headers


async def test_requests_are_refused_for_the_viewers_bad_token_even_where_none_is_needed(
    client: httpx.AsyncClient,
):
    headers = {"Authorization": "Bearer not.a.token"}
    answer = await client.get("/v1/feed/explore", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "token_invalid")
    assert (await client.get("/health", headers=headers)).status_code == 200


def test_a_route_without_permission_or_rate_cannot_be_declared():
    routes = Routes("/x", "x")
    with pytest.raises(TypeError):
        routes.get("", summary="No permission.")  # type: ignore[call-arg]
    assert routes.specs == []
