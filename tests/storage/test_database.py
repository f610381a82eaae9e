"""The pool: transactions commit or vanish, a busy pool refuses in time, a dead server is a 503."""

import asyncio
import re
import uuid
from pathlib import Path

import asyncpg
import pytest

import storage
from storage.database import Database, DatabaseBusy, PoolOptions

pytestmark = pytest.mark.db

INSERT = "INSERT INTO users (id, username, email, password_hash) VALUES ($1, $2, $3, 'x')"


def person() -> tuple[uuid.UUID, str, str]:
    one = uuid.uuid4()
    return one, f"u{one.hex[:10]}", f"{one.hex}@example.com"


async def count(database: Database, one: uuid.UUID) -> int:
    async with database.connection() as connection:
        found: int = await connection.fetchval("SELECT count(*) FROM users WHERE id = $1", one)
        return found


async def test_a_transaction_commits_at_its_end(database: Database):
    row = person()
    async with database.transaction() as connection:
        await connection.execute(INSERT, *row)
    assert await count(database, row[0]) == 1


async def write_then_fail(database: Database, row: tuple[uuid.UUID, str, str]) -> None:
    async with database.transaction() as connection:
        await connection.execute(INSERT, *row)
        raise ZeroDivisionError


async def test_an_error_takes_everything_back(database: Database):
    row = person()
    with pytest.raises(ZeroDivisionError):
        await write_then_fail(database, row)
    assert await count(database, row[0]) == 0


async def test_giving_a_connection_back_costs_no_query(database: Database):
    heard: list[str] = []
    async with database.connection() as connection:
        connection.add_query_logger(lambda record: heard.append(record.query))
        await connection.execute("SELECT 1")
    async with database.connection() as connection:
        await connection.execute("SELECT 2")
    assert heard == ["SELECT 1", "SELECT 2"]


def test_no_statement_leaves_state_on_a_pooled_connection():
    root = Path(storage.__file__).parent
    kept = re.compile(r"pg_(try_)?advisory_lock\(|[\"']\s*(LISTEN|SET) \w|WITH HOLD")
    on_connections_of_their_own = {"schema.py", "jobs.py"}
    found = {
        path.name
        for path in root.glob("*.py")
        if kept.search(path.read_text()) and path.name not in on_connections_of_their_own
    }
    assert found == set()


async def test_a_full_pool_refuses_within_its_patience(database_dsn: str):
    pool = Database(database_dsn, PoolOptions(size=1, wait_s=0.3))
    await pool.open()
    async with pool.connection():
        with pytest.raises(DatabaseBusy):
            async with pool.connection():
                pass
    await pool.close()


async def test_a_server_that_is_away_is_busy_not_broken():
    pool = Database("postgresql://nobody@127.0.0.1:1/none", PoolOptions(size=1, wait_s=0.3))
    await pool.open()
    with pytest.raises(DatabaseBusy):
        await pool.transaction().__aenter__()
    await pool.close()


async def write_and_be_cut(database: Database, row: tuple[uuid.UUID, str, str]) -> None:
    async with database.transaction() as connection:
        await connection.execute(INSERT, *row)
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        async with database.connection() as other:
            assert await other.fetchval("SELECT pg_terminate_backend($1, 60000)", pid)
        await connection.execute("SELECT 1")


async def test_a_connection_cut_before_the_commit_leaves_nothing_and_says_so(database: Database):
    row = person()
    with pytest.raises(DatabaseBusy) as caught:
        await write_and_be_cut(database, row)
    assert caught.value.retryable
    assert await count(database, row[0]) == 0


async def wait_for_the_lock(database: Database, one: uuid.UUID) -> None:
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL lock_timeout = '100ms'")
        await connection.execute("UPDATE users SET bio = 'b' WHERE id = $1", one)


async def test_a_row_that_somebody_else_holds_too_long_is_busy_not_broken(database: Database):
    row = person()
    async with database.transaction() as connection:
        await connection.execute(INSERT, *row)
    async with database.transaction() as connection:
        await connection.execute("UPDATE users SET bio = 'a' WHERE id = $1", row[0])
        with pytest.raises(DatabaseBusy):
            await wait_for_the_lock(database, row[0])


async def test_following_goes_on_after_a_slow_statement_a_fault_and_a_lost_connection(
    database: Database,
):
    heard: list[str] = []
    faults: list[Exception] = [asyncpg.QueryCanceledError("too slow"), ValueError("odd")]

    async def load() -> None:
        if faults:
            raise faults.pop()

    async def tell(word: str) -> None:
        """Say a word until it is heard: nobody may listen yet."""
        async with asyncio.timeout(60):
            while word not in heard:
                async with database.connection() as connection:
                    await connection.execute("SELECT pg_notify('talk', $1)", word)
                await asyncio.sleep(0.1)

    following = asyncio.create_task(database.follow("talk", heard.append, load))
    try:
        async with asyncio.timeout(60):
            while faults:
                await asyncio.sleep(0.05)
        await tell("still there")
        async with database.connection() as connection:
            ended = await connection.fetch(
                "SELECT pg_terminate_backend(pid, 60000) AS is_gone FROM pg_stat_activity"
                " WHERE query LIKE 'LISTEN%talk%'"
            )
        assert [row["is_gone"] for row in ended] == [True]
        await tell("there again")
        assert not following.done()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
