"""The job queue's rows: enqueued in the caller's transaction, read back by pgqueuer."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import msgspec
import pytest
from pgqueuer.models import Job
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.queries import Queries

from storage.database import Database
from storage.jobs import JobTooLarge, QueueAway, QueueDriver, count_jobs, enqueue_job

pytestmark = pytest.mark.db


class Greet(msgspec.Struct):
    name: str


class Undone(Exception):
    pass


async def take_jobs(driver: QueueDriver, name: str) -> list[Job]:
    return await Queries(driver).dequeue(
        batch_size=10,
        entrypoints={name: EntrypointExecutionParameter(concurrency_limit=0)},
        queue_manager_id=uuid.uuid4(),
        global_concurrency_limit=None,
        heartbeat_timeout=timedelta(seconds=30),
    )


@pytest.fixture
async def driver(database_dsn: str):
    lent = QueueDriver(database_dsn)
    await lent.open()
    yield lent
    await lent.close()


async def test_a_job_is_picked_up_with_its_payload(database: Database, driver: QueueDriver):
    async with database.transaction() as connection:
        assert await enqueue_job(connection, "greet", Greet("Ada"))
    (job,) = await take_jobs(driver, "greet")
    assert msgspec.json.decode(job.payload or b"", type=Greet) == Greet("Ada")
    assert job.headers is None
    assert await take_jobs(driver, "greet") == []


async def test_a_job_of_a_transaction_that_rolled_back_never_was(
    database: Database, driver: QueueDriver
):
    async def enqueue_and_fail() -> None:
        async with database.transaction() as connection:
            await enqueue_job(connection, "greet", {"name": "Ada"})
            raise Undone

    with pytest.raises(Undone):
        await enqueue_and_fail()
    assert await take_jobs(driver, "greet") == []


async def test_an_equal_job_is_dropped_while_the_first_waits_or_runs(
    database: Database, driver: QueueDriver
):
    async with database.transaction() as connection:
        assert await enqueue_job(connection, "greet", {"n": 1}, dedupe_key="greet:ada")
        assert not await enqueue_job(connection, "greet", {"n": 2}, dedupe_key="greet:ada")
    (job,) = await take_jobs(driver, "greet")
    async with database.transaction() as connection:
        assert not await enqueue_job(connection, "greet", {"n": 3}, dedupe_key="greet:ada")
    await Queries(driver).log_jobs([(job, "successful", None)])
    async with database.transaction() as connection:
        assert await enqueue_job(connection, "greet", {"n": 4}, dedupe_key="greet:ada")
        counts = await count_jobs(connection)
    assert (counts.queued, counts.running, counts.held) == (1, 0, 0)


async def test_a_delayed_job_waits(database: Database, driver: QueueDriver):
    async with database.transaction() as connection:
        await enqueue_job(connection, "greet", {"n": 1}, delay_s=3600)
    assert await take_jobs(driver, "greet") == []


async def test_content_is_refused_as_a_payload(database: Database):
    async with database.transaction() as connection:
        with pytest.raises(JobTooLarge):
            await enqueue_job(connection, "greet", {"name": "x" * 70_000})


async def test_notices_arrive_again_after_the_connection_was_cut(
    database: Database, driver: QueueDriver
):
    heard: asyncio.Queue[str] = asyncio.Queue()
    await driver.add_listener("bell", heard.put_nowait)

    async def ring_until_heard(text: str) -> None:
        async with asyncio.timeout(60):
            while heard.empty() or heard.get_nowait() != text:
                await driver.notify("bell", text)
                await asyncio.sleep(0.05)

    await ring_until_heard("one")
    async with database.connection() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name <> 'test' AND datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
    await ring_until_heard("two")


async def test_statements_stop_waiting_for_an_absent_server_when_told():
    driver = QueueDriver("postgresql://nobody@127.0.0.1:1/nothing")
    await driver.open()
    waiting = asyncio.create_task(driver.fetch("SELECT 1"))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    assert not driver.is_connected
    driver.stop_waiting()
    with pytest.raises(QueueAway):
        await waiting
    await driver.close()
