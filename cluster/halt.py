"""Stopping the product in order, or hard. Works for whatever is left of it, with or without a crew.

Edges say goodbye to their clients, then the API, the runner, the hosts, Ray, the Valkeys and, last,
PostgreSQL, so that every part can still write while it stops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

from cluster.crew_link import CrewFailed, CrewLink
from cluster.processes import end_processes, list_marked
from cluster.ray_node import CONTROL, NODE, end_ray
from cluster.servers import CACHE, POSTGRES, STORE, TITLES
from cluster.site import Site
from cluster.status import DEMO
from cluster.topology import Kind
from kit.errors import AppError
from kit.logs import get_log

DRAIN_S = 10.0
STOP_S = 8.0
RAY_GRACE_S = 3.0
DEMO_GRACE_S = 2.0
CONNECT_TIMEOUT_S = 20.0
STAGES = (
    (Kind.EDGE, "Edges say goodbye", DRAIN_S),
    (Kind.API, "API", STOP_S),
    (Kind.RUNNER, "Job runner", STOP_S),
    (Kind.HOST, "Room hosts", STOP_S),
)

log = get_log("cluster.halt")


async def halt(site: Site) -> None:
    """Stop every part in order; a part that does not stop in its time is ended."""
    names = site.servers.list_names()
    crew = await _ensure_crew(site) if site.board.state != "starting" else None
    site.board.state = "stopping"
    await asyncio.to_thread(_end_demo, site)
    stages = len(STAGES) if crew is not None else 0
    site.screen.plan(stages + len(names) + int(site.has_own_ray))
    if crew is not None:
        for kind, title, deadline_s in STAGES:
            with site.screen.step(title) as step:
                try:
                    stopping = crew.stop_kind(kind, deadline_s=deadline_s)
                    await _count_down(site, title, stopping, deadline_s)
                except CrewFailed as error:
                    step.note = error.text
                    log.info("stage.failed", kind=kind.value, error=error.text)
            _mark_stopped(site, kind)
    await site.close_crew()
    if site.has_own_ray:
        with site.screen.step("Ray"):
            await _count_down(
                site, "Ray", asyncio.to_thread(end_ray, site.ray_context, grace_s=RAY_GRACE_S), 10.0
            )
        for name in (NODE, CONTROL) if site.is_head else (NODE,):
            site.note(name, Kind.RAY, "stopped", pid=None)
    for name in (STORE, CACHE, POSTGRES):
        if name in names:
            await _stop_server(site, name)
    _forget(site)


async def halt_hard(site: Site) -> None:
    """End every process now; what was acknowledged is on disk and stays."""
    site.board.state = "stopping"
    crew, site.crew = site.crew, None
    await asyncio.to_thread(end_ray, site.ray_context, grace_s=0.0)
    left = list_marked(site.home.running_settings_file)
    await asyncio.to_thread(end_processes, left, grace_s=0.0)
    if crew is not None:
        await crew.end()
    for name in site.servers.list_names():
        try:
            await asyncio.to_thread(site.servers.stop, name, immediate=True)
        except AppError as error:
            site.screen.fault(str(error))
    _forget(site)


async def _ensure_crew(site: Site) -> CrewLink | None:
    """Return a connected crew, starting one when its supervisor took it along.

    None when there is no Ray to ask, or the start did not get as far as having something to drain.
    """
    if site.crew is not None and site.crew.is_alive:
        return site.crew if site.crew.is_connected else None
    has_ray = all(site.shelf.find_alive(name) for name in site.ray_processes)
    if not has_ray or not site.home.running_settings_file.exists():
        return None
    crew = await site.open_crew()
    await crew.go()
    end = time.monotonic() + CONNECT_TIMEOUT_S
    while time.monotonic() < end and crew.is_alive:
        if crew.members and all(m["state"] == "running" for m in crew.members.values()):
            break
        await asyncio.sleep(0.1)
    return crew if crew.is_connected and crew.is_alive else None


async def _count_down(site: Site, title: str, work: Awaitable[None], limit_s: float) -> None:
    task = asyncio.ensure_future(work)
    end = time.monotonic() + limit_s
    try:
        while not task.done():
            left_s = max(0, round(end - time.monotonic()))
            site.screen.count_down(f"{title} … {left_s} s at most (Ctrl-C again stops hard)")
            site.board.message = f"{title}, {left_s} s at most"
            site.board.write()
            await asyncio.wait({task}, timeout=1.0)
        task.result()
    finally:
        site.screen.count_down("")
        task.cancel()


async def _stop_server(site: Site, name: str) -> None:
    title = TITLES[name]
    with site.screen.step(title) as step:
        try:
            was_running = await asyncio.to_thread(site.servers.stop, name, immediate=False)
            step.note = "" if was_running else "did not run"
        except AppError as error:
            step.note = f"{error} Ended."
            await asyncio.to_thread(site.servers.stop, name, immediate=True)
    site.note(name, Kind.SERVER, "stopped", pid=None)
    site.shelf.remove(name)


def _mark_stopped(site: Site, kind: Kind) -> None:
    for part in site.board.list_parts():
        if part.kind == kind.value:
            site.note(part.name, kind, "stopped", pid=None)


def _end_demo(site: Site) -> None:
    """End the demo live that `socialflow seed` left on air: it would wait for us for ever."""
    demo = site.shelf.find_alive(DEMO)
    if demo is not None:
        end_processes([demo], grace_s=DEMO_GRACE_S)
    site.shelf.remove(DEMO)


def _forget(site: Site) -> None:
    """Leave nothing that would make the next start believe something runs."""
    for name in (POSTGRES, CACHE, STORE, NODE, CONTROL, "crew"):
        site.shelf.remove(name)
    site.home.running_settings_file.unlink(missing_ok=True)
    site.board.state, site.board.message = "stopped", ""
    site.board.write()
