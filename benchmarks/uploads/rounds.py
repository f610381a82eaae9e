"""Uploads the same bytes to a running product by tus and to a bare server."""

from __future__ import annotations

import functools
import os
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from benchmarks.bare_bytes import run_bare
from benchmarks.frame import Answer, Form, Sides
from benchmarks.meters import CpuMeter, list_product_processes
from benchmarks.products import Products
from benchmarks.tus import HEADERS, announce
from tests.e2e.load import Account, register
from tests.product import Product

BODY_BYTES = 8 << 20
BODIES, BODIES_SHORT = 100, 3
"""The kernel counts in ticks of 10 ms: 200 MB, a common upload, would be twenty of them."""
CPU, SPEED = "server_cpu_s_per_gb", "mb_per_s"
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=120)


@asynccontextmanager
async def open_scene(_form: Form, products: Products) -> AsyncIterator[Sides]:
    """Start both servers."""
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as folder:
        async with (
            products(limits_rates_enabled="false") as product,
            run_bare(Path(folder)) as (address, pid),
            aiohttp.ClientSession(timeout=REQUEST_TIMEOUT) as http,
        ):
            owner = await register(http, product.url)

            async def to_us(form: Form) -> Answer:
                return await upload_to_us(http, product, owner, form.choose(BODIES, BODIES_SHORT))

            async def to_bare(form: Form, query: str = "") -> Answer:
                name, count = uuid.uuid4().hex, form.choose(BODIES, BODIES_SHORT)
                place = f"{address}/{name}{query}"
                answer = await measure(http, place, {}, {"bare": [pid]}, count)
                assert (Path(folder) / name).stat().st_size == count * BODY_BYTES
                (Path(folder) / name).unlink()
                return answer

            synced = functools.partial(to_bare, query="?sync=1")
            yield {"socialflow": to_us, "aiohttp": to_bare, "aiohttp, synced": synced}


async def upload_to_us(
    http: aiohttp.ClientSession, product: Product, owner: Account, count: int
) -> Answer:
    """Upload all of a file but its last byte, then give it up: nothing is processed afterwards."""
    sent_bytes = count * BODY_BYTES
    video = await announce(http, product, owner, sent_bytes + 1)
    address, headers = video["upload"]["url"], owner.headers | HEADERS
    processes = list_product_processes(product)
    parts = {name: processes[name] for name in ("edge", "postgres")}
    answer = await measure(http, address, headers, parts, count)
    async with http.head(address, headers=headers) as said:
        assert int(said.headers["Upload-Offset"]) == sent_bytes, said.headers
    async with http.delete(address, headers=headers) as gone:
        assert gone.status == 204, await gone.text()
    return answer


async def measure(
    http: aiohttp.ClientSession,
    address: str,
    headers: Mapping[str, str],
    parts: Mapping[str, list[int]],
    count: int,
) -> Answer:
    """Send so many bodies, one after the other, as the page sends a file."""
    body = os.urandom(BODY_BYTES)
    meter, began_s = CpuMeter(dict(parts)), time.monotonic()
    for number in range(count):
        at = {"Upload-Offset": str(number * BODY_BYTES)}
        async with http.patch(address, data=body, headers={**headers, **at}) as answer:
            assert answer.status == 204, await answer.text()
    used, took_s = meter.read(), time.monotonic() - began_s
    size_bytes = count * BODY_BYTES
    figures = {CPU: sum(used.values()) * 1e9 / size_bytes, SPEED: size_bytes / 1e6 / took_s}
    return Answer(figures, f"{size_bytes:,} bytes acknowledged", {"processor seconds": used})
