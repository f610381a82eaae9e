"""A room host as a process: its settings, database and cache, one incarnation after another.

A plain class; `cluster/` wraps it as the named Ray actor `host-{n}`. It is given its id alone.
"""

from __future__ import annotations

import asyncio
import os
import platform
import uuid
from typing import Any

from actors.live_room.counts import CountBoard
from actors.live_room.followers import HostPorts
from actors.live_room.host import RoomHost
from kit.clock import SystemClock
from kit.errors import AppError
from kit.logs import configure_logs, get_log
from kit.settings import Settings, load_settings
from storage.cache import Cache
from storage.database import LOST_CONNECTION, Database, PoolOptions

log = get_log("room_host")

RESTART_PAUSE_S = 0.5


class RoomHostShell:
    """Owns one host. `start` may be called again after Ray restarted the process."""

    def __init__(self, host_id: str, settings: Settings | None = None) -> None:
        self._host_id = host_id
        self._settings = settings or load_settings()
        self._database: Database | None = None
        self._host: RoomHost | None = None
        self._cache = Cache(self._settings.cache.url)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin serving rooms; does nothing when it has begun."""
        if self._tasks:
            return
        settings = self._settings
        configure_logs(settings.log_level)
        options = PoolOptions(
            size=settings.database.host_pool,
            wait_s=settings.database.wait_s,
            name=f"socialflow-{self._host_id}",
        )
        database = self._database = Database(settings.database.url, options)
        await database.open()
        try:
            await self._begin()
        except BaseException:
            await database.close()
            raise
        await self._cache.open()
        board = CountBoard(self._cache, SystemClock(), self._list_counts)
        self._tasks = [
            asyncio.create_task(self._keep(), name="host-keeper"),
            asyncio.create_task(board.run(), name="host-counts"),
        ]

    def describe(self) -> dict[str, Any]:
        """Return what `status` shows."""
        if self._host is None:
            return {"pid": os.getpid(), "healthy": False, "health": "starting"}
        facts = self._host.describe()
        return {"healthy": facts["health"] == "ok", **facts}

    async def drain(self, deadline_s: float) -> None:
        """Hand rooms over within the deadline, then close everything."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._host is not None:
            await self._host.drain(deadline_s)
            self._host = None
        if self._database is not None:
            await self._database.close()
        await self._cache.close()
        log.info("host.drained", host=self._host_id, pid=os.getpid())

    def _list_counts(self) -> dict[uuid.UUID, int]:
        return {} if self._host is None else self._host.list_counts()

    async def _begin(self) -> None:
        assert self._database is not None, "start() opens it"
        ports = HostPorts(self._settings, self._database, SystemClock(), platform.node())
        host = RoomHost(self._host_id, ports)
        try:
            await host.start()
        except BaseException:
            await host.close()
            raise
        self._host = host

    async def _keep(self) -> None:
        """Begin a fresh incarnation whenever one is over."""
        while True:
            if self._host is not None:
                await self._host.wait_over()
                host, self._host = self._host, None
                await host.close()
            try:
                await self._begin()
            except (AppError, *LOST_CONNECTION) as error:
                log.warning("host.not_begun", error=type(error).__name__)
                await asyncio.sleep(RESTART_PAUSE_S)
