"""No request, however strange, is answered with a fault of ours."""

from __future__ import annotations

import json

import pytest
from fastapi import FastAPI

from serve_apps.http.routes import RouteSpec, find_spec
from tests.serve_apps.api.test_routes import SOME_ID, fill_path
from tests.serve_apps.api_client import Person

pytestmark = pytest.mark.db

STRANGE_VALUES = [
    None,
    True,
    -1,
    1 << 70,
    1.5,
    "",
    "x" * 70_000,
    "\u202e\U0001d518",
    [],
    [[]],
    {},
    {"a": 1},
]
STRANGE_QUERIES = [
    "limit=0&cursor=",
    "limit=99999999999999999999",
    "cursor=%00",
    "cursor=%ff%fe",
    "cursor=WyIyMDI2LTAxLTAxVDAwOjAwOjAwIiwieCJd",
    "owner=somebody",
    "limit=1&limit=2",
]
STRANGE_PATHS = ["..", "%00", "%ff", "x" * 3_000, "-", "ada%2F..%2Fbob"]


def list_strange_bodies(schema: dict[str, object] | None) -> list[bytes]:
    """Bodies of wrong shapes, then of the right shape with one strange field each."""
    bodies = [json.dumps(value).encode() for value in STRANGE_VALUES] + [b"", b"\xff\xfe", b"{"]
    example = (schema or {}).get("example")
    if isinstance(example, dict):
        for name in example:
            bodies += [json.dumps(example | {name: value}).encode() for value in STRANGE_VALUES]
    return bodies


async def test_strange_bodies_are_refused(app: FastAPI, ada: Person):
    paths = app.openapi()["paths"]
    asked = 0
    for spec, path in _list_routes(app):
        operation = paths.get(path, {}).get(spec.method.lower(), {})
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None or path == "/v1/auth/logout":
            continue
        for body in list_strange_bodies(content):
            answer = await ada.call(
                spec.method,
                fill_path(path),
                content=body,
                headers={"Content-Type": "application/json"},
            )
            asked += 1
            assert answer.status_code != 500, (spec.method, path, body[:100], answer.text)
            if answer.status_code >= 400:
                assert answer.json()["error"] != "internal_error", (path, body[:100])
    assert asked > 200


async def test_strange_paths_and_queries_are_refused(app: FastAPI, ada: Person):
    for spec, path in _list_routes(app):
        if spec.method != "GET" or path.startswith("/health"):
            continue
        for query in STRANGE_QUERIES:
            answer = await ada.call("GET", f"{fill_path(path)}?{query}")
            assert answer.status_code != 500, (path, query, answer.text)
        if "{" in path:
            for strange in STRANGE_PATHS:
                concrete = fill_path(path).replace(SOME_ID, strange).replace("/ada", f"/{strange}")
                answer = await ada.call("GET", concrete)
                assert answer.status_code != 500, (concrete, answer.text)


def _list_routes(app: FastAPI) -> list[tuple[RouteSpec, str]]:
    return [(spec, route.path) for route in app.routes if (spec := find_spec(route)) is not None]
