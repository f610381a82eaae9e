"""The job runner against a real queue: retries, takeovers, outages, draining."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from actors.job_runner.ports import JobHandler, JobPorts, JobSpec
from actors.job_runner.runner import JobRunner, RunnerOptions
from kit.errors import Unavailable
from kit.setting_sections import DatabaseSettings
from kit.settings import Settings
from storage.database import Database, PoolOptions
from storage.jobs import count_jobs, enqueue_job
from storage.objects import ObjectStore
from tests.actors.job_runner.runner_world import make_ports
from tests.storage.gate import Gate
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db

FAST = RunnerOptions(poll_every_s=0.2, heartbeat_timeout_s=600.0, retry_first_s=0.05)
"""No pause of a busy machine makes a runner here take its own job for a dead one's."""


@dataclass
class Book:
    """What handlers were called with, and how often at a time."""

    calls: list[int] = field(default_factory=list)
    given_up: list[int] = field(default_factory=list)
    now: int = 0
    most: int = 0

    async def note(self, _ports: JobPorts, payload: bytes) -> None:
        self.calls.append(json.loads(payload)["n"])
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.05)
        self.now -= 1

    async def refuse(self, _ports: JobPorts, payload: bytes) -> None:
        self.calls.append(json.loads(payload)["n"])
        raise Unavailable

    async def give_up(self, _ports: JobPorts, payload: bytes, error: Exception) -> None:
        assert isinstance(error, Unavailable)
        self.given_up.append(json.loads(payload)["n"])


@asynccontextmanager
async def run(
    ports: JobPorts, handlers: Mapping[str, JobHandler | JobSpec], options: RunnerOptions = FAST
) -> AsyncIterator[JobRunner]:
    runner = JobRunner(ports, handlers, {}, options)
    await runner.start()
    yield runner
    await runner.drain(2.0)


@pytest.fixture
def ports(settings: Settings, database: Database, objects: ObjectStore) -> JobPorts:
    return make_ports(settings, database, objects)


async def enqueue(database: Database, name: str, *numbers: int) -> None:
    async with database.transaction() as connection:
        for number in numbers:
            await enqueue_job(connection, name, {"n": number})


async def count(database: Database) -> tuple[int, int, int]:
    async with database.connection() as connection:
        counts = await count_jobs(connection)
    return counts.queued, counts.running, counts.held


async def wait_for_counts(database: Database, expected: tuple[int, int, int]) -> None:
    async with asyncio.timeout(60):
        while await count(database) != expected:
            await asyncio.sleep(0.05)


async def test_queued_jobs_run_and_leave_the_queue(ports: JobPorts):
    book = Book()
    await enqueue(ports.database, "note", 1, 2, 3)
    async with run(ports, {"note": book.note}) as runner:
        await wait_for_counts(ports.database, (0, 0, 0))
        await enqueue(ports.database, "note", 4)
        await wait_until(lambda: len(book.calls) == 4)
        await wait_for_counts(ports.database, (0, 0, 0))
        assert sorted(book.calls) == [1, 2, 3, 4]
        described = runner.describe()
    assert described["healthy"]
    assert described["jobs"]["done"] == 4


async def test_a_bound_on_a_job_is_kept(ports: JobPorts):
    book = Book()
    await enqueue(ports.database, "note", *range(8))
    async with run(ports, {"note": JobSpec(book.note, concurrency_max=2)}):
        await wait_for_counts(ports.database, (0, 0, 0))
    assert sorted(book.calls) == list(range(8))
    assert book.most == 2


async def test_a_failing_job_is_tried_again_and_then_held(ports: JobPorts):
    book = Book()
    await enqueue(ports.database, "refuse", 7)
    spec = JobSpec(book.refuse, attempts_max=3, give_up=book.give_up)
    async with run(ports, {"refuse": spec}) as runner:
        await wait_for_counts(ports.database, (0, 0, 1))
        assert runner.describe()["jobs"] == {"done": 0, "retried": 2, "held": 1, "interrupted": 0}
    assert book.calls == [7, 7, 7]
    assert book.given_up == [7]


async def test_a_drained_runner_hands_its_job_back(ports: JobPorts):
    begun = asyncio.Event()

    async def never_end(_ports: JobPorts, _payload: bytes) -> None:
        begun.set()
        await asyncio.Event().wait()

    await enqueue(ports.database, "note", 5)
    async with run(ports, {"note": never_end}):
        async with asyncio.timeout(60):
            await begun.wait()
        assert await count(ports.database) == (0, 1, 0)
    assert await count(ports.database) == (1, 0, 0)
    book = Book()
    async with run(ports, {"note": book.note}):
        await wait_until(lambda: book.calls == [5])


async def test_the_job_of_a_killed_runner_is_taken_over(
    ports: JobPorts, database_dsn: str, tmp_path: Path
):
    file = tmp_path / "calls"
    await enqueue(ports.database, "write", 9)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.actors.job_runner.doomed_runner", database_dsn, str(file)
    )
    try:
        await wait_until(file.exists)
    finally:
        child.kill()
        await child.wait()
    assert await count(ports.database) == (0, 1, 0)
    async with ports.database.connection() as connection:
        await connection.execute("UPDATE pgqueuer SET heartbeat = heartbeat - interval '1 hour'")
    book = Book()
    async with run(ports, {"write": book.note}):
        await wait_until(lambda: book.calls == [9])
        await wait_for_counts(ports.database, (0, 0, 0))


async def test_an_outage_of_postgres_loses_no_job_and_needs_no_restart(
    settings: Settings, database: Database, database_dsn: str, objects: ObjectStore
):
    gate = Gate(database_dsn)
    await gate.open()
    behind = Database(gate.dsn, PoolOptions(size=2, wait_s=0.5))
    await behind.open()
    through = replace(settings, database=DatabaseSettings(url=gate.dsn))
    begun, go_on, book = asyncio.Event(), asyncio.Event(), Book()

    async def last_through(_ports: JobPorts, payload: bytes) -> None:
        begun.set()
        await go_on.wait()
        book.calls.append(json.loads(payload)["n"])

    await enqueue(database, "last", 1)
    handlers = {"last": last_through, "note": book.note}
    # What the server gave to a connection that was lost is taken over, as a dead runner's is.
    options = replace(FAST, heartbeat_timeout_s=RunnerOptions.heartbeat_timeout_s)
    async with run(make_ports(through, behind, objects), handlers, options) as runner:
        async with asyncio.timeout(60):
            await begun.wait()
        await gate.shut()
        await enqueue(database, "note", 2)
        go_on.set()
        await wait_until(lambda: not runner.describe()["healthy"])
        await gate.open()
        await wait_for_counts(database, (0, 0, 0))
        await wait_until(lambda: runner.describe()["healthy"])
    assert set(book.calls) == {1, 2}
    await behind.close()
    await gate.shut()
