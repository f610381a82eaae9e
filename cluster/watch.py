"""Watching a started product: what ended is started again at once, with growing pauses if it keeps
ending. Ray heals its own actors; the crew makes anew what Ray gave up; this mends what both stand
on. Called by the supervisor; runs until cancelled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cluster.boot import take_ray
from cluster.processes import end_processes
from cluster.ray_node import (
    CONTROL,
    NODE,
    RayRunning,
    end_ray,
    find_namespace,
    find_ray,
    join_ray,
    restart_control,
    start_ray,
)
from cluster.records import is_alive
from cluster.servers import STORE, TITLES
from cluster.site import Site
from cluster.topology import Kind
from kit.errors import AppError
from kit.logs import get_log

LOOK_EVERY_S = 0.25
PAUSE_FIRST_S = 0.1
PAUSE_MAX_S = 30.0
HINDERED_PAUSE_S = 5.0
CALM_AFTER_S = 60.0
REVIVALS_MAX = 2  # attempts to bring Ray back with its state before it begins with nothing
STAYED_AFTER_S = 5.0  # a state that cannot be read ends Ray sooner

log = get_log("cluster.watch")


@dataclass
class Pause:
    """How long to wait before the next attempt at something that keeps failing; seconds."""

    failures: int = 0
    last_at_s: float = 0.0

    def decide_wait_s(self, now_s: float) -> float:
        """Return the wait before an attempt beginning now, and count the attempt."""
        if now_s - self.last_at_s > CALM_AFTER_S:
            self.failures = 0
        wait_s = 0.0 if self.failures == 0 else PAUSE_FIRST_S * 2 ** min(self.failures, 10)
        self.failures += 1
        self.last_at_s = now_s
        return min(wait_s, PAUSE_MAX_S)


@dataclass
class Revivals:
    """How often Ray was brought back with its state and did not stay; later kills do not count."""

    failures: int = 0
    back_at_s: float | None = None

    def begin(self, now_s: float) -> bool:
        """Note that Ray is gone; returns whether to leave its state and begin with nothing."""
        if self.back_at_s is not None:
            self.failures = 0 if now_s - self.back_at_s > STAYED_AFTER_S else self.failures + 1
        self.back_at_s = None
        if self.failures < REVIVALS_MAX:
            return False
        self.failures = 0
        return True

    def end(self, now_s: float, *, is_back: bool) -> None:
        """Note how an attempt ended."""
        if is_back:
            self.back_at_s = now_s
        else:
            self.failures += 1


class Watch:
    """Looks at every process four times a second and mends what ended, each thing by itself."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._pauses: dict[str, Pause] = {}
        self._mending: dict[str, asyncio.Task[None]] = {}
        self._revivals = Revivals()

    async def run(self) -> None:
        """Watch until cancelled; repairs under way are then cancelled as well."""
        try:
            while True:
                try:
                    self._look()
                    self._site.take_report()
                    self._site.board.write()
                except OSError:
                    # A full disk, a removed folder: the product runs, so its watch goes on.
                    log.exception("watch.hindered")
                    await asyncio.sleep(HINDERED_PAUSE_S)
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            for task in self._mending.values():
                task.cancel()
            await asyncio.gather(*self._mending.values(), return_exceptions=True)

    def _look(self) -> None:
        site = self._site
        for name in site.servers_running:
            record = site.shelf.find(name)
            if name != STORE and (record is None or not is_alive(record)):
                self._begin(name, self._mend_server, name)
        if self._is_ray_broken() or (
            site.crew is not None and site.crew.is_alive and site.crew.is_stranger
        ):
            self._begin("ray", self._mend_ray, "")
        elif self._is_ray_too_calm():
            self._begin("ray", self._make_ray_brisk, "")
        elif not self._is_mending("ray") and (site.crew is None or not site.crew.is_alive):
            self._begin("crew", self._mend_crew, "")

    def _is_mending(self, key: str) -> bool:
        return key in self._mending and not self._mending[key].done()

    def _is_ray_broken(self) -> bool:
        site = self._site
        return not all(site.shelf.find_alive(name) for name in site.ray_processes)

    def _is_ray_of_another_head(self) -> bool:
        """Say whether the head began anew since this machine's node process joined it.

        Also when that was the last word of a crew that Ray ended for it.
        """
        crew = self._site.crew
        return crew is not None and crew.is_stranger

    def _is_ray_too_calm(self) -> bool:
        """Say whether the control service was started before anybody was invited."""
        control = self._site.shelf.find(CONTROL)
        return self._site.is_brisk and control is not None and not control.details["is_brisk"]

    def _begin(self, key: str, mend: Callable[[str], Awaitable[None]], name: str) -> None:
        if self._is_mending(key):
            return
        self._mending[key] = asyncio.create_task(self._attempt(key, mend, name))

    async def _attempt(self, key: str, mend: Callable[[str], Awaitable[None]], name: str) -> None:
        pause = self._pauses.setdefault(key, Pause())
        await asyncio.sleep(pause.decide_wait_s(time.monotonic()))
        try:
            await mend(name)
        except* AppError as group:
            for error in group.exceptions:
                self._site.say_fault(name or key, f"{key}: {error}")
        except* (OSError, RuntimeError) as group:
            log.exception("mend.failed", part=key)
            self._site.say_fault(name or key, f"{key}: {group.exceptions[0]!r}")

    async def _mend_server(self, name: str) -> None:
        """Start an embedded server again on the port its clients know."""
        site = self._site
        ended = site.servers_running[name]
        title = TITLES[name]
        site.note(name, Kind.SERVER, "restarting")
        server = await asyncio.to_thread(site.servers.start, name, port=ended.port)
        site.take_server(name, server)
        log.info("server.mended", name=title, ended_pid=ended.pid, pid=server.pid)

    async def _mend_ray(self, _name: str) -> None:
        """Bring back, in this order, what is missing of: store, control service, node."""
        site = self._site
        context = site.ray_context
        if not site.is_head:
            site.note(NODE, Kind.RAY, "restarting")
            await self._start_ray(lambda: join_ray(context))
            return
        if not site.shelf.find_alive(STORE):
            await self._mend_server(STORE)
        running = await asyncio.to_thread(find_ray, context)
        if running is None and site.shelf.find_alive(NODE):
            site.note(CONTROL, Kind.RAY, "restarting")
            running = await asyncio.to_thread(restart_control, context, site.store)
            if running is not None:
                take_ray(site, running)
        if running is None:
            await self._revive_node()

    async def _make_ray_brisk(self, _name: str) -> None:
        """Start the control service again with frequent health checks; actors go on meanwhile."""
        control = self._site.shelf.find_alive(CONTROL)
        if control is not None:
            await asyncio.to_thread(end_processes, [control], grace_s=0.0)
        await self._mend_ray("")

    async def _mend_crew(self, _name: str) -> None:
        """Start the crew again; it finds the actors where they are."""
        self._site.note("crew", Kind.CREW, "restarting")
        await self._site.close_crew()
        await (await self._site.open_crew()).go()

    async def _revive_node(self) -> None:
        """Start Ray again; its state brings the actors back, unless that failed twice already."""
        site = self._site
        site.note(NODE, Kind.RAY, "restarting")
        await site.close_crew()
        context = site.ray_context
        namespace = await asyncio.to_thread(find_namespace, context)
        if self._revivals.begin(time.monotonic()):
            site.say_fault(NODE, "Ray did not come back with its state and begins anew")
            namespace = None
            await asyncio.to_thread(end_ray, context, grace_s=0.0)
            await asyncio.to_thread(site.servers.empty_store)
            site.take_server(STORE, await asyncio.to_thread(site.servers.start, STORE))
        is_back = False
        try:
            await self._start_ray(lambda: start_ray(context, site.store, namespace=namespace))
            is_back = True
        finally:
            self._revivals.end(time.monotonic(), is_back=is_back)

    async def _start_ray(self, start: Callable[[], RayRunning]) -> None:
        """Start Ray while the next crew's process reads its code in, then let that begin."""
        site = self._site
        await site.close_crew()
        crew = await site.open_crew()
        try:
            running = await asyncio.to_thread(start)
        except BaseException:
            await site.close_crew()
            raise
        take_ray(site, running)
        if site.is_head:
            site.set_addresses(running.address)
        await crew.go()
