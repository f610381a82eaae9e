"""Runs one SQL file of `versions/` as a whole, in the migration's own transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import op
from sqlalchemy import Connection, text, util

VERSIONS = Path(__file__).parent / "versions"


def get_driver_connection(bind: Connection) -> Any:
    """Return asyncpg's own connection, inside the transaction: it takes whole scripts."""
    bind.execute(text("SELECT 1"))  # SQLAlchemy opens the transaction with the first statement
    raw = bind.connection.dbapi_connection
    assert raw is not None, "alembic runs on a live connection"
    return raw.driver_connection


def run_sql(name: str) -> None:
    """Execute every statement of the file `name`, functions with semicolons in them included."""
    script = (VERSIONS / name).read_text()
    util.await_only(get_driver_connection(op.get_bind()).execute(script))
