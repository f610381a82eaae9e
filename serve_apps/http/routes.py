"""Declaring routes: each names its permission and its rate, or it does not exist.

A feature makes one `Routes` and decorates its handlers; `serve_apps/api/app.py` installs them.
Around every handler: access is checked, the request's transaction is opened on demand and
committed before the answer leaves, and an Idempotency-Key repeats the first answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar, Unpack

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute, APIRouter
from starlette.routing import BaseRoute

from kit.errors import AppError
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.http.bodies import PlainJsonRequest
from serve_apps.http.guard import check_access
from serve_apps.http.refusals import describe_refusals, list_refusals
from serve_apps.http.repeats import (
    KEY_CHARS_MAX,
    KEY_HEADER,
    RepeatKeyMalformed,
    RepeatKeyReused,
    answer_once,
)
from serve_apps.http.state import RequestTransaction, get_ports

REPEAT_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes it safe to send the request again: the first answer is repeated.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX},
    "example": "0b0e3c1e-9a52-4a57-8f6c-0f1b7a3f5d10",
}
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])
RouteHandler = Callable[[Request], Coroutine[Any, Any, Response]]


class RouteOptions(TypedDict, total=False):
    """What a route may add: `repeatable` accepts Idempotency-Key; `errors` are documented.

    `example` is what the route answers, where the schema's own example would mislead; `media_type`
    says what that is where it is no JSON.
    """

    status: int
    errors: tuple[type[AppError], ...]
    repeatable: bool
    in_schema: bool
    response_class: type[Response]
    response_model: Any
    example: Any
    media_type: str


@dataclass(frozen=True)
class RouteTerms:
    """What every route must say: whom it admits, how often, and what it does in a line."""

    permission: Permission
    rate: RateTier
    summary: str


@dataclass(frozen=True)
class RouteSpec:
    """One declared route."""

    method: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    terms: RouteTerms
    tag: str
    options: RouteOptions


class Routes:
    """The routes of one feature; paths are relative to `prefix`."""

    def __init__(self, prefix: str, tag: str) -> None:
        self.prefix = prefix
        self.tag = tag
        self.specs: list[RouteSpec] = []
        self._made: dict[str, list[BaseRoute]] = {}

    def get(
        self,
        path: str,
        *,
        permission: Permission,
        rate: RateTier,
        summary: str,
        **options: Unpack[RouteOptions],
    ) -> Callable[[Handler], Handler]:
        """Declare a GET route."""
        return self._keep("GET", path, RouteTerms(permission, rate, summary), options)

    def post(
        self,
        path: str,
        *,
        permission: Permission,
        rate: RateTier,
        summary: str,
        **options: Unpack[RouteOptions],
    ) -> Callable[[Handler], Handler]:
        """Declare a POST route."""
        return self._keep("POST", path, RouteTerms(permission, rate, summary), options)

    def put(
        self,
        path: str,
        *,
        permission: Permission,
        rate: RateTier,
        summary: str,
        **options: Unpack[RouteOptions],
    ) -> Callable[[Handler], Handler]:
        """Declare a PUT route."""
        return self._keep("PUT", path, RouteTerms(permission, rate, summary), options)

    def patch(
        self,
        path: str,
        *,
        permission: Permission,
        rate: RateTier,
        summary: str,
        **options: Unpack[RouteOptions],
    ) -> Callable[[Handler], Handler]:
        """Declare a PATCH route."""
        return self._keep("PATCH", path, RouteTerms(permission, rate, summary), options)

    def delete(
        self,
        path: str,
        *,
        permission: Permission,
        rate: RateTier,
        summary: str,
        **options: Unpack[RouteOptions],
    ) -> Callable[[Handler], Handler]:
        """Declare a DELETE route."""
        return self._keep("DELETE", path, RouteTerms(permission, rate, summary), options)

    def options(
        self,
        path: str,
        *,
        permission: Permission,
        rate: RateTier,
        summary: str,
        **options: Unpack[RouteOptions],
    ) -> Callable[[Handler], Handler]:
        """Declare an OPTIONS route."""
        return self._keep("OPTIONS", path, RouteTerms(permission, rate, summary), options)

    def install(self, app: FastAPI, base: str = "") -> None:
        """Add every declared route to the app below `base`.

        Routes keep nothing of an app, and making one costs milliseconds: apps share them.
        """
        made = self._made.setdefault(base, [])
        made += [_make_route(base + self.prefix, spec) for spec in self.specs[len(made) :]]
        app.router.routes.extend(made)

    def _keep(
        self, method: str, path: str, terms: RouteTerms, options: RouteOptions
    ) -> Callable[[Handler], Handler]:
        def keep(handler: Handler) -> Handler:
            self.specs.append(RouteSpec(method, path, handler, terms, self.tag, options))
            return handler

        return keep


class GuardedRoute(APIRoute):
    """A route whose handler runs behind the guard and inside the request's transaction."""

    spec: RouteSpec

    def get_route_handler(self) -> RouteHandler:
        """Wrap FastAPI's handler; the answer is complete before the transaction ends."""
        handle = super().get_route_handler()
        spec = self.spec

        async def run(arrived: Request) -> Response:
            request = PlainJsonRequest(arrived.scope, arrived.receive)
            await check_access(request, spec.terms.permission, spec.terms.rate)
            async with RequestTransaction(get_ports(request).database) as transaction:
                request.state.transaction = transaction
                if spec.options.get("repeatable") and KEY_HEADER in request.headers:
                    return await answer_once(request, transaction, handle)
                return await handle(request)

        return run


