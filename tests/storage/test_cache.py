"""The cache and the bus: real Valkey, and one that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as redis

from storage.cache import Cache, Ephemeral, EphemeralBus
from tests.storage.waiting import wait_for_followers, wait_until

pytestmark = pytest.mark.db


@pytest.fixture
def heard() -> list[Ephemeral]:
    """Collect what a bus received."""
    return []


@pytest.fixture
async def bus(cache_url: str, heard: list[Ephemeral]) -> AsyncIterator[EphemeralBus]:
    """Lend a running bus."""
    lent = EphemeralBus(cache_url, heard.append)
    lent.start()
    yield lent
    await lent.close()


async def publish_until_heard(
    cache: Cache, heard: list[Ephemeral], channel: str, kind: str = "feed_hint"
) -> None:
    """Publish until the bus has heard the channel: subscribing takes a round trip."""
    async with asyncio.timeout(60):
        while not any(message.channel == channel for message in heard):
            await cache.publish(channel, kind, {"n": 1})
            await asyncio.sleep(0.02)


async def test_a_value_is_found_until_it_is_deleted(cache: Cache) -> None:
    await cache.set("one", b"1", ttl_s=10)
    assert await cache.get("one") == b"1"
    await cache.delete("one")
    assert await cache.get("one") is None


async def test_a_value_disappears_after_its_ttl(cache: Cache) -> None:
    await cache.set("short", b"1", ttl_s=0.02)
    await asyncio.sleep(0.06)
    assert await cache.get("short") is None


async def test_many_values_are_kept_and_found_in_one_go(cache: Cache) -> None:
    assert await cache.get_many([]) == []
    assert await cache.set_many({"one": b"1", "two": b"2"}, ttl_s=10)
    assert await cache.get_many(["two", "none", "one"]) == [b"2", None, b"1"]


async def test_many_values_disappear_after_their_ttl(cache: Cache) -> None:
    assert await cache.set_many({"short": b"1"}, ttl_s=0.02)
    await asyncio.sleep(0.06)
    assert await cache.get_many(["short"]) == [None]


async def test_the_bus_delivers_only_wanted_channels(
    cache: Cache, bus: EphemeralBus, heard: list[Ephemeral]
) -> None:
    bus.subscribe(["post:1"])
    await publish_until_heard(cache, heard, "post:1")
    await cache.publish("post:2", "feed_hint", {"n": 2})
    await cache.publish("post:1", "feed_hint", {"n": 3})
    await wait_until(lambda: heard[-1].data == {"n": 3})
    assert {message.channel for message in heard} == {"post:1"}


async def test_an_unsubscribed_channel_falls_silent(
    cache: Cache, bus: EphemeralBus, heard: list[Ephemeral]
) -> None:
    bus.subscribe(["a", "b"])
    await publish_until_heard(cache, heard, "a")
    bus.unsubscribe(["a"])
    await wait_for_followers(cache, "a", 0)
    heard.clear()
    await cache.publish("a", "feed_hint", {})
    await publish_until_heard(cache, heard, "b")
    assert {message.channel for message in heard} == {"b"}


async def test_a_bus_that_follows_nothing_any_more_follows_again(
    cache: Cache, bus: EphemeralBus, heard: list[Ephemeral]
) -> None:
    for channel in ("a", "b"):
        bus.subscribe([channel])
        await publish_until_heard(cache, heard, channel)
        bus.unsubscribe([channel])
        await wait_for_followers(cache, channel, 0)
        heard.clear()


async def test_the_bus_comes_back_after_its_connection_was_killed(
    cache: Cache, bus: EphemeralBus, heard: list[Ephemeral], cache_url: str
) -> None:
    bus.subscribe(["post:1"])
    await publish_until_heard(cache, heard, "post:1")
    client = redis.Redis.from_url(cache_url)
    await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await client.aclose()
    heard.clear()
    await publish_until_heard(cache, heard, "post:1")


async def test_a_state_is_repeated_and_a_hint_is_not(cache: Cache) -> None:
    await cache.publish("post:1", "post_counters", {"likes": 1})
    await cache.publish("post:1", "post_counters", {"likes": 2})
    await cache.publish("post:1", "post_comment", {"text": "hi"})
    assert [m.data for m in await cache.list_latest("post:1")] == [{"likes": 2}]


async def test_nothing_raises_while_valkey_is_away() -> None:
    cache = Cache("redis://127.0.0.1:1/0")
    await cache.open()
    await cache.publish("post:1", "post_counters", {})
    await cache.set("k", b"v", ttl_s=1)
    assert await cache.get("k") is None
    assert await cache.list_latest("post:1") == []
    assert not await cache.is_available()
    assert cache.counters.failures >= 1
    await cache.close()


async def test_a_task_that_uses_the_cache_ends_whenever_it_is_cancelled(cache: Cache) -> None:
    # asyncio.wait_for of Python 3.11 forgets a cancellation that comes in the turn in which what it
    # waits for is done; a task that writes in rounds then goes on for ever.
    async def write() -> None:
        while True:
            await cache.set_many({"a": b"1"}, 60)

    await cache.set_many({"a": b"1"}, 60)
    for turns in range(32):
        task = asyncio.create_task(write())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        ended, _ = await asyncio.wait([task], timeout=60)
        task.cancel()
        assert ended, f"it still writes, cancelled after {turns} turns of the loop"
