"""Valkey as a cache and as the ephemeral bus between processes.

Everything here may vanish at any moment: nothing raises because Valkey is away. A failed publish
is logged and counted, a failed read is a miss. Features publish latest states and hints; edges
listen through `EphemeralBus`, which reconnects by itself. Durable things never travel here.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import redis.asyncio as redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from kit.logs import get_log

log = get_log("cache")

BUS_PREFIX = "bus:"
LATEST_PREFIX = "latest:"
VALUE_PREFIX = "cache:"
LATEST_TTL_S = 3600
CONNECTIONS_MAX = 32
WAIT_S = 1.0
PAUSE_AFTER_FAILURE_S = 0.5
BUS_SILENCE_S = 1.0
BUS_RETRY_MAX_S = 2.0
STATE_KINDS = frozenset({"post_counters", "video_counters", "video_progress", "video_head_start"})
"""Kinds that describe a state: the last one is kept and repeated to whoever subscribes later."""

JITTER = random.SystemRandom()
AWAY = (RedisError, OSError, TimeoutError)


class Ephemeral(msgspec.Struct, frozen=True):
    """One message of the bus; there is no order between channels and no replay."""

    channel: str
    kind: str
    data: dict[str, Any]


@dataclass
class CacheCounters:
    """What happened since the process started."""

    published: int = 0
    failures: int = 0


class Cache:
    """A small cache and the sending side of the bus."""

    def __init__(self, url: str, wait_s: float = WAIT_S) -> None:
        self._url = url
        self._wait_s = wait_s
        self._client: redis.Redis | None = None
        self._paused_until_s = 0.0
        self.counters = CacheCounters()

    async def open(self) -> None:
        """Prepare the pool; connections are made when first needed."""
        self._client = _connect(self._url, self._wait_s)

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @property
    def client(self) -> redis.Redis:
        """The connection pool, for other modules of `storage` alone; its calls may raise."""
        assert self._client is not None, "open() comes first"
        return self._client

    async def publish(self, channel: str, kind: str, data: dict[str, Any]) -> None:
        """Tell everyone who listens to `channel`; lost without an error when Valkey is away."""
        if self._is_paused():
            return
        body = msgspec.json.encode(Ephemeral(channel, kind, data))
        try:
            async with asyncio.timeout(self._wait_s):
                pipe = self.client.pipeline(transaction=False)
                if kind in STATE_KINDS:
                    pipe.hset(LATEST_PREFIX + channel, kind, body)
                    pipe.expire(LATEST_PREFIX + channel, LATEST_TTL_S)
                pipe.publish(BUS_PREFIX + channel, body)
                await pipe.execute()
            self.counters.published += 1
        except AWAY as error:
            self._note_failure("cache.publish_failed", error)

    async def list_latest(self, channel: str) -> list[Ephemeral]:
        """Return the last state of each state kind of `channel`; empty when unknown or away."""
        if self._is_paused():
            return []
        try:
            async with asyncio.timeout(self._wait_s):
                bodies = await self.client.hvals(LATEST_PREFIX + channel)
        except AWAY as error:
            self._note_failure("cache.latest_failed", error)
            return []
        return [message for body in bodies if (message := _read_message(body)) is not None]

    async def get(self, key: str) -> bytes | None:
        """Return the cached bytes, or None when missing or away."""
        if self._is_paused():
            return None
        try:
            async with asyncio.timeout(self._wait_s):
                value = await self.client.get(VALUE_PREFIX + key)
                return value.encode() if isinstance(value, str) else value
        except AWAY as error:
            self._note_failure("cache.get_failed", error)
            return None

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep `value` for `ttl_s` seconds, when Valkey is there."""
        if self._is_paused():
            return
        try:
            async with asyncio.timeout(self._wait_s):
                await self.client.set(VALUE_PREFIX + key, value, px=max(1, int(ttl_s * 1000)))
        except AWAY as error:
            self._note_failure("cache.set_failed", error)

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return one value per key in a single round trip; None where missing, or all when away."""
        if not keys or self._is_paused():
            return [None] * len(keys)
        try:
            async with asyncio.timeout(self._wait_s):
                values = await self.client.mget([VALUE_PREFIX + key for key in keys])
        except AWAY as error:
            self._note_failure("cache.get_failed", error)
            return [None] * len(keys)
        return [value.encode() if isinstance(value, str) else value for value in values]

    async def set_many(self, values: Mapping[str, bytes], ttl_s: float) -> bool:
        """Keep every value for `ttl_s` seconds; False when Valkey may not have taken them."""
        if self._is_paused():
            return False
        try:
            async with asyncio.timeout(self._wait_s):
                pipe = self.client.pipeline(transaction=False)
                for key, value in values.items():
                    pipe.set(VALUE_PREFIX + key, value, px=max(1, int(ttl_s * 1000)))
                await pipe.execute()
        except AWAY as error:
            self._note_failure("cache.set_failed", error)
            return False
        return True

    async def delete(self, *keys: str) -> None:
        """Forget the keys; a key survives until its ttl when Valkey is away."""
        if not keys or self._is_paused():
            return
        try:
            async with asyncio.timeout(self._wait_s):
                await self.client.delete(*(VALUE_PREFIX + key for key in keys))
        except AWAY as error:
            self._note_failure("cache.delete_failed", error)

    async def flush(self) -> None:
        """Forget everything, whoever wrote it; raises when Valkey is away."""
        await self.client.flushdb()

    async def is_available(self) -> bool:
        """Return whether Valkey answers in time."""
        try:
            async with asyncio.timeout(self._wait_s):
                return bool(await self.client.ping())
        except AWAY:
            return False

    def _is_paused(self) -> bool:
        """Return whether the last failure is so recent that asking again would only cost time."""
        return time.monotonic() < self._paused_until_s

    def _note_failure(self, event: str, error: BaseException) -> None:
        self._paused_until_s = time.monotonic() + PAUSE_AFTER_FAILURE_S
        self.counters.failures += 1
        log.warning(event, error=type(error).__name__, failures=self.counters.failures)


class EphemeralBus:
    """The listening side of the bus: `receive` is called once per message, in arrival order.

    Wanted channels are remembered and asked for again after each lost connection. What was
    published while it was away is gone; `on_return` lets the owner repeat latest states.
    """

    def __init__(
        self,
        url: str,
        receive: Callable[[Ephemeral], None],
        on_return: Callable[[], None] | None = None,
    ) -> None:
        self._url = url
        self._receive = receive
        self._on_return = on_return
        self._wanted: set[str] = set()
        self._changes = asyncio.Event()
        self._followed = asyncio.Event()
        """Set when the connection's subscriptions were changed, or cannot be any more."""
        self._task: asyncio.Task[None] | None = None
        self.is_connected = False

    def start(self) -> None:
        """Begin listening in a task that `close()` ends."""
        self._task = asyncio.create_task(self._run(), name="ephemeral-bus")

    async def close(self) -> None:
        """Stop listening."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def subscribe(self, channels: Iterable[str]) -> None:
        """Want these channels from now on; takes effect within one round trip."""
        self._wanted.update(BUS_PREFIX + channel for channel in channels)
        self._changes.set()

    def unsubscribe(self, channels: Iterable[str]) -> None:
        """Want these channels no more."""
        self._wanted.difference_update(BUS_PREFIX + channel for channel in channels)
        self._changes.set()

    async def _run(self) -> None:
        wait_s, connections = 0.05, 0
        while True:
            client = _connect(self._url, WAIT_S)
            try:
                pubsub = client.pubsub(ignore_subscribe_messages=True)
                async with asyncio.timeout(WAIT_S):
                    await client.ping()
                connections += 1
                self.is_connected, wait_s = True, 0.05
                if connections > 1 and self._on_return is not None:
                    self._on_return()
                await self._listen(pubsub)
            except AWAY as error:
                log.warning("bus.lost", error=type(error).__name__)
            finally:
                self.is_connected = False
                with contextlib.suppress(*AWAY):
                    await client.aclose()
            await asyncio.sleep(wait_s * JITTER.uniform(0.5, 1.5))
            wait_s = min(wait_s * 2, BUS_RETRY_MAX_S)

    async def _listen(self, pubsub: PubSub) -> None:
        """Follow the wanted set and hand over messages until the connection fails."""
        follower = asyncio.create_task(self._follow_wanted(pubsub), name="bus-subscriptions")
        follower.add_done_callback(lambda _follower: self._followed.set())
        try:
            while True:
                if follower.done():
                    follower.result()
                if not pubsub.subscribed:
                    self._followed.clear()
                    await self._followed.wait()
                    continue
                message = await pubsub.get_message(timeout=BUS_SILENCE_S)
                if message is None:
                    async with asyncio.timeout(WAIT_S):
                        await pubsub.ping()
                elif message["type"] == "message" and (known := _read_message(message["data"])):
                    self._receive(known)
        finally:
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError, *AWAY):
                await follower
            with contextlib.suppress(*AWAY):
                await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis leaves it untyped

    async def _follow_wanted(self, pubsub: PubSub) -> None:
        """Bring the connection's subscriptions to the wanted set, again at each change."""
        current: set[str] = set()
        while True:
            self._changes.clear()
            missing, surplus = self._wanted - current, current - self._wanted
            async with asyncio.timeout(WAIT_S):
                if missing:
                    await pubsub.subscribe(*missing)
                if surplus:
                    await pubsub.unsubscribe(*surplus)
            current = (current | missing) - surplus
            self._followed.set()
            await self._changes.wait()


def _connect(url: str, wait_s: float) -> redis.Redis:
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS_MAX,
        timeout=wait_s,
        socket_connect_timeout=wait_s,
        # Every use has a deadline around it. One in here would be kept by asyncio.wait_for, which
        # in Python 3.11 now and then forgets that its task was cancelled (bpo-42130).
        socket_timeout=None,
    )
    return redis.Redis.from_pool(pool)


def _read_message(body: bytes | str) -> Ephemeral | None:
    try:
        return msgspec.json.decode(body, type=Ephemeral)
    except msgspec.MsgspecError:
        log.warning("bus.message_malformed")
        return None
