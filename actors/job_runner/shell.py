"""The job runner as a process: opens the ports, starts the runner, says how it is, drains it.

A plain class; `cluster/` wraps a subclass from `serve_apps/runners.py` as the named Ray actor
`runner`. Nothing is passed to it but what every process reads from the settings file.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping
from typing import Any

from actors.hosting.client import HostClient
from actors.hosting.messages import API
from actors.hosting.ports import ClientPorts
from actors.hosting.postgres import PostgresStore
from actors.job_runner.media_queue import MediaQueue
from actors.job_runner.ports import JobHandler, JobPorts, JobSpec, Listener
from actors.job_runner.runner import JobRunner
from actors.link.frames import LinkPeer
from actors.link.transport import LinkTransport
from actors.user_session.client import UserClient
from actors.user_session.kind import USER_KIND
from kit.clock import SystemClock
from kit.ids import make_id
from kit.logs import configure_logs, get_log
from kit.settings import Settings, load_settings
from media.pool import MediaPool
from storage.cache import Cache
from storage.database import Database, PoolOptions
from storage.objects import ObjectStore

log = get_log("runner")

COUNT_EVERY_S = 5.0


class JobRunnerShell:
    """Owns the ports of one runner. `start` may be called again after Ray restarted the process."""

    def __init__(
        self,
        handlers: Mapping[str, JobHandler | JobSpec],
        listeners: Mapping[str, Listener],
        settings: Settings | None = None,
    ) -> None:
        self._settings = settings or load_settings()
        self._handlers = handlers
        self._listeners = listeners
        self._ports: JobPorts | None = None
        self._pool: MediaPool | None = None
        self._runner: JobRunner | None = None
        self._hosts: HostClient | None = None
        self._counting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open everything and begin; does nothing when it has begun."""
        if self._runner is not None:
            return
        settings = self._settings
        configure_logs(settings.log_level)
        database = Database(
            settings.database.url,
            PoolOptions(
                size=settings.database.runner_pool,
                wait_s=settings.database.wait_s,
                name="socialflow-runner",
            ),
        )
        cache = Cache(settings.cache.url)
        await database.open()
        await cache.open()
        store_url = settings.objects.url or f"file://{(settings.home / 'objects').resolve()}"
        self._pool = MediaPool(store_url)
        kinds = (USER_KIND,)
        self._hosts = HostClient(
            LinkPeer(API, f"runner-{make_id()}", 1),
            ClientPorts(
                kinds=kinds,
                store=PostgresStore(database, kinds),
                transport=LinkTransport.within(settings),
                clock=SystemClock(),
                node=settings.node_name,
                jitter=random.SystemRandom(),
            ),
        )
        self._ports = JobPorts(
            settings=settings,
            database=database,
            cache=cache,
            objects=ObjectStore.open(store_url),
            media=MediaQueue(self._pool, settings.cluster.media_workers),
            clock=SystemClock(),
            people=UserClient(self._hosts),
        )
        self._runner = JobRunner(self._ports, self._handlers, self._listeners)
        self._counting = asyncio.create_task(self._count_slots(self._pool, self._ports.media))
        await self._runner.start()
        log.info("runner.started", pid=os.getpid(), jobs=sorted(self._handlers))

    def describe(self) -> dict[str, Any]:
        """Return what `status` shows."""
        if self._runner is None or self._ports is None:
            return {"pid": os.getpid(), "healthy": False}
        return {
            "pid": os.getpid(),
            **self._runner.describe(),
            **self._ports.media.describe(),
        }

    async def drain(self, deadline_s: float) -> None:
        """Finish or hand back the work within the deadline, then close everything."""
        runner, self._runner = self._runner, None
        if runner is None or self._ports is None or self._pool is None:
            return
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.gather(self._counting, return_exceptions=True)
        await runner.drain(deadline_s)
        if self._hosts is not None:
            await self._hosts.close()
        await self._pool.close()
        await self._ports.cache.close()
        await self._ports.database.close()
        log.info("runner.drained", pid=os.getpid())

    async def _count_slots(self, pool: MediaPool, queue: MediaQueue) -> None:
        """Lend as many places as all nodes together have, for nodes come and go."""
        while True:
            slots = await pool.count_slots()
            if slots is not None:
                queue.nvenc_slots = slots.nvenc
            if slots is not None and slots.media != queue.slots_max:
                log.info("runner.media_slots", before=queue.slots_max, now=slots.media)
                queue.resize(slots.media)
            await asyncio.sleep(COUNT_EVERY_S)
