"""One product with two edges for the files in this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import OPTIONS, chromium, contexts, open_page, playwright, small_film
from tests.product import Product

__all__ = ["chromium", "contexts", "open_page", "playwright", "small_film"]

TWO_EDGES = {
    **OPTIONS,
    "edge_count": "2",
    "http_replicas": "1",
    "limits_chat_per_10_s_max": "1000000",
}


@pytest.fixture(scope="package")
def product() -> Iterator[Product]:
    """Lend a product with two edges."""
    running = Product.start(**TWO_EDGES)
    yield running
    running.stop()
