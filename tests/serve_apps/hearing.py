"""A fixture that hears what is told on the ephemeral bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from storage.cache import Cache, Ephemeral, EphemeralBus
from tests.storage.waiting import wait_for_followers

TIMEOUT_S = 60
Messages = Callable[[int], Awaitable[list[Ephemeral]]]


@pytest.fixture
def hear(cache: Cache, cache_url: str) -> Callable[[str], AbstractAsyncContextManager[Messages]]:
    """Lend an ear for one channel; its messages are asked for by number."""

    @asynccontextmanager
    async def listen(channel: str) -> AsyncIterator[Messages]:
        heard: asyncio.Queue[Ephemeral] = asyncio.Queue()
        bus = EphemeralBus(cache_url, heard.put_nowait)
        bus.subscribe([channel])
        bus.start()

        async def take(count: int) -> list[Ephemeral]:
            async with asyncio.timeout(TIMEOUT_S):
                return [await heard.get() for _ in range(count)]

        try:
            await wait_for_followers(cache, channel)
            yield take
        finally:
            await bus.close()

    return listen
