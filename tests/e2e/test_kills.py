"""kill -9 of every part while at least ten writes are in flight: nothing acknowledged is missing,
nothing is there twice, and the product works again.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import asyncpg
import pytest

from tests.e2e.load import (
    Account,
    ChatLoad,
    PostLoad,
    Viewer,
    insist,
    register,
    wait_for_in_flight,
)
from tests.product import Product

pytestmark = [pytest.mark.ray, pytest.mark.timeout(180)]

WRITERS = 16
DEADLINE_S = 60


async def read_posts(product: Product, author: Account) -> Counter[str]:
    connection = await asyncpg.connect(product.settings.database.url, timeout=10)
    try:
        rows = await connection.fetch(
            "SELECT text FROM posts WHERE author_id = $1::uuid", author.id
        )
        return Counter(row["text"] for row in rows)
    finally:
        await connection.close()


async def read_lines(product: Product, room: str) -> list[tuple[int, str]]:
    connection = await asyncpg.connect(product.settings.database.url, timeout=10)
    try:
        rows = await connection.fetch(
            "SELECT seq, body ->> 'text' AS text FROM room_messages"
            " WHERE room_id = $1::uuid AND kind = 'chat_message' ORDER BY seq",
            room,
        )
        return [(row["seq"], row["text"]) for row in rows]
    finally:
        await connection.close()


async def find_host(product: Product, room: str) -> str:
    """Return the host that owns the room now."""
    connection = await asyncpg.connect(product.settings.database.url, timeout=10)
    try:
        statement = "SELECT host_id FROM placements WHERE kind = 'room' AND object_id = $1::uuid"
        return str(await connection.fetchval(statement, room))
    finally:
        await connection.close()


@asynccontextmanager
async def writing_posts(product: Product) -> AsyncIterator[PostLoad]:
    async with aiohttp.ClientSession() as session:
        author = await register(session, product.url)
    load = PostLoad(product.url, author, writers=WRITERS)
    await load.start()
    yield load
    await load.stop()


async def kill_while_posting(product: Product, part: str) -> None:
    """Kill `part` under a load of posts, then compare what was acknowledged with the rows."""
    async with writing_posts(product) as load:
        # Asking who to kill takes a second and stops this loop: it comes before the writes count.
        killed = product.pids(part)[0]
        caught = await wait_for_in_flight(load)
        os.kill(killed, signal.SIGKILL)
        before = len(load.acknowledged)
        started = time.monotonic()
        async with asyncio.timeout(DEADLINE_S):
            while len(load.acknowledged) < before + 5 * WRITERS:
                await asyncio.sleep(0.05)
        took_s = time.monotonic() - started
    assert caught >= 10
    rows = await read_posts(product, load.author)
    print(
        f"{part} {killed}: {caught} in flight, {len(load.acknowledged)} acknowledged, "
        f"{load.failures} failures, {5 * WRITERS} more writes after {took_s:.1f} s"
    )
    assert {text for text in load.acknowledged if rows[text] != 1} == set()
    assert {text for text, count in rows.items() if count > 1} == set()


@pytest.mark.parametrize("part", ["postgres", "cache", "api"])
async def test_posts_survive_the_death_of(product: Product, part: str):
    await kill_while_posting(product, part)


async def test_timelines_survive_the_death_of_the_job_runner(product: Product):
    async with aiohttp.ClientSession() as session:
        follower = await register(session, product.url)
        author = await register(session, product.url)
        status, _ = await insist(
            session,
            "POST",
            f"{product.url}/v1/users/{author.username}/follow",
            headers=follower.headers,
        )
        assert status in {200, 201, 204}
        load = PostLoad(product.url, author, writers=WRITERS)
        await load.start()
        killed = product.pids("runner")[0]
        caught = await wait_for_in_flight(load)
        os.kill(killed, signal.SIGKILL)
        await asyncio.sleep(2)
        await load.stop()
        assert caught >= 10
        wanted = set(load.acknowledged.values())
        started = time.monotonic()
        seen: list[str] = []
        async with asyncio.timeout(DEADLINE_S):
            while not wanted <= set(seen):
                await asyncio.sleep(0.5)
                seen = await read_feed(session, product, follower)
        print(f"runner: {len(wanted)} posts in the feed {time.monotonic() - started:.1f} s later")
        assert len(seen) == len(set(seen))


async def read_feed(session: aiohttp.ClientSession, product: Product, reader: Account) -> list[str]:
    ids: list[str] = []
    cursor = ""
    while True:
        url = f"{product.url}/v1/feed/home?limit=100" + (f"&cursor={cursor}" if cursor else "")
        status, body = await insist(session, "GET", url, headers=reader.headers)
        assert status == 200, body
        ids += [item["id"] for item in body["items"]]
        cursor = body["next_cursor"]
        if not cursor:
            return ids


async def open_room(
    session: aiohttp.ClientSession, product: Product
) -> tuple[str, str, list[Account]]:
    """Create a live; return its room, the socket's address and sixteen people."""
    owner = await register(session, product.url)
    status, live = await insist(
        session, "POST", f"{product.url}/v1/live", json={"title": "kills"}, headers=owner.headers
    )
    assert status == 201, live
    people = [await register(session, product.url) for _ in range(WRITERS)]
    return live["id"], live["chat"]["socket"], people


@pytest.mark.parametrize("part", ["host", "edge-0", "postgres", "cache"])
async def test_chat_survives_the_death_of(product: Product, part: str):
    async with aiohttp.ClientSession() as session:
        room, socket_url, people = await open_room(session, product)
    viewers = [Viewer(socket_url, room, people[number]) for number in range(2)]
    for viewer in viewers:
        await viewer.start()
    load = ChatLoad(socket_url, room, people)
    await load.start()
    killed = product.pids(part if part != "host" else await find_host(product, room))
    if part != "postgres":
        killed = killed[:1]
    caught = await wait_for_in_flight(load)
    # Of PostgreSQL everything dies: a backend that lost only its postmaster finishes its
    # statement, and would hide an acknowledgement that ran ahead of its commit.
    for pid in reversed(killed):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    took_s = await load.await_more(5 * WRITERS, DEADLINE_S)
    await load.stop()
    for viewer in viewers:
        await viewer.wait_for(set(load.acknowledged), DEADLINE_S)
        await viewer.stop()
    rows = await read_lines(product, room)
    print(
        f"{part} {killed}: {caught} in flight, {len(load.acknowledged)} acknowledged, "
        f"{load.failures} failures, back after {took_s:.1f} s, "
        f"viewers reconnected {viewers[0].reconnects} times"
    )
    assert caught >= 10
    texts = [text for _, text in rows]
    assert len(texts) == len(set(texts))
    assert {(offset, text) for text, offset in load.acknowledged.items()} <= set(rows)
    for viewer in viewers:
        assert viewer.reloads == 0
        assert viewer.offsets == sorted(set(viewer.offsets))
        assert viewer.texts == texts
