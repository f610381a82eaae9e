"""Brings the database to a schema version; safe when several processes start at once.

`migrate()` is called by the command line and by test fixtures. The steps are the plain SQL files
of `storage/migrations/versions`. A session lock makes the second starter wait for the first.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from kit.errors import AppError


class TooFewConnections(AppError):
    """The pools together could ask for more connections than the server admits."""

    code, status = "too_few_connections", 500
    message = "PostgreSQL admits too few connections."


LOCK_KEY = 7_305_808_811  # any constant of our own: all starters must ask for the same one
FOLDER = Path(__file__).parent / "migrations"


async def migrate(dsn: str, target: str = "head") -> str | None:
    """Move the schema to `target` ("head", "base" or a revision); return where it stands."""
    engine = create_async_engine(
        "postgresql+asyncpg://" + dsn.split("://", 1)[1], poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"SELECT pg_advisory_lock({LOCK_KEY})"))
            await connection.commit()
            try:
                await connection.run_sync(_run, target)
                await connection.commit()
                return await connection.run_sync(_read_revision)
            finally:
                await connection.rollback()
                await connection.execute(text(f"SELECT pg_advisory_unlock({LOCK_KEY})"))
                await connection.commit()
    finally:
        await engine.dispose()


async def check_connections(dsn: str, wanted: int) -> None:
    """Refuse a server that admits fewer connections than the pools may open together."""
    engine = create_async_engine(
        "postgresql+asyncpg://" + dsn.split("://", 1)[1], poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            rows = await connection.execute(
                text(
                    "SELECT sum(setting::int) FILTER (WHERE name = 'max_connections')"
                    " - sum(setting::int) FILTER (WHERE name <> 'max_connections')"
                    " FROM pg_settings WHERE name IN ('max_connections',"
                    " 'superuser_reserved_connections', 'reserved_connections')"
                )
            )
            admitted = int(rows.scalar_one())
    finally:
        await engine.dispose()
    if admitted < wanted:
        raise TooFewConnections(
            f"PostgreSQL admits {admitted} connections, and the pools may open {wanted}: raise"
            " its max_connections, or lower database.*_pool, http.replicas or hosts.count.",
            admitted=admitted,
            wanted=wanted,
        )


def find_head() -> str | None:
    """Return the newest revision this code knows."""
    return ScriptDirectory.from_config(_make_config()).get_current_head()


def _make_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    return config


def _read_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _run(connection: Connection, target: str) -> None:
    config = _make_config()
    config.attributes["connection"] = connection
    current = _read_revision(connection)
    order = ["base", *_list_revisions()]
    goal = order[-1] if target == "head" else target
    if order.index(goal) >= order.index(current or "base"):
        command.upgrade(config, goal)
    else:
        command.downgrade(config, goal)


def _list_revisions() -> list[str]:
    script = ScriptDirectory.from_config(_make_config())
    return [step.revision for step in reversed(list(script.walk_revisions()))]
