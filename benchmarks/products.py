"""Where a benchmark gets its product from: a fresh one, or one that several short forms share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from tests.product import Product


class Products(Protocol):
    """Lends a running product for as long as a stage is open."""

    def __call__(self, **options: str) -> AbstractAsyncContextManager[Product]:
        """Lend a product with these settings, such as `edge_count="2"`."""
        ...


@asynccontextmanager
async def start_fresh(**options: str) -> AsyncIterator[Product]:
    """Start a product for this question alone, and stop it afterwards."""
    product = await asyncio.to_thread(lambda: Product.start(None, **options))
    try:
        yield product
    finally:
        await asyncio.to_thread(product.stop)


def share(product: Product, options: Mapping[str, str]) -> Products:
    """Lend a product that runs with `options` to whoever asks for no other ones.

    Its numbers are not those of a fresh one: for the short forms, whose numbers nobody records.
    """

    @asynccontextmanager
    async def lend(**wanted: str) -> AsyncIterator[Product]:
        differing = {name: value for name, value in wanted.items() if options.get(name) != value}
        assert not differing, f"the shared product runs without {differing}"
        yield product

    return lend
