"""A page of another origin than the product's, with scripts that others wrote."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.people import make_name
from tests.product import Product, fetch

HTML = b"<!doctype html><title>Elsewhere</title><video autoplay muted playsinline></video>"


class _Elsewhere(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(HTML)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serve_elsewhere(folder: Path) -> Iterator[str]:
    """Serve a page with a video element, and the folder's files beside it; yield its address."""
    handler = functools.partial(_Elsewhere, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def ask(product: Product, path: str, body: object = None, token: str = "") -> dict[str, Any]:
    """Call the API."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(product.url + path, data, headers)
    return dict(json.loads(fetch(request)))


def register(product: Product) -> str:
    """Register somebody; return their access token."""
    name = f"u_{make_name()}"
    known = {"username": name, "email": f"{name}@example.com", "password": "correct horse 7"}
    return str(ask(product, "/v1/auth/register", known)["access_token"])
