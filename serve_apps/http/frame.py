"""The frame around every request: its id, its log line, its metrics, and headers on the answer.

Plain ASGI, outermost in the app. What no handler turned into an answer becomes a 500 in the
product's shape here, logged with its traceback; cancellation passes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.clock import Clock
from kit.errors import AppError
from kit.ids import make_id
from kit.logs import get_log
from kit.metrics import HTTP_DURATION, HTTP_REQUESTS
from serve_apps.http.errors import render_error

ID_FORM = re.compile(r"[A-Za-z0-9._:-]{8,64}")
METHODS = {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"}
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
log = get_log("http")


class InternalError(AppError):
    """A fault of ours; the log knows more, under the request id."""


class RequestFrame:
    """Wraps the whole app; one per process."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request inside the frame."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            # Answered as GET; the server below still sees HEAD and leaves the body out.
            scope = dict(scope, method="GET")
        request_id = _choose_id(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        started_s = time.perf_counter()
        status = 500

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, request_id, state.get("rate_headers", {}))
                if getattr(scope["app"].state, "is_draining", False):
                    MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._run(scope, receive, send_framed)
            finally:
                took_s = time.perf_counter() - started_s
                route = getattr(scope.get("route"), "path", "unmatched")
                method = scope["method"] if scope["method"] in METHODS else "OTHER"
                HTTP_REQUESTS.labels(method, route, str(status)).inc()
                HTTP_DURATION.labels(route).observe(took_s)
                log.debug(
                    "request.answered",
                    method=method,
                    route=route,
                    status=status,
                    took_ms=round(took_s * 1000, 1),
                )

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 500 for a fault that nobody handled, unless the answer had begun."""
        is_begun = False

        async def send_noting(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:
            log.exception("request.crashed", kind=type(error).__name__)
            if is_begun:
                raise
            answer = render_error(InternalError(), scope["state"]["request_id"], self._clock.now())
            await answer(scope, receive, send)


def _choose_id(scope: Scope) -> str:
    """Take the caller's X-Request-Id when it is plain, else make one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            return text if ID_FORM.fullmatch(text) else str(make_id())
    return str(make_id())


def _add_headers(message: Message, request_id: str, more: Mapping[str, str]) -> None:
    headers = MutableHeaders(scope=message)
    headers["X-Request-Id"] = request_id
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    for name, value in more.items():
        headers[name] = value
