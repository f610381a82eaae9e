"""Copies of the migrated template database, one per test."""

from __future__ import annotations

import asyncpg

from storage.embedded.postgres import PostgresServer


async def copy_template(server: PostgresServer, name: str) -> str:
    """Create database `name` as a copy of the migrated one; return its address."""
    await run_statement(
        server,
        f'CREATE DATABASE "{name}" TEMPLATE socialflow OWNER socialflow STRATEGY file_copy',
    )
    return server.dsn.rsplit("/", 1)[0] + f"/{name}"


async def drop_database(server: PostgresServer, name: str) -> None:
    """Drop the copy, cutting what is still connected."""
    await run_statement(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def run_statement(server: PostgresServer, statement: str) -> None:
    """Run one statement as the superuser."""
    connection = await asyncpg.connect(server.admin_dsn, timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
