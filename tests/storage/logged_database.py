"""A pool that tells what is asked of the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from storage.database import Connection, Database


class LoggedDatabase(Database):
    """A pool that remembers every statement."""

    statements: ClassVar[list[str]] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with super().connection() as connection:
            with connection.query_logger(lambda record: self.statements.append(record.query)):
                yield connection
