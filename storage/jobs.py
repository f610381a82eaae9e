"""Background jobs as rows: enqueued in the caller's transaction, lent to the runner's queue.

Features call `enqueue_job`; the job runner gives `QueueDriver` to pgqueuer, whose tables these are.
The queue has connections of its own: handlers that use up the runner's pool must not keep it from
renewing its heartbeats. It knows no handler.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self, TypeVar

import asyncpg
import msgspec
import orjson
from pgqueuer.core.tm import TaskManager
from pgqueuer.queries import Queries

from kit.errors import AppError, Unavailable
from kit.logs import get_log
from storage.database import LOST_CONNECTION, Connection

log = get_log("jobs")
T = TypeVar("T")

PAYLOAD_BYTES_MAX = 64 << 10
CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 10.0
RETRY_FIRST_S = 0.1
RETRY_MAX_S = 2.0
QUEUE_CONNECTIONS = 2
"""Beside one more that listens."""
AWAY = (*LOST_CONNECTION, asyncpg.TooManyConnectionsError)


class JobTooLarge(AppError):
    """A job's payload is beyond what a row should carry: pass ids, not content."""

    code, status, message = "job_too_large", 500, "The job's payload is too large."


class QueueAway(Unavailable):
    """PostgreSQL did not come back before the queue was told to stop waiting."""

    code, message = "queue_away", "The job queue is away."


async def enqueue_job(
    connection: Connection,
    name: str,
    payload: msgspec.Struct | dict[str, Any],
    *,
    dedupe_key: str | None = None,
    delay_s: float = 0.0,
) -> bool:
    """Queue a job in the caller's transaction, to run at the earliest after `delay_s`.

    False, and nothing written, while another job with the same `dedupe_key` waits or runs.
    """
    body = msgspec.json.encode(payload)
    if len(body) > PAYLOAD_BYTES_MAX:
        raise JobTooLarge(name=name, size_bytes=len(body))
    ids = await Queries(_CallersConnection(connection)).enqueue(
        name,
        body,
        execute_after=timedelta(seconds=delay_s),
        dedupe_key=dedupe_key,
        on_conflict="skip",
    )
    return ids[0] is not None


@dataclass(frozen=True)
class JobCounts:
    """How many jobs wait, run, and were given up."""

    queued: int
    running: int
    held: int


async def count_jobs(connection: Connection) -> JobCounts:
    """Count the queue's rows by state."""
    row = await connection.fetchrow(
        """SELECT count(*) FILTER (WHERE status = 'queued') AS queued,
                  count(*) FILTER (WHERE status = 'picked') AS running,
                  count(*) FILTER (WHERE status = 'failed') AS held
             FROM pgqueuer"""
    )
    assert row is not None, "an aggregate always has one row"
    return JobCounts(row["queued"], row["running"], row["held"])


async def prune_job_log(connection: Connection, older_than_s: float) -> None:
    """Forget finished jobs' log lines that pgqueuer has added to its statistics."""
    await connection.execute(
        """DELETE FROM pgqueuer_log
            WHERE aggregated AND created < clock_timestamp() - make_interval(secs => $1)""",
        older_than_s,
    )


class _DriverBasics:
    """What pgqueuer asks of every driver beside statements."""

    def __init__(self) -> None:
        self._shutdown = asyncio.Event()

    @property
    def shutdown(self) -> asyncio.Event:
        """Set when no new work should start."""
        return self._shutdown

    @property
    def tm(self) -> TaskManager:
        """A holder of background tasks, which these drivers do not need."""
        return TaskManager()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class _CallersConnection(_DriverBasics):
    """Lets pgqueuer write its rows on a connection, and in a transaction, that someone else owns.

    Our connections encode jsonb themselves, while pgqueuer passes JSON text: it is handed on as
    it is.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Run pgqueuer's insert; its last argument is the list of JSON headers."""
        *plain, headers = args
        assert isinstance(headers, list), "the enqueue statement ends with its headers"
        fragments = [orjson.Fragment(text) for text in headers]
        return [dict(row) for row in await self._connection.fetch(query, *plain, fragments)]

    async def execute(self, query: str, *args: object) -> str:
        """Refuse: enqueueing is a fetch."""
        raise NotImplementedError(query)

    async def notify(self, channel: str, payload: str) -> None:
        """Refuse: a trigger of the table notifies."""
        raise NotImplementedError(channel)

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None:
        """Refuse: only the runner listens."""
        raise NotImplementedError(channel)


