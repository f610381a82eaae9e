"""The way to PostgreSQL: one pool per process, one transaction per request, typed rows.

Every `storage/<noun>.py` takes a `Connection` and never commits; whoever opened the transaction
does. A wait for a connection has a deadline and ends as `DatabaseBusy` (503).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import asyncpg
import msgspec
import orjson

from kit.errors import Unavailable
from kit.logs import get_log
from kit.metrics import DB_POOL_TIMEOUTS

Connection: TypeAlias = "asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]"
Row = asyncpg.Record
T = TypeVar("T")
log = get_log("database")

COMMAND_TIMEOUT_S = 10.0
WRITE_TIMEOUT_S = 3.0
"""Of a tick of a host: longer than `lock_timeout`, so that a lock that is not got says so itself;
whoever waits for an answer hears of silence after this."""
FOLLOW_EVERY_S = 1.0
LOST_CONNECTION = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    OSError,
    TimeoutError,
)


NOT_NOW = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
    asyncpg.TooManyConnectionsError,
)
"""PostgreSQL refused the statement because of what others do right now: nothing was written."""


class DatabaseBusy(Unavailable):
    """No connection came free in time, or PostgreSQL is away; nothing was written."""

    code, message = "database_busy", "The database is busy or restarting; try again soon."


class WriteOutcomeUnknown(Unavailable):
    """The connection died during a commit: the write may or may not stand."""

    code, message = "write_outcome_unknown", "It is not known whether this was saved; look first."


class WriteRefused(Unavailable):
    """PostgreSQL refused the statement: surely nothing was written."""

    code, message = "write_refused", "This could not be saved; try again soon."


class SequenceTaken(Unavailable):
    """Another row has one of these numbers: what the writer remembers is outdated."""

    code, message = "sequence_taken", "This moved; try again."


@contextmanager
def naming_the_outcome() -> Iterator[None]:
    """Say of one autocommit write that failed whether it may stand.

    Raises WriteRefused or SequenceTaken when surely nothing was written, WriteOutcomeUnknown when
    nobody can say.
    """
    try:
        yield
    except LOST_CONNECTION as error:
        raise WriteOutcomeUnknown from error
    except asyncpg.UniqueViolationError as error:
        raise SequenceTaken from error
    except asyncpg.PostgresError as error:
        raise WriteRefused from error


@dataclass(frozen=True)
class PoolOptions:
    """Size and patience of a pool."""

    size: int
    wait_s: float = 2.0
    name: str = "socialflow"
    idle_in_transaction_max_s: float = 2.0
    """Who holds a transaction for longer without saying anything loses it, and the connection."""


class PooledConnection(asyncpg.Connection):
    """A connection that goes back to its pool as it is.

    asyncpg would ask the server each time to forget session state (listeners, advisory locks,
    settings, cursors): a round trip per use. We keep none on pooled connections; a test watches.
    """

    def get_reset_query(self) -> str:
        """Return nothing to send; an open transaction is still rolled back."""
        return ""


class Database:
    """A pool of connections. `transaction()` is the one way to write."""

    def __init__(self, dsn: str, options: PoolOptions) -> None:
        self._dsn = dsn
        self._options = options
        self._pool: asyncpg.Pool[Any] | None = None

    async def open(self) -> None:
        """Connect lazily: the pool opens even while PostgreSQL is still starting."""
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._options.size,
            command_timeout=COMMAND_TIMEOUT_S,
            timeout=self._options.wait_s,
            max_inactive_connection_lifetime=60.0,
            init=prepare_connection,
            connection_class=PooledConnection,
            server_settings={
                "application_name": self._options.name,
                "idle_in_transaction_session_timeout": str(
                    int(self._options.idle_in_transaction_max_s * 1000)
                ),
                "lock_timeout": "2000",
                "timezone": "UTC",
            },
        )

    async def close(self) -> None:
        """Close all connections, waiting at most five seconds for those in use."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            async with asyncio.timeout(5.0):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection in autocommit mode; raises DatabaseBusy when none comes in time."""
        assert self._pool is not None, "open() comes first"
        pool = self._pool
        try:
            connection = await pool.acquire(timeout=self._options.wait_s)
        except LOST_CONNECTION as error:
            DB_POOL_TIMEOUTS.inc()
            raise DatabaseBusy(retry_after_s=2) from error
        except asyncpg.TooManyConnectionsError as error:
            DB_POOL_TIMEOUTS.inc()
            raise DatabaseBusy(retry_after_s=2) from error
        try:
            yield connection
        finally:
            await pool.release(connection, timeout=self._options.wait_s)

    @asynccontextmanager
    async def transaction(self, patience_s: float | None = None) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction: commits at the end, rolls back on any error.

        A server that leaves it unfinished for `patience_s` counts as away. Raises DatabaseBusy
        when the work was surely not saved and WriteOutcomeUnknown when the connection died while
        committing.
        """
        async with self.connection() as connection:
            block = connection.transaction()
            is_committing = False
            try:
                async with asyncio.timeout(patience_s) as limit:
                    await block.start()
                    try:
                        yield connection
                    except BaseException:
                        if not limit.expired():
                            await _roll_back(block)
                        raise
                    is_committing = True
                    await block.commit()
            except (*LOST_CONNECTION, *NOT_NOW) as error:
                if limit.expired():
                    connection.terminate()  # giving it back would wait for the same silence
                if is_committing and isinstance(error, LOST_CONNECTION):
                    raise WriteOutcomeUnknown(retry_after_s=1) from error
                raise DatabaseBusy(retry_after_s=2) from error

    @asynccontextmanager
    async def statement(self, *, writes: bool) -> AsyncIterator[Connection]:
        """Lend a connection for one statement, which is a transaction of its own.

        It costs one round trip where `transaction` costs three. Raises DatabaseBusy when nothing
        was saved, and, of one that `writes`, WriteOutcomeUnknown when nobody can say.
        """
        async with self.connection() as connection:
            try:
                yield connection
            except LOST_CONNECTION as error:
                if writes:
                    raise WriteOutcomeUnknown(retry_after_s=1) from error
                raise DatabaseBusy(retry_after_s=2) from error
            except NOT_NOW as error:
                raise DatabaseBusy(retry_after_s=2) from error

    async def listen(
        self,
        channel: str,
        wake: Callable[[str], None],
        lose: Callable[[], None] = lambda: None,
    ) -> Callable[[], Awaitable[None]]:
        """Call `wake(payload)` at each NOTIFY on `channel`; return the function that stops it.

        A lost connection ends the notices, and `lose()` is called: listeners also poll.
        """
        connection = await asyncpg.connect(
            self._dsn, timeout=self._options.wait_s, command_timeout=COMMAND_TIMEOUT_S
        )
        await connection.add_listener(
            channel, lambda _connection, _pid, _channel, payload: wake(str(payload))
        )
        connection.add_termination_listener(lambda _connection: lose())

        async def stop() -> None:
            await connection.close(timeout=2.0)

        return stop

    async def follow(
        self, channel: str, hear: Callable[[str], None], load: Callable[[], Awaitable[None]]
    ) -> None:
        """Call `hear(payload)` at each NOTIFY, and `load()` at once and each second.

        Until cancelled; PostgreSQL may go away and come back, or be too slow at times. `load` reads
        what a lost notice would have told.
        """
        lost = asyncio.Event()
        stop: Callable[[], Awaitable[None]] | None = None
        try:
            while True:
                try:
                    if lost.is_set():
                        stop = None
                    if stop is None:
                        lost.clear()
                        stop = await self.listen(channel, hear, lost.set)
                    await load()
                except (Unavailable, *LOST_CONNECTION, *NOT_NOW) as error:
                    log.info("database.not_followed", channel=channel, kind=type(error).__name__)
                except Exception:
                    # Nobody waits for this loop: it must not end with what it could not read once.
                    log.exception("database.not_followed", channel=channel)
                await asyncio.sleep(FOLLOW_EVERY_S)
        finally:
            if stop is not None and not lost.is_set():
                await stop()


async def prepare_connection(connection: Connection) -> None:
    """Teach a fresh connection our JSON; pools call this once per connection."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind,
            schema="pg_catalog",
            encoder=lambda value: orjson.dumps(value).decode(),
            decoder=orjson.loads,
        )


def read_row(kind: type[T], row: Row) -> T:
    """Turn one row into the given Struct or dataclass, by column name."""
    return msgspec.convert(dict(row), kind)


def read_rows(kind: type[T], rows: list[Row]) -> list[T]:
    """Turn rows into Structs, by column name."""
    return [read_row(kind, row) for row in rows]


async def _roll_back(block: asyncpg.transaction.Transaction) -> None:
    try:
        await block.rollback()
    except LOST_CONNECTION:
        return  # PostgreSQL rolls back by itself when the connection is gone
