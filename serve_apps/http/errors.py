"""Refusals as answers: every error leaves in one shape, whoever raised it.

Turns `AppError`, FastAPI's own 404, 405 and 422, and our faults (500) into
`{error, message, details, request_id, timestamp}`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from kit.clock import format_time
from kit.errors import AppError, MalformedRequest, NotFound, Unavailable
from kit.logs import get_log

FIELDS_MAX = 20
log = get_log("http")


class ErrorBody(BaseModel):
    """The shape of every refusal."""

    error: str
    message: str
    details: dict[str, Any]
    request_id: str
    timestamp: str

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": "not_found",
                    "message": "There is nothing here.",
                    "details": {},
                    "request_id": "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d11",
                    "timestamp": "2026-01-01T12:00:00.000Z",
                }
            ]
        }
    )


class MethodNotAllowed(AppError):
    """The path exists, this method does not."""

    code, status, message = "method_not_allowed", 405, "This address does not take that method."


class BodyTooLarge(AppError):
    """The body is larger than the API reads."""

    code, status, message = "body_too_large", 413, "The request body is too large."


class BodyMalformed(AppError):
    """The body cannot be read at all."""

    code, status, message = "body_malformed", 400, "The request body cannot be read."


class MediaTypeUnsupported(AppError):
    """The body is of a type this route does not take."""

    code, status, message = "media_type_unsupported", 415, "This content type is not accepted."


HTTP_ERRORS: Mapping[int, type[AppError]] = {
    kind.status: kind
    for kind in (BodyMalformed, NotFound, MethodNotAllowed, BodyTooLarge, MediaTypeUnsupported)
}


def install_errors(app: FastAPI) -> None:
    """Have the app answer every exception in the product's shape."""
    app.add_exception_handler(AppError, _answer_app_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_error)


def render_error(error: AppError, request_id: str, now: datetime) -> JSONResponse:
    """Build the answer for an error."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    elif error.status == 503:
        headers["Retry-After"] = "2"
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    content = {
        "error": error.code,
        "message": error.text,
        "details": jsonable_encoder(error.details),
        "request_id": request_id,
        "timestamp": format_time(now),
    }
    return JSONResponse(content, status_code=error.status, headers=headers)


def read_request_id(request: Request) -> str:
    """Return the id given to this request by the request frame."""
    found = request.scope.get("state", {}).get("request_id")
    return str(found) if found else str(uuid.UUID(int=0))


async def _answer_app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    if isinstance(error, Unavailable):
        log.warning("request.unavailable", code=error.code, status=error.status)
    elif error.status >= 500:
        log.error("request.failed", code=error.code, status=error.status, exc_info=error)
    else:
        log.info("request.refused", code=error.code, status=error.status)
    return _render(request, error)


async def _answer_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _render(request, MalformedRequest(fields=_list_fields(error.errors())))


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = HTTP_ERRORS.get(error.status_code)
    if kind is None:
        kind = MalformedRequest if error.status_code < 500 else AppError
    answer = _render(request, kind())
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


def _render(request: Request, error: AppError) -> JSONResponse:
    ports = getattr(request.app.state, "ports", None)
    now = ports.clock.now() if ports is not None else datetime.now(UTC)
    return render_error(error, read_request_id(request), now)


def _list_fields(problems: Sequence[Any]) -> list[dict[str, str]]:
    """Name each bad field and what is wrong with it, never repeating what was sent."""
    return [
        {
            "field": ".".join(str(part) for part in problem.get("loc", ())[1:]) or "body",
            "in": str(problem.get("loc", ("body",))[0]),
            "problem": str(problem.get("msg", "")).removeprefix("Value error, "),
        }
        for problem in problems[:FIELDS_MAX]
    ]
