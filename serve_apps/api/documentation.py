"""OpenAPI 3.1 with an example for every body, and Swagger UI from local files.

The document is made once per process from the routes. Examples come from the schemas; where a
schema names none, one is composed from its fields, so that no operation is without.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from serve_apps.access.permissions import Permission
from serve_apps.access.rates import RateTier
from serve_apps.api.page import CONTENT_POLICY
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
DEPTH_MAX = 8
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
EXAMPLES_BY_FORMAT = {
    "uuid": "01980f5e-7c2a-7d3e-9f10-2b6f0c9a4d11",
    "date-time": "2026-01-01T12:00:00.000Z",
    "email": "ada@example.org",
    "uri": "https://example.org/",
}

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
    for path in document.get("paths", {}).values():
        for operation in path.values():
            _add_examples(operation, schemas)
    return document


def compose_example(schema: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> Any:
    """Return the schema's own example, else one made of its fields."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "$ref" in schema:
        return compose_example(schemas[schema["$ref"].rpartition("/")[2]], schemas, depth + 1)
    if depth > DEPTH_MAX:
        return None
    for joint in ("anyOf", "oneOf", "allOf"):
        if joint in schema:
            return compose_example(schema[joint][0], schemas, depth + 1)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if schema.get("type") == "object":
        fields = schema.get("properties", {})
        return {name: compose_example(field, schemas, depth + 1) for name, field in fields.items()}
    if schema.get("type") == "array":
        return [compose_example(schema.get("items", {}), schemas, depth + 1)]
    return _compose_plain(schema)


def _compose_plain(schema: dict[str, Any]) -> Any:
    if schema.get("format") in EXAMPLES_BY_FORMAT:
        return EXAMPLES_BY_FORMAT[schema["format"]]
    if schema.get("default") is not None:
        return schema["default"]
    plain = {"integer": 1, "number": 0.5, "boolean": True, "null": None, "string": "text"}
    return plain.get(schema.get("type", "null"))


def _add_examples(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    contents = list(operation.get("requestBody", {}).get("content", {}).values())
    for answer in operation.get("responses", {}).values():
        contents += answer.get("content", {}).values()
    for content in contents:
        if "schema" in content and "example" not in content and "examples" not in content:
            content["example"] = compose_example(content["schema"], schemas)
    for parameter in operation.get("parameters", []):
        schema = parameter.get("schema", {})
        if "example" not in parameter:
            parameter["example"] = compose_example(schema, schemas)
