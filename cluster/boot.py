"""Starting the product: the order of things, what runs side by side, what each step says.

Called by the supervisor, which ends what was begun when a step raises. Whatever already runs is
joined, so the same steps start a fresh machine and take over a product whose supervisor died.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable

from cluster.crew_link import CrewFailed
from cluster.health import await_healthy
from cluster.joining import check_surroundings, count_promised
from cluster.port_holders import PortHeld, find_holder, is_free
from cluster.ray_node import (
    CONTROL,
    NODE,
    RayRunning,
    end_ray,
    find_ray,
    join_ray,
    restart_control,
    start_ray,
)
from cluster.servers import CACHE, POSTGRES, STORE, TITLES
from cluster.site import Site
from cluster.steps import Step
from cluster.topology import (
    DATABASE_REFUSED,
    Kind,
    count_connections,
    get_api_url,
    get_edge_url,
    get_slot,
    list_actors,
    list_ports,
)
from kit.errors import AppError
from kit.logs import get_log

MIGRATE_TIMEOUT_S = 300.0
READY_TIMEOUT_S = 120.0
READY_STATES = {"running", "drained"}  # somebody took it out of service, and it stays so

log = get_log("cluster.boot")


class StartFailed(AppError):
    """A part did not become ready; the text says which and where to look."""

    code, status, message = "start_failed", 500, "The product did not start."


async def boot(site: Site) -> None:
    """Start or join every part and wait until the product answers; raises AppError."""
    began = time.monotonic()
    site.screen.plan(_count_steps(site))
    running = await asyncio.to_thread(find_ray, site.ray_context) if site.has_own_ray else None
    site.is_joined = running is not None
    with site.screen.step("Ports") as step:
        _check_ports(site, step)
    if not site.is_head:
        await asyncio.to_thread(check_surroundings, site.given)
    await site.open_crew()
    async with asyncio.TaskGroup() as group:
        group.create_task(_start_database(site))
        group.create_task(_start_cache(site))
        ray = group.create_task(_start_ray(site, running))
    site.set_addresses(ray.result() or site.given.cluster.ray_address)
    await start_crew_work(site)
    site.screen.plan(0)
    site.board.facts["boot_s"] = round(time.monotonic() - began, 1)
    log.info("product.started", took_s=site.board.facts["boot_s"])


async def start_crew_work(site: Site) -> None:
    """Let the crew bring up the actors and the API, and wait for each of them."""
    assert site.crew is not None, "the crew is opened before it works"
    await site.crew.go()
    async with asyncio.TaskGroup() as group:
        group.create_task(_await_connected(site))
        for title, members in _list_teams(site):
            group.create_task(_await_members(site, title, members))
        if site.given.http.replicas:
            group.create_task(_await_api(site))


def _list_teams(site: Site) -> list[tuple[str, list[str]]]:
    """List the kinds of actors this node carries: a title and the names."""
    actors = list_actors(site.given)
    titles = {Kind.HOST: "Room hosts", Kind.RUNNER: "Job runner", Kind.EDGE: "Edge"}
    teams = [
        (title, [part.name for part in actors if part.kind is kind])
        for kind, title in titles.items()
    ]
    return [(title, members) for title, members in teams if members]


def _count_steps(site: Site) -> int:
    """Return how many lines the start shows."""
    ray = 1 if site.has_own_ray else 0
    api = 1 if site.given.http.replicas else 0
    ports_and_database = 2
    return ports_and_database + len(site.servers.list_names()) + ray + len(_list_teams(site)) + api


async def _start_server(site: Site, name: str, step: Step) -> None:
    server = await asyncio.to_thread(site.servers.start, name)
    site.take_server(name, server)
    step.note = f"port {server.port}" + (", joined" if server.joined else "")


async def _start_database(site: Site) -> None:
    if POSTGRES in site.servers.list_names():
        with site.screen.step(TITLES[POSTGRES]) as step:
            await _start_server(site, POSTGRES, step)
    elsewhere = site.given.cluster.connections_elsewhere
    connections = count_connections(site.given) + elsewhere
    if not site.is_head:
        with site.screen.step("Database connections") as step:  # the head brings the schema up
            await asyncio.to_thread(
                *(ask_database, site.environment, site.given.database.url),
                connections=connections,
                target="",
            )
            step.note = f"{connections} at most, {elsewhere} of them elsewhere"
        return
    with site.screen.step("Database schema") as step:
        server = site.servers_running.get(POSTGRES)
        dsn = getattr(server, "dsn", "") or site.given.database.url
        step.note = await asyncio.to_thread(
            *(ask_database, site.environment, dsn),
            connections=connections + count_promised(site.home),
        )


async def _start_cache(site: Site) -> None:
    if CACHE in site.servers.list_names():
        with site.screen.step(TITLES[CACHE]) as step:
            await _start_server(site, CACHE, step)


async def _start_ray(site: Site, running: RayRunning | None) -> str:
    """Return the address of our Ray; "" when the settings name another."""
    if not site.has_own_ray:
        return ""
    context = site.ray_context
    if not site.is_head:
        with site.screen.step("Ray") as step:
            step.note = f"joined {context.settings.cluster.head}"
            if running is None:
                running = await asyncio.to_thread(join_ray, context)
            take_ray(site, running)
        return context.settings.cluster.head
    has_node = running is not None or context.shelf.find_alive(NODE) is not None
    with site.screen.step(TITLES[STORE]) as step:
        if not has_node:
            await asyncio.to_thread(end_ray, context, grace_s=0.0)
            await asyncio.to_thread(site.servers.empty_store)
        await _start_server(site, STORE, step)
    with site.screen.step("Ray") as step:
        # The store may have ended since, and the control service with it.
        running = await asyncio.to_thread(find_ray, context)
        if running is None and has_node:
            running = await asyncio.to_thread(restart_control, context, site.store)
        step.note = "joined" if running is not None else ""
        started = running or await asyncio.to_thread(start_ray, context, site.store, namespace=None)
        take_ray(site, started)
        return started.address


def take_ray(site: Site, running: RayRunning) -> None:
    """Note Ray's processes on the board."""
    if running.control is not None:
        site.note(CONTROL, Kind.RAY, "running", pid=running.control.pid)
    site.note(NODE, Kind.RAY, "running", pid=running.node.pid)


