"""How a route's refusals are described in OpenAPI: by status, each code with an example of its own.

`routes.py` asks for what a route declared; `documentation.py` for what FastAPI refuses by itself.
"""

from __future__ import annotations

from typing import Any

from kit.errors import (
    AppError,
    MalformedRequest,
    NotAuthenticated,
    PermissionDenied,
    RateLimited,
    Unavailable,
)
from serve_apps.access.permissions import Permission
from serve_apps.http.errors import ErrorBody

EXAMPLE_REQUEST_ID = "01980f64-5a10-7d3e-9f10-2b6f0c9a4d1f"
EXAMPLE_TIMESTAMP = "2026-01-01T12:00:00.000Z"
NEEDS_ROLE = {Permission.CREATOR, Permission.MODERATOR, Permission.ADMIN}
EXAMPLE_DETAILS: dict[type[AppError], dict[str, Any]] = {
    MalformedRequest: {
        "fields": [{"field": "limit", "in": "query", "problem": "Input should be at least 1"}]
    },
    RateLimited: {"retry_after_s": 12},
    Unavailable: {"retry_after_s": 2},
}
"""What the answers of a kind carry; its subclasses by another status or code carry nothing."""


def list_refusals(
    permission: Permission, own: tuple[type[AppError], ...], *, is_counted: bool
) -> list[type[AppError]]:
    """Return what a route may refuse with: its own kinds, and what its terms bring."""
    kinds = list(own)
    if permission is not Permission.PUBLIC:
        kinds.append(NotAuthenticated)
    if permission in NEEDS_ROLE:
        kinds.append(PermissionDenied)
    if is_counted:
        kinds.append(RateLimited)
    return list(dict.fromkeys(kinds))


def describe_refusals(kinds: list[type[AppError]]) -> dict[int | str, dict[str, Any]]:
    """Describe refusals by status code, as FastAPI's `responses` takes them."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        entry = found.setdefault(kind.status, {"model": ErrorBody, "description": ""})
        add_refusal(entry, kind)
    return found


def add_refusal(answer: dict[str, Any], kind: type[AppError]) -> None:
    """Add one code to the answer of its status: a line and an example."""
    line = f"`{kind.code}`: {kind.message}"
    answer["description"] = f"{answer.get('description', '')}\n\n{line}".strip()
    content = answer.setdefault("content", {}).setdefault("application/json", {})
    value = {
        "error": kind.code,
        "message": kind.message,
        "details": _find_details(kind),
        "request_id": EXAMPLE_REQUEST_ID,
        "timestamp": EXAMPLE_TIMESTAMP,
    }
    content.setdefault("examples", {})[kind.code] = {"summary": kind.message, "value": value}


def _find_details(kind: type[AppError]) -> dict[str, Any]:
    if issubclass(kind, Unavailable):
        return EXAMPLE_DETAILS[Unavailable]
    return EXAMPLE_DETAILS.get(kind, {})
