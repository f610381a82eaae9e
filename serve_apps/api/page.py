"""Serves the built page: files by name, `index.html` for every other address of the page.

Runs after all routes missed. Addresses of the API never fall through to the page. The page wants
the name localhost rather than 127.0.0.1: cameras and passkeys need a name or TLS.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from starlette.datastructures import URL, Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

HERE = Path(__file__).resolve()
API_WORDS = {"v1", "health", "metrics", "openapi.json", "docs", "whip", "whep", "swagger"}
NUMERIC_HOSTS = {"127.0.0.1", "::1"}
FOREVER = "public, max-age=31536000, immutable"
HASHED_FOLDERS = {"assets"}
CONTENT_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob: http: https:",
        "media-src 'self' blob: http: https:",
        "connect-src 'self' http: https: ws: wss:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


def find_page_folder() -> Path | None:
    """Return the folder of the built page: inside the wheel, else the checkout's web/dist."""
    for folder in (HERE.parent / "page", HERE.parents[2] / "web" / "dist"):
        if (folder / "index.html").is_file():
            return folder
    return None


class PageFiles:
    """The app of last resort: answers page requests from a folder, everything else with 404."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder.resolve() if folder is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request that no route took; raises 404 for the error handlers to shape."""
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(404)
        response = self._decide(scope)
        await response(scope, receive, send)

    def _decide(self, scope: Scope) -> Response:
        path = unquote(scope["path"]).lstrip("/")
        file = self._find_file(path)
        if file is not None:
            return _send_file(file, path)
        wants_page = not path or "text/html" in Headers(scope=scope).get("accept", "")
        if path.partition("/")[0] in API_WORDS or not wants_page:
            raise HTTPException(404)
        index = self._find_index(scope)
        return index if isinstance(index, Response) else _send_file(index, "index.html")

    def open_index(self, scope: Scope) -> str | Response:
        """Return the page's text for a route that adds to its head, or what stands in its way."""
        index = self._find_index(scope)
        return index if isinstance(index, Response) else index.read_text("utf-8")

    def _find_index(self, scope: Scope) -> Path | Response:
        url = URL(scope=scope)
        if url.hostname in NUMERIC_HOSTS:
            return RedirectResponse(str(url.replace(hostname="localhost")), 307)
        index = self._find_file("index.html")
        if index is None:
            return Response(NOT_BUILT, 503, media_type="text/html", headers={"Retry-After": "5"})
        return index

    def _find_file(self, path: str) -> Path | None:
        """Return the file below the folder, None when there is none or it would lead outside."""
        if self._folder is None or not path or "\x00" in path:
            return None
        file = (self._folder / path).resolve()
        if not file.is_relative_to(self._folder) or not file.is_file():
            return None
        return file


def _send_file(file: Path, path: str) -> FileResponse:
    response = FileResponse(file)
    is_hashed = path.partition("/")[0] in HASHED_FOLDERS
    response.headers["Cache-Control"] = FOREVER if is_hashed else "no-cache"
    if file.suffix == ".html":
        response.headers["Content-Security-Policy"] = CONTENT_POLICY
    return response


NOT_BUILT = (
    "<!doctype html><meta charset=utf-8><title>Social Flow</title>"
    "<p>The page has not been built. Run <code>make page</code>, then reload."
    ' The API answers already: <a href="/docs">documentation</a>.'
)