class QueueDriver(_DriverBasics):
    """pgqueuer's way to PostgreSQL that outlives it: statements wait while the server is away.

    A repeated statement may have been executed before: pgqueuer's own are safe to repeat, because
    a job picked twice is found again by its stale heartbeat.
    """

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self._dsn = dsn
        self._pool: asyncpg.Pool[Any] | None = None
        self._listeners: list[asyncio.Task[None]] = []
        self._stop_waiting = asyncio.Event()
        self.is_connected = False

    async def open(self) -> None:
        """Make the pool; connections are opened when they are needed."""
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=QUEUE_CONNECTIONS,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings={"application_name": "socialflow-queue", "timezone": "UTC"},
        )

    async def close(self) -> None:
        """End the listeners and the connections, waiting at most five seconds."""
        self.stop_waiting()
        for task in self._listeners:
            task.cancel()
        await asyncio.gather(*self._listeners, return_exceptions=True)
        self._listeners.clear()
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    def stop_waiting(self) -> None:
        """From now on a statement that finds no server raises QueueAway instead of waiting."""
        self._stop_waiting.set()

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Return rows, waiting for the server as long as it takes."""
        rows = await self._repeat(lambda pool: pool.fetch(query, *args))
        return [dict(row) for row in rows]

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement, waiting for the server as long as it takes."""
        return str(await self._repeat(lambda pool: pool.execute(query, *args)))

    async def notify(self, channel: str, payload: str) -> None:
        """Send a NOTIFY."""
        await self.execute("SELECT pg_notify($1, $2)", channel, payload)

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None:
        """Hand NOTIFY payloads to `callback` until `close`, reconnecting when cut off."""
        self._listeners.append(asyncio.create_task(self._listen(channel, callback)))

    async def _repeat(self, statement: Callable[[asyncpg.Pool[Any]], Awaitable[T]]) -> T:
        delay_s = RETRY_FIRST_S
        while True:
            assert self._pool is not None, "open() comes first"
            try:
                result = await statement(self._pool)
            except AWAY as error:
                if self.is_connected:
                    log.warning("queue.lost", error=type(error).__name__)
                self.is_connected = False
                if await self._pause(delay_s):
                    raise QueueAway from error
                delay_s = min(delay_s * 2, RETRY_MAX_S)
            else:
                self.is_connected = True
                return result

    async def _listen(self, channel: str, callback: Callable[..., None]) -> None:
        delay_s = RETRY_FIRST_S
        while True:
            try:
                await self._listen_once(channel, callback)
                delay_s = RETRY_FIRST_S
            except AWAY:
                delay_s = min(delay_s * 2, RETRY_MAX_S)
            if await self._pause(delay_s):
                return

    async def _listen_once(self, channel: str, callback: Callable[..., None]) -> None:
        """Listen on one connection until it ends."""
        connection = await asyncpg.connect(
            self._dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=COMMAND_TIMEOUT_S
        )
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _connection: ended.set())
        try:
            await connection.add_listener(
                channel, lambda _connection, _pid, _channel, payload: callback(payload)
            )
            await ended.wait()
        finally:
            with suppress(*AWAY):
                await connection.close(timeout=1.0)

    async def _pause(self, delay_s: float) -> bool:
        """Wait; True when nobody should wait any longer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._stop_waiting.wait()
        return self._stop_waiting.is_set()
