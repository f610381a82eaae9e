"""Asks each part whether it answers, with a deadline each.

PostgreSQL decides readiness; without Valkey the API still works (counts live in memory, live
hints are lost), so its absence only degrades.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import metadata

from kit.errors import AppError
from storage.cache import Cache
from storage.database import LOST_CONNECTION, Database

DEADLINE_S = 1.5
OK, DEGRADED, DOWN = "ok", "degraded", "down"


@dataclass(frozen=True)
class PartHealth:
    """One part: ok or down, and how long its answer took."""

    name: str
    status: str
    took_ms: float


async def check_parts(database: Database, cache: Cache) -> list[PartHealth]:
    """Ask PostgreSQL and Valkey at once; takes at most DEADLINE_S."""

    async def ask_database() -> bool:
        async with database.connection() as connection:
            return bool(await connection.fetchval("SELECT to_regclass('users') IS NOT NULL"))

    return list(
        await asyncio.gather(
            _measure("database", ask_database), _measure("cache", cache.is_available)
        )
    )


def decide_status(parts: list[PartHealth]) -> str:
    """Return down without the database, degraded without anything else, else ok."""
    down = {part.name for part in parts if part.status != OK}
    if "database" in down:
        return DOWN
    return DEGRADED if down else OK


def read_version() -> str:
    """Return the installed version, or `development` in a bare checkout."""
    try:
        return metadata.version("social-flow")
    except metadata.PackageNotFoundError:
        return "development"


async def _measure(name: str, ask: Callable[[], Awaitable[bool]]) -> PartHealth:
    started_s = time.perf_counter()
    try:
        async with asyncio.timeout(DEADLINE_S):
            is_well = await ask()
    except (AppError, *LOST_CONNECTION):
        is_well = False
    took_ms = round((time.perf_counter() - started_s) * 1000, 1)
    return PartHealth(name, OK if is_well else DOWN, took_ms)