def find_spec(route: object) -> RouteSpec | None:
    """Return what an installed route declared, None for one that is not ours."""
    return getattr(route, "spec", None)


def _make_route(base: str, spec: RouteSpec) -> BaseRoute:
    # FastAPI builds the handler inside the route's constructor, so the spec is a class attribute.
    kind = type("GuardedRoute", (GuardedRoute,), {"spec": spec})
    options = spec.options
    status = options.get("status", 200)
    needs_token = spec.terms.permission is not Permission.PUBLIC
    security: list[dict[str, list[str]]] = [{"bearer": []}] if needs_token else []
    extra: dict[str, Any] = {}
    if "response_model" in options:
        extra["response_model"] = options["response_model"]
    if "response_class" in options:
        extra["response_class"] = options["response_class"]
    router = APIRouter()
    router.add_api_route(
        base + spec.path,
        spec.handler,
        methods=[spec.method],
        status_code=status,
        summary=spec.terms.summary,
        tags=[spec.tag],
        operation_id=spec.handler.__name__,
        responses=_describe_answers(spec, status),
        include_in_schema=options.get("in_schema", True),
        route_class_override=kind,
        openapi_extra={"security": security, **_describe_repeats(spec)},
        **extra,
    )
    (route,) = router.routes
    return route


def _describe_repeats(spec: RouteSpec) -> dict[str, Any]:
    return {"parameters": [REPEAT_PARAMETER]} if spec.options.get("repeatable") else {}


def _describe_answers(spec: RouteSpec, status: int) -> dict[int | str, dict[str, Any]]:
    """Document a route's refusals, and its own example where the schema's would mislead."""
    options = spec.options
    own = options.get("errors", ())
    if options.get("repeatable"):
        own = (*own, RepeatKeyReused, RepeatKeyMalformed)
    is_counted = spec.terms.rate is not RateTier.NONE
    found = describe_refusals(list_refusals(spec.terms.permission, own, is_counted=is_counted))
    if "example" in options:
        kind = options.get("media_type", "application/json")
        schema = {} if kind == "application/json" else {"schema": {"type": "string"}}
        found[status] = {"content": {kind: {**schema, "example": options["example"]}}}
    return found
