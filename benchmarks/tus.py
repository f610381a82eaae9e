"""Announces files to a running product, for questions that upload."""

from __future__ import annotations

from typing import Any

import aiohttp

from tests.e2e.load import Account, call
from tests.product import Product

HEADERS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
"""Of a PATCH, beside its offset and the owner's."""


async def announce(
    http: aiohttp.ClientSession, product: Product, owner: Account, size_bytes: int
) -> dict[str, Any]:
    """Return the video that the file will become; its bytes go to `["upload"]["url"]`."""
    announced = {"title": "Bytes", "filename": "film.mp4", "size_bytes": size_bytes}
    videos = f"{product.url}/v1/videos"
    status, video = await call(http, "POST", videos, json=announced, headers=owner.headers)
    assert status == 201, video
    answer: dict[str, Any] = video
    return answer
