"""An edge as a process: loads the settings, opens the ports, starts the server, says how it is.

A plain class; `cluster/` wraps a subclass from `serve_apps/edges.py`, which adds the upload
rules, as the named Ray actor `edge-{slot}`. Nothing secret is passed to it.
"""

from __future__ import annotations

import os
from typing import Any

from kit.allocator import keep_warm
from kit.clock import SystemClock
from kit.collector import spare_the_long_lived
from kit.logs import configure_logs, get_log
from kit.settings import Settings, load_settings
from serve_apps.edge.server import EdgePorts, EdgeServer
from serve_apps.edge.upload_writer import UploadRules
from storage.cache import Cache
from storage.database import Database, PoolOptions
from storage.objects import ObjectStore

log = get_log("edge")


class EdgeShell:
    """Owns the ports of one edge. `start` may be called again after Ray restarted the process."""

    def __init__(self, slot: int, uploads: UploadRules, settings: Settings | None = None) -> None:
        self._slot = slot
        self._uploads = uploads
        self._settings = settings or load_settings()
        self._ports: EdgePorts | None = None
        self._server: EdgeServer | None = None
        self._is_drained = False

    async def start(self) -> None:
        """Open everything and serve; does nothing when it serves already."""
        if self._server is not None:
            return
        settings = self._settings
        configure_logs(settings.log_level)
        keep_warm()
        options = PoolOptions(
            size=settings.database.edge_pool,
            wait_s=settings.database.wait_s,
            name=f"socialflow-edge-{self._slot}",
        )
        database = Database(settings.database.url, options)
        cache = Cache(settings.cache.url)
        await database.open()
        await cache.open()
        store_url = settings.objects.url or f"file://{(settings.home / 'objects').resolve()}"
        ports = EdgePorts(
            settings=settings,
            database=database,
            cache=cache,
            objects=ObjectStore.open(store_url),
            clock=SystemClock(),
            node=settings.node_name,
            uploads=self._uploads,
        )
        server = EdgeServer(self._slot, ports)
        try:
            await server.start()
        except BaseException:
            await server.close()
            await cache.close()
            await database.close()
            raise
        self._ports, self._server = ports, server
        self._is_drained = False
        spare_the_long_lived()

    def describe(self) -> dict[str, Any]:
        """Return what `status` shows."""
        if self._server is None:
            health = "drained" if self._is_drained else "starting"
            return {"pid": os.getpid(), "healthy": False, "health": health}
        return self._server.describe()

    async def drain(self, deadline_s: float) -> None:
        """Send clients elsewhere within the deadline, then close everything."""
        server, self._server = self._server, None
        if server is None or self._ports is None:
            return
        self._is_drained = True
        await server.drain(deadline_s)
        await self._ports.cache.close()
        await self._ports.database.close()
        log.info("edge.drained", slot=self._slot, pid=os.getpid())
