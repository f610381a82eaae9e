"""How the edge says no over HTTP: the product's error body under the status its protocol wants.

Uploads and playback raise `AppError`s; `refuse_plainly` turns them into answers. Faults of ours
are left to the server's own 500.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import orjson
from aiohttp import web

from kit.clock import format_time
from kit.errors import AppError, NotAuthenticated
from kit.ids import make_id

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_refusal(error: AppError, now: datetime) -> web.Response:
    """Build the answer for an error: its status, its code and words, when to come back."""
    body = {
        "error": error.code,
        "message": error.text,
        "details": error.details,
        "request_id": str(make_id()),
        "timestamp": format_time(now),
    }
    headers = {"Cache-Control": "no-store"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    elif error.status == 503:
        headers["Retry-After"] = "2"
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        status=error.status,
        body=orjson.dumps(body, default=str),
        content_type="application/json",
        headers=headers,
    )