def ask_database(
    environment: dict[str, str], dsn: str, *, connections: int = 1, target: str = "head"
) -> str:
    """Check in a process of its own that the server admits so many connections, and bring the
    schema to `target` unless that is ""; return the revision. Raises StartFailed.
    """
    result = subprocess.run(
        [sys.executable, "-m", "cluster.migrations"],
        input=json.dumps({"dsn": dsn, "connections": connections, "target": target}),
        env=environment,
        capture_output=True,
        text=True,
        timeout=MIGRATE_TIMEOUT_S,
        check=False,
    )
    if result.returncode == DATABASE_REFUSED:
        raise StartFailed(result.stderr)
    if result.returncode != 0:
        raise StartFailed(f"The migration failed:\n{result.stderr.strip()[-1500:]}")
    return result.stdout.strip()


def _check_ports(site: Site, step: Step) -> None:
    needs = list_ports(site.given)
    step.note = ", ".join(dict.fromkeys(f"{need.port}/{need.kind}" for need in needs))
    if site.is_joined or not site.has_own_ray:
        return
    for need in needs:
        if not is_free(need):
            raise PortHeld.describe(need, find_holder(need))


async def _await_members(site: Site, title: str, names: list[str]) -> None:
    with site.screen.step(title if len(names) == 1 else f"{title} ({len(names)})") as step:
        await _await_report(
            site,
            lambda: all(_state(site, name) in READY_STATES for name in names),
            lambda: "; ".join(
                f"{name} is {_state(site, name)} {_fault(site, name)}" for name in names
            ),
        )
        for name in names:
            # On a cluster the edge may live on another machine: then its own word must do.
            is_serving = _state(site, name) == "running"
            if name.startswith("edge-") and site.has_own_ray and is_serving:
                url = get_edge_url(site.settings, get_slot(name))
                if not await await_healthy(url, timeout_s=30.0):
                    raise StartFailed(f"{name} runs but {url}/health does not answer 200.")
                step.note = url


async def _await_connected(site: Site) -> None:
    """Wait for the crew itself; on a bare head there is nothing else to wait for."""
    await _await_report(
        site,
        lambda: site.crew is not None and site.crew.is_connected,
        lambda: f"the crew does not reach Ray; see {site.home.logs / 'crew.log'}",
    )


async def _await_api(site: Site) -> None:
    with site.screen.step(f"API ({site.settings.http.replicas})") as step:
        url = get_api_url(site.settings)
        await _await_report(
            site,
            lambda: site.crew is not None and site.crew.api["state"] == "running",
            lambda: (
                f"the API is {site.crew.api['state'] if site.crew else 'gone'} "
                f"{site.crew.api.get('fault', '') if site.crew else ''}"
            ),
        )
        if site.has_own_ray and not await await_healthy(url, timeout_s=30.0):
            raise StartFailed(f"The API runs but {url}/health does not answer 200.")
        step.note = url


async def _await_report(
    site: Site, is_ready: Callable[[], bool], describe: Callable[[], str]
) -> None:
    """Follow the crew's reports until `is_ready`; raises StartFailed, CrewFailed."""
    end = time.monotonic() + READY_TIMEOUT_S
    while True:
        site.take_report()
        site.board.write()
        if is_ready():
            return
        if site.crew is None or not site.crew.is_alive:
            raise CrewFailed(f"The crew ended; see {site.home.logs / 'crew.log'}.")
        if time.monotonic() > end:
            raise StartFailed(f"Not ready after {READY_TIMEOUT_S:g} s: {describe()}.")
        await asyncio.sleep(0.1)


def _state(site: Site, name: str) -> str:
    members = site.crew.members if site.crew else {}
    return str(members.get(name, {}).get("state", "unknown"))


def _fault(site: Site, name: str) -> str:
    members = site.crew.members if site.crew else {}
    return str(members.get(name, {}).get("fault", ""))
