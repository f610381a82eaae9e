"""Migrations: up, down and up again on data; concurrent starters; what code and database hold."""

import asyncio
import secrets
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from storage.embedded.postgres import PostgresServer
from storage.schema import TooFewConnections, check_connections, find_head, migrate
from tests.databases import copy_template, drop_database, run_statement

pytestmark = pytest.mark.db

VERSIONS = Path(__file__).resolve().parents[2] / "storage" / "migrations" / "versions"
REVISIONS = sorted(file.stem for file in VERSIONS.glob("0*.py"))


@pytest.fixture
async def empty_dsn(postgres: PostgresServer) -> AsyncIterator[str]:
    """Lend a database without any table."""
    name = f"e_{secrets.token_hex(6)}"
    await run_statement(postgres, f'CREATE DATABASE "{name}" OWNER socialflow')
    for extension in ("pg_trgm", "citext"):
        address = postgres.admin_dsn.rsplit("/", 1)[0] + f"/{name}"
        connection = await asyncpg.connect(address, timeout=60)
        await connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        await connection.close()
    yield postgres.dsn.rsplit("/", 1)[0] + f"/{name}"
    await drop_database(postgres, name)


async def list_tables(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn, timeout=60)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row["tablename"] for row in rows} - {"alembic_version"}
    finally:
        await connection.close()


async def write_person(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=60)
    try:
        person = uuid.uuid4()
        await connection.execute(
            "INSERT INTO users (id, username, email, password_hash) VALUES ($1, $2, $3, 'x')",
            person,
            f"u{person.hex[:8]}",
            f"{person.hex}@example.com",
        )
    finally:
        await connection.close()


async def test_up_to_the_newest_then_down_to_nothing(empty_dsn: str):
    assert await migrate(empty_dsn) == find_head()
    assert {"users", "room_messages", "pgqueuer"} <= await list_tables(empty_dsn)
    assert await migrate(empty_dsn, "base") is None
    assert await list_tables(empty_dsn) == set()


async def test_concurrent_starters_all_find_the_newest_schema(empty_dsn: str):
    results = await asyncio.gather(*(migrate(empty_dsn) for _ in range(4)))
    assert results == [find_head()] * 4


@pytest.fixture(scope="module")
def inhabited_dsn(postgres: PostgresServer, template_ready: dict[str, bool]) -> Iterator[str]:
    """Lend one database with a person in it; each step begins where the one before left it."""
    name = f"e_{secrets.token_hex(6)}"

    async def prepare() -> str:
        if not template_ready:
            await migrate(postgres.dsn)
            template_ready["done"] = True
        dsn = await copy_template(postgres, name)
        await write_person(dsn)
        return dsn

    yield asyncio.run(prepare())
    asyncio.run(drop_database(postgres, name))


async def count_people(dsn: str) -> int:
    connection = await asyncpg.connect(dsn, timeout=60)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM users"))
    finally:
        await connection.close()


@pytest.mark.parametrize("revision", REVISIONS[:0:-1])
async def test_each_step_goes_down_and_up_again_with_people_kept(inhabited_dsn: str, revision: str):
    before = REVISIONS[REVISIONS.index(revision) - 1]
    assert await migrate(inhabited_dsn, before) == before
    assert await migrate(inhabited_dsn, revision) == revision
    assert await count_people(inhabited_dsn) == 1


async def test_all_steps_go_down_and_up_again_with_people_kept(inhabited_dsn: str):
    assert await migrate(inhabited_dsn, REVISIONS[0]) == REVISIONS[0]
    assert await migrate(inhabited_dsn) == find_head()
    assert await count_people(inhabited_dsn) == 1


async def test_every_foreign_key_states_what_a_deletion_does(database_dsn: str):
    connection = await asyncpg.connect(database_dsn, timeout=60)
    try:
        rows = await connection.fetch(
            "SELECT conname, conrelid::regclass::text AS place FROM pg_constraint"
            " WHERE contype = 'f' AND confdeltype = 'a'"
        )
        assert [(row["place"], row["conname"]) for row in rows] == []
    finally:
        await connection.close()


async def test_a_server_with_fewer_connections_than_the_pools_may_open_is_refused(
    database_dsn: str,
):
    await check_connections(database_dsn, 36)
    with pytest.raises(TooFewConnections, match="the pools may open 5000"):
        await check_connections(database_dsn, 5000)
