"""Asking a part over HTTP whether it is well: one small request, one deadline, no library."""

from __future__ import annotations

import asyncio
import http.client
from urllib.parse import urlsplit

REQUEST_TIMEOUT_S = 2.0
BODY_BYTES_MAX = 4096


def find_health(url: str, path: str = "/health") -> int | None:
    """Return the HTTP status of `GET {url}{path}`, None when nobody answers in 2 s. Blocking."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=REQUEST_TIMEOUT_S
    )
    try:
        connection.request("GET", path, headers={"User-Agent": "socialflow-supervisor"})
        response = connection.getresponse()
        response.read(BODY_BYTES_MAX)
    except (OSError, http.client.HTTPException):
        return None
    else:
        return response.status
    finally:
        connection.close()


async def await_healthy(url: str, *, timeout_s: float) -> bool:
    """Ask five times a second until the part says 200; False when it does not in time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    while loop.time() < end:
        if await asyncio.to_thread(find_health, url) == http.client.OK:
            return True
        await asyncio.sleep(0.2)
    return False
