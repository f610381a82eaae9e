"""Starts and stops one product again and again, and reads what it says of itself.

Steps run side by side, so their seconds overlap: each is what the person at the terminal sees.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from cluster.status import read_status
from tests.product import Product

SETTLE_S, SETTLE_SHORT_S = 15.0, 3.0
IDLE_SAMPLE_S, IDLE_SAMPLE_SHORT_S = 5.0, 1.0
MEMORY = "idle_pss_mib"
STEP = re.compile(r"^\s*\d+/\d+ ✓ (?P<name>.+?)\s+(?P<seconds>\d+\.\d) s\b", re.MULTILINE)


@asynccontextmanager
async def open_home(form: Form, _products: Products) -> AsyncIterator[Sides]:
    """Lend a side that starts the product of one home; a full run has started it once before."""
    product = Product.prepare()

    async def start(form: Form) -> Answer:
        return await asyncio.to_thread(measure_start, product, form)

    try:
        if form is Form.FULL:
            await asyncio.to_thread(product.up)
            await asyncio.to_thread(product.run, "down")
        yield {"product": start}
    finally:
        await asyncio.to_thread(product.stop)


def measure_start(product: Product, form: Form) -> Answer:
    """Start, let it settle, read `status`, stop."""
    began_s = time.monotonic()
    output = product.up()
    took_s = time.monotonic() - began_s
    time.sleep(form.choose(SETTLE_S, SETTLE_SHORT_S))
    status = read_status(product.place, sample_s=form.choose(IDLE_SAMPLE_S, IDLE_SAMPLE_SHORT_S))
    unwell = [part.name for part in status.parts if part.health != "healthy"]
    product.run("down")
    assert (status.state, unwell) == ("running", []), "a product that is unwell measures nothing"
    parts = sorted(status.parts, key=lambda part: -part.pss_mb)
    return Answer(
        figures={
            "boot_s": float(status.facts["boot_s"]),
            "command_s": took_s,
            MEMORY: status.pss_mb,
            "idle_cpu_percent": status.cpu_percent,
        },
        work="every part runs and is healthy",
        breakdowns={
            "Seconds by step": {
                found["name"]: float(found["seconds"]) for found in STEP.finditer(output)
            },
            "PSS MiB by part": {part.name: part.pss_mb for part in parts},
        },
    )
