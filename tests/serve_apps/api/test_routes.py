"""The route table as a whole: permissions, rates, and the document that describes it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from openapi_spec_validator import OpenAPIV31SpecValidator

from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.http.routes import find_spec

pytestmark = pytest.mark.db

SOME_ID = "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d11"
UNCOUNTED = {"/docs", "/docs/start.js", "/openapi.json", "/metrics"}


def list_operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return every operation of the description, named by method and path."""
    return [
        (f"{method.upper()} {path}", operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def fill_path(path: str) -> str:
    """Put something readable into every parameter of a path."""
    path = re.sub(r"\{(\w+_id|room)\}", SOME_ID, path)
    path = path.replace("{username}", "ada").replace("{host}", "host-0").replace("{language}", "en")
    assert "{" not in path, f"say here what to put into {path}"
    return path


def test_every_route_declares_permission_and_rate(app: FastAPI):
    for route in app.routes:
        assert isinstance(route, APIRoute), route
        spec = find_spec(route)
        assert spec is not None, route.path
        assert isinstance(spec.terms.permission, Permission)
        assert isinstance(spec.terms.rate, RateTier)
        assert spec.terms.summary
        is_for_all = spec.terms.permission is Permission.PUBLIC
        assert not (is_for_all and spec.terms.rate is RateTier.STANDARD), f"{route.path}: PUBLIC"
        if spec.terms.rate is RateTier.NONE and spec.method != "OPTIONS":
            assert route.path.startswith("/health") or route.path in UNCOUNTED, route.path


def test_no_two_routes_share_a_method_and_path(app: FastAPI):
    found = [
        (method, route.path_format)
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    ]
    assert len(found) == len(set(found))


async def test_anonymous_callers_get_401_from_every_route_that_is_not_public(
    app: FastAPI, client: httpx.AsyncClient
):
    asked = 0
    for route in app.routes:
        spec = find_spec(route)
        if spec is None or spec.terms.permission is Permission.PUBLIC:
            continue
        answer = await client.request(spec.method, fill_path(route.path))
        assert answer.status_code == 401, (spec.method, route.path)
        assert answer.json()["error"] == "not_authenticated"
        assert answer.headers["www-authenticate"] == "Bearer"
        asked += 1
    assert asked >= 15


def test_the_description_is_valid_openapi(app: FastAPI):
    document = app.openapi()
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_every_operation_is_described(app: FastAPI):
    names = set()
    for where, operation in list_operations(app.openapi()):
        assert operation["summary"], where
        assert operation["operationId"] not in names, where
        names.add(operation["operationId"])


def test_routes_that_need_a_token_say_so(app: FastAPI):
    document = app.openapi()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["paths"]["/v1/me"]["get"]["security"] == [{"bearer": []}]
    assert document["paths"]["/v1/feed/explore"]["get"]["security"] == []
    assert "401" in document["paths"]["/v1/me"]["get"]["responses"]


async def test_the_examples_of_requests_are_accepted_by_their_own_schemas(
    app: FastAPI, client: httpx.AsyncClient
):
    document = app.openapi()
    example = document["paths"]["/v1/auth/register"]["post"]["requestBody"]["content"]
    answer = await client.post("/v1/auth/register", json=example["application/json"]["example"])
    assert answer.status_code == 201


async def test_the_documentation_loads_nothing_from_elsewhere(client: httpx.AsyncClient):
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "/swagger/swagger-ui-bundle.js" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    start = await client.get("/docs/start.js")
    assert start.headers["content-type"].startswith("text/javascript")
    assert (await client.get("/openapi.json")).json()["openapi"] == "3.1.0"
