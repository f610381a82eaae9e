"""What the database says of a live, for tests whose own thread belongs to Playwright's loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import asyncpg

from tests.product import Product


@dataclass(frozen=True)
class Stored:
    """What of a live is stored."""

    generations: list[int]
    """Of its whole segments, in their order, each once."""
    gaps: int
    """Segments that say that something is missing."""


def read_stored(product: Product, address: str) -> Stored:
    """Return what is stored of the live whose page is at this address."""
    rows = ask_of_live(
        product,
        address,
        "SELECT origin_gen, tracks::text = '{}' AS is_gap FROM live_segments"
        " WHERE live_id = $1::uuid ORDER BY number",
    )
    whole = [int(row["origin_gen"]) for row in rows if not row["is_gap"]]
    return Stored(list(dict.fromkeys(whole)), len(rows) - len(whole))


def ask_of_live(product: Product, address: str, statement: str) -> list[asyncpg.Record]:
    """Ask the database about a live, which is `$1`."""
    live_id = address.rstrip("/").split("/")[-1]

    async def ask() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(product.settings.database.url, timeout=10)
        try:
            return await connection.fetch(statement, live_id)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, ask()).result()
