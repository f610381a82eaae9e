"""A host as a process: its settings, database and cache, one incarnation after another.

A plain class; `serve_apps/hosting.py` adds the kinds, `cluster/` wraps that as the named Ray actor
`host-{n}`. It is given its id alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

from actors.hosting.core import Core, HostRef, HostView, Kind
from actors.hosting.host import Host
from actors.hosting.ports import HostPace, HostPorts
from actors.hosting.postgres import PostgresStore
from actors.hosting.supervision import FailureBook, Intensity
from actors.link.transport import LinkTransport
from kit.clock import SystemClock
from kit.collector import keep_tidy, spare_the_long_lived
from kit.errors import AppError
from kit.ids import make_id
from kit.logs import configure_logs, get_log
from kit.settings import Settings, load_settings
from storage.cache import Cache
from storage.database import Database, PoolOptions

log = get_log("host")

RESTART_PAUSE_S = 0.5
PROCESS_INTENSITY = Intensity(failures_max=2, within_s=60.0, pause_s=0.0)
"""Incarnations that break so often say that the process is broken, not what runs in it."""
BROKEN_EXIT = 70


class HostShell:
    """Owns one host. `start` may be called again after Ray restarted the process."""

    def __init__(
        self,
        host_id: str,
        kinds: Sequence[Kind],
        settings: Settings | None = None,
        end_process: Callable[[int], object] = os._exit,
        pace: HostPace | None = None,
    ) -> None:
        self._pace = pace or HostPace()
        self._end_process = end_process
        self._host_id = host_id
        self._kinds = tuple(kinds)
        self._settings = settings or load_settings()
        self._database: Database | None = None
        self._host: Host | None = None
        self._cache = Cache(self._settings.cache.url)
        self._tasks: list[asyncio.Task[None]] = []
        self._is_drained = False
        self._failures = FailureBook(PROCESS_INTENSITY, SystemClock())

    async def start(self) -> None:
        """Begin serving objects; does nothing when it has begun."""
        if self._tasks:
            return
        self._is_drained = False
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
        view = HostView(self._cache, SystemClock(), self._list_cores, database, self._find_host)
        self._tasks = [
            asyncio.create_task(self._keep(), name="host-keeper"),
            asyncio.create_task(keep_tidy(), name="host-collector"),
        ]
        for kind in self._kinds:
            if kind.run_beside is not None:
                beside = kind.run_beside(view)
                self._tasks.append(asyncio.create_task(beside, name=f"host-beside-{kind.name}"))
        spare_the_long_lived()

    def describe(self) -> dict[str, Any]:
        """Return what `status` shows."""
        if self._host is None:
            health = "drained" if self._is_drained else "starting"
            return {"pid": os.getpid(), "healthy": False, "health": health}
        facts = self._host.describe()
        return {"pid": os.getpid(), "healthy": facts["health"] == "ok", **facts}

    async def drain(self, deadline_s: float) -> None:
        """Hand objects over within the deadline, then close everything."""
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
        self._is_drained = True
        log.info("host.drained", host=self._host_id, pid=os.getpid())

    def _list_cores(self, kind: str) -> list[Core]:
        return [] if self._host is None else self._host.list_cores(kind)

    def _find_host(self) -> HostRef | None:
        return None if self._host is None else self._host.ref

    async def _begin(self) -> None:
        assert self._database is not None, "start() opens it"
        settings = self._settings
        ports = HostPorts(
            settings=settings,
            kinds=self._kinds,
            store=PostgresStore(self._database, self._kinds),
            transport=LinkTransport.within(settings),
            clock=SystemClock(),
            node=settings.node_name,
            make_id=make_id,
            pace=self._pace,
        )
        host = Host(self._host_id, ports)
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
                if host.has_failed:
                    self._note_failure()
            try:
                await self._begin()
            except (AppError, TimeoutError) as error:
                log.warning("host.not_begun", error=type(error).__name__)
                await asyncio.sleep(RESTART_PAUSE_S)
            except Exception as error:
                log.exception("host.not_begun", error=type(error).__name__)
                self._note_failure()
                await asyncio.sleep(RESTART_PAUSE_S)

    def _note_failure(self) -> None:
        """An incarnation broke; where they keep breaking the process ends: Ray makes another."""
        if self._failures.note(self._host_id):
            log.error("host.keeps_failing", host=self._host_id, pid=os.getpid())
            self._end_process(BROKEN_EXIT)
