"""OpenAPI 3.1 with an example for every body, and Swagger UI from local files.

The document is made once per process from the routes. Examples come from the routes and schemas;
a page's is composed of its items' own. A test walks every operation and compares them.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from kit.errors import MalformedRequest
from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.api.examples import add_examples, restore_nulls
from serve_apps.api.page import CONTENT_POLICY
from serve_apps.http.refusals import add_refusal
from serve_apps.http.routes import Routes

TITLE = "Social Flow"
VERSION = "1"
SUMMARY = """One API for social video: accounts, posts, feeds, videos and lives.

Lists answer `{items, next_cursor}` and take `?cursor=&limit=`. Refusals answer
`{error, message, details, request_id, timestamp}`; `error` is stable text. Times are RFC 3339 in
UTC. Send `Authorization: Bearer <access_token>`; refresh it when it has expired. Counted routes
answer `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (Unix seconds at which
the whole allowance is back), and 429 with `Retry-After` beyond it. `Idempotency-Key` makes the
routes that name it safe to repeat."""
SWAGGER_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Social Flow API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/swagger/swagger-ui.css"></head>
<body><div id="documentation"></div>
<noscript>The description is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/swagger/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script>
</body></html>"""
SWAGGER_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#documentation",
  deepLinking: true,
  persistAuthorization: true,
});
"""
FASTAPI_SCHEMAS = ("HTTPValidationError", "ValidationError")
"""What FastAPI would refuse with; `http/errors.py` answers in the product's shape instead."""

routes = Routes(prefix="", tag="documentation")


@routes.get(
    "/docs",
    permission=Permission.PUBLIC,
    rate=RateTier.NONE,
    summary="Interactive documentation",
    in_schema=False,
)
async def get_docs() -> Response:
    """Answer Swagger UI; its files come from this server alone."""
    return HTMLResponse(SWAGGER_PAGE, headers={"Content-Security-Policy": CONTENT_POLICY})


@routes.get(
    "/docs/start.js",
    permission=Permission.PUBLIC,
    rate=RateTier.NONE,
    summary="What starts the interactive documentation",
    in_schema=False,
)
async def get_docs_start() -> Response:
    """Answer the few lines that start Swagger UI; inline scripts are not allowed."""
    return Response(SWAGGER_START, media_type="text/javascript")


def install_documentation(app: FastAPI) -> None:
    """Serve the document at /openapi.json and make `app.openapi()` return it."""
    document: dict[str, Any] = {}

    def make_document() -> dict[str, Any]:
        if not document:
            document.update(describe_api(app))
        return document

    async def get_openapi_document() -> JSONResponse:
        return JSONResponse(make_document())

    app.openapi = make_document  # type: ignore[method-assign]  # FastAPI's documented way
    served = Routes(prefix="", tag="documentation")
    served.get(
        "/openapi.json",
        permission=Permission.PUBLIC,
        rate=RateTier.NONE,
        summary="This description",
        in_schema=False,
    )(get_openapi_document)
    served.install(app)


def describe_api(app: FastAPI) -> dict[str, Any]:
    """Build the OpenAPI document, with the bearer scheme and examples everywhere."""
    document = get_openapi(
        title=TITLE,
        version=VERSION,
        description=SUMMARY,
        routes=app.routes,
        openapi_version="3.1.0",
    )
    components = document.setdefault("components", {})
    components.setdefault("securitySchemes", {})["bearer"] = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of /v1/auth/login.",
    }
    schemas = components.get("schemas", {})
    for name in FASTAPI_SCHEMAS:
        schemas.pop(name, None)
    for schema in schemas.values():
        if "examples" in schema:
            schema["examples"] = [restore_nulls(it, schema, schemas) for it in schema["examples"]]
    for path in document.get("paths", {}).values():
        for operation in path.values():
            _describe_malformed(operation)
            add_examples(operation, schemas)
    return document


def _describe_malformed(operation: dict[str, Any]) -> None:
    """Say what an answer 422 really is: ours, with the fields that were wrong."""
    if not operation.get("parameters") and "requestBody" not in operation:
        return
    answer = operation["responses"].setdefault("422", {})
    content = answer.setdefault("content", {}).setdefault("application/json", {})
    if "examples" not in content:
        answer["description"] = ""
    content["schema"] = {"$ref": "#/components/schemas/ErrorBody"}
    add_refusal(answer, MalformedRequest)
