"""Reading bodies: bounded in size, and JSON without what no text column can hold.

`BodyLimit` stands inside the app and counts what is really received; `PlainJsonRequest` is what
every guarded route hands to FastAPI.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson
from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NULL_ESCAPE = b"\\u0000"
NULL = "\x00"
LENGTH_FORM = re.compile("[0-9]{1,18}")
"""RFC 9110, section 8.6, without lengths that nobody sends; `isdigit()` would take "²"."""


class BodyLimit:
    """Ends the reading of a body beyond the limit with 413; routes that read none do not care."""

    def __init__(self, app: ASGIApp, size_bytes_max: int) -> None:
        self._app = app
        self._size_bytes_max = size_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request with a counted body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        is_too_large = not LENGTH_FORM.fullmatch(declared) or int(declared) > self._size_bytes_max
        received_bytes = 0

        async def receive_counted() -> Message:
            nonlocal received_bytes
            if is_too_large:
                raise HTTPException(413)
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > self._size_bytes_max:
                raise HTTPException(413)
            return message

        await self._app(scope, receive_counted, send)


class PlainJsonRequest(Request):
    """A request whose JSON is strict UTF-8 without lone surrogates, NaN or null characters."""

    async def json(self) -> Any:
        """Parse the body; raises json.JSONDecodeError, which FastAPI answers with 422."""
        body = await self.body()
        value = orjson.loads(body)
        if NULL_ESCAPE in body and _holds_null(value):
            raise json.JSONDecodeError("null character", "", 0)
        return value


def _holds_null(value: Any) -> bool:
    if isinstance(value, str):
        return NULL in value
    if isinstance(value, dict):
        return any(NULL in key or _holds_null(item) for key, item in value.items())
    return isinstance(value, list) and any(_holds_null(item) for item in value)
