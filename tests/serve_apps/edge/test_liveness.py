"""An edge goes on saying that it is alive, whatever PostgreSQL answered once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from serve_apps.edge import liveness
from serve_apps.edge.liveness import EdgeVitals, Heartbeat, LoopWatch
from storage.database import Database, DatabaseBusy

pytestmark = pytest.mark.db

ANSWERS: list[Exception | bool] = [
    asyncpg.DiskFullError("could not extend file"),
    asyncpg.ReadOnlySQLTransactionError("cannot execute UPDATE in a read-only transaction"),
    DatabaseBusy(),
    ConnectionResetError(),
    True,
    True,
]


class NoDatabase(Database):
    """Lends connections to nothing."""

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """Nor to close."""

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        yield None


def test_a_heartbeat_that_is_refused_is_followed_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = list(ANSWERS)

    async def renew(_connection: object, edge: tuple[str, int, int], **_facts: object) -> bool:
        assert edge == ("node", 0, 1)
        answer = left.pop(0) if left else True
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(liveness, "renew_edge", renew)
    monkeypatch.setattr(liveness, "Database", NoDatabase)
    monkeypatch.setattr(liveness, "BEAT_EVERY_S", 0.05)
    monkeypatch.setattr(liveness, "STUCK_S", 1000.0)
    beating = Heartbeat("", ("node", 0, 1), LoopWatch(1.0), EdgeVitals())
    beating.start()
    until_s = time.monotonic() + 60
    while left and beating.is_alive() and time.monotonic() < until_s:
        time.sleep(0.005)
    assert beating.is_alive()
    assert left == []
    beating.stop()
    beating.join(60)
    assert not beating.is_alive()
    assert not beating.is_replaced
