"""Asks a room's owner from a client like the API's, and over the API itself.

The client's storage counts how often it is asked where a room lives.
"""

from __future__ import annotations

import platform
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import numpy as np

from actors.hosting.client import HostClient
from actors.hosting.core import ObjectKey
from actors.hosting.messages import API
from actors.hosting.ports import ClientPorts
from actors.hosting.postgres import PostgresStore
from actors.link.frames import LinkPeer
from actors.link.transport import LinkTransport
from actors.live_room.client import RoomClient
from actors.live_room.kind import ROOM_KIND
from benchmarks.frame import Answer, Form, Sides
from benchmarks.products import Products
from kit.clock import SystemClock
from storage.database import Database, PoolOptions
from storage.placements import Placement
from tests.e2e.load import Account, call, register
from tests.product import Product

COMMANDS, COMMANDS_SHORT = 2000, 200
REQUESTS, REQUESTS_SHORT = 100, 10
KINDS = (ROOM_KIND,)
LOOKUPS = "placement_lookups"


class CountingStore(PostgresStore):
    """The product's own storage; it counts lookups of owners."""

    lookups = 0

    async def find_placement(self, key: ObjectKey) -> Placement | None:
        """Count and ask."""
        self.lookups += 1
        return await super().find_placement(key)


@asynccontextmanager
async def open_product(_form: Form, products: Products) -> AsyncIterator[Sides]:
    """Lend the client's side and the API's."""
    async with AsyncExitStack() as stack:
        product = await stack.enter_async_context(products(limits_rates_enabled="false"))
        database = Database(product.settings.database.url, PoolOptions(size=2, name="bench"))
        await database.open()
        stack.push_async_callback(database.close)
        async with aiohttp.ClientSession() as session:
            owner = await register(session, product.url)

            async def ask_owner(form: Form) -> Answer:
                live = await announce(session, product, owner)
                return await measure_client(form, product, database, uuid.UUID(live))

            async def ask_api(form: Form) -> Answer:
                return await measure_api(form, product, session, owner)

            yield {"client": ask_owner, "API": ask_api}


async def measure_client(
    form: Form, product: Product, database: Database, room_id: uuid.UUID
) -> Answer:
    """End one room again and again: its owner answers from memory, nothing is stored."""
    settings = product.settings
    store = CountingStore(database, KINDS)
    hosts = HostClient(
        LinkPeer(API, f"api-{uuid.uuid4()}", 1),
        ClientPorts(
            kinds=KINDS,
            store=store,
            transport=LinkTransport.within(settings),
            node=platform.node(),
            jitter=random.SystemRandom(),
            clock=SystemClock(),
        ),
    )
    try:
        rooms = RoomClient(hosts)
        await rooms.end_live(room_id)
        store.lookups = 0
        count = form.choose(COMMANDS, COMMANDS_SHORT)
        took_s = await time_each(count, lambda: rooms.end_live(room_id))
    finally:
        await hosts.close()
    return make_answer(took_s, float(store.lookups))


async def measure_api(
    form: Form, product: Product, session: aiohttp.ClientSession, owner: Account
) -> Answer:
    """End one live after another over HTTP: each is placed, loaded and ended in storage."""
    took_s: list[float] = []
    for _ in range(form.choose(REQUESTS, REQUESTS_SHORT)):
        url = f"{product.url}/v1/live/{await announce(session, product, owner)}/end"
        began_s = time.monotonic()
        status, body = await call(session, "POST", url, headers=owner.headers)
        took_s.append(time.monotonic() - began_s)
        assert (status, body["status"]) == (200, "ended"), body
    return make_answer(took_s, float(len(took_s)))


async def announce(session: aiohttp.ClientSession, product: Product, owner: Account) -> str:
    """Create a live and return its id."""
    status, live = await call(
        session,
        "POST",
        f"{product.url}/v1/live",
        json={"title": "Benchmark"},
        headers=owner.headers,
    )
    assert status == 201, live
    return str(live["id"])


async def time_each(count: int, command: Callable[[], Awaitable[None]]) -> list[float]:
    """Run a command so often, one after another; return the seconds of each."""
    took_s = []
    for _ in range(count):
        began_s = time.monotonic()
        await command()
        took_s.append(time.monotonic() - began_s)
    return took_s


def make_answer(took_s: list[float], lookups: float) -> Answer:
    """Put the figures together; a command without its answer raises."""
    took_ms = np.array(took_s) * 1000
    return Answer(
        figures={
            "median_ms": float(np.median(took_ms)),
            "p99_ms": float(np.percentile(took_ms, 99)),
            LOOKUPS: lookups,
        },
        work="every command was answered",
    )
