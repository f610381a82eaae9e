"""Keeps this node's named actors and its API alive: the one long-lived driver of Ray on a machine.

A process of its own beside the supervisor, because Ray may end a driver whose cluster goes away.
Speaks JSON lines: requests on standard input, answers and reports on standard output; it ends when
its input does, and the actors go on. Decides nothing about the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ray

from cluster.api_keeper import ANYWHERE, ApiKeeper
from cluster.head_watch import await_acquaintance, await_stranger
from cluster.home import Home
from cluster.joining import list_invited
from cluster.ray_node import find_own_folder
from cluster.topology import API_APP, ActorPart, Kind, is_head, list_actors, name_place
from kit.logs import configure_logs, get_log
from kit.settings import Settings, load_settings
from serve_apps import wiring

LOOK_EVERY_S = 1.0
CALL_TIMEOUT_S = 5.0
START_TIMEOUT_S = 60.0
NODES_EVERY_S = 2.0
PLACE_SHARE = 0.001
REQUEST_BYTES_MAX = 1 << 16

log = get_log("cluster.crew")

CLASSES: dict[Kind, Callable[[], type]] = {
    Kind.HOST: wiring.host_class,
    Kind.EDGE: wiring.edge_class,
    Kind.RUNNER: wiring.runner_class,
}


@dataclass
class Member:
    """One named actor as last seen."""

    part: ActorPart
    state: str = "starting"
    pid: int | None = None
    seen_at_s: float = 0.0
    started_pid: int | None = None
    fault: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    handle: Any = None


class Crew:
    """The actors and the application this node should have, and what they last said."""

    def __init__(self, settings: Settings, report: Callable[[dict[str, Any]], None]) -> None:
        self._settings = settings
        self._report = report
        self._members = {part.name: Member(part) for part in list_actors(settings)}
        self._nodes: list[dict[str, Any]] = []
        # On a Ray that others run, any node with the right resource may carry our actors.
        is_at_home = find_own_folder(settings) is not None
        self._home_place = {name_place(settings.node_name): PLACE_SHARE} if is_at_home else {}
        place = self._home_place or ANYWHERE
        self._api = ApiKeeper(settings, place) if settings.http.replicas else None
        self._tasks: list[asyncio.Task[None]] = []

    async def keep(self) -> None:
        """Bring everything up and watch it until cancelled."""
        self._tasks = [
            asyncio.create_task(self._keep_member(member)) for member in self._members.values()
        ]
        self._tasks.append(asyncio.create_task(self._watch_nodes()))
        if self._settings.cluster.head:
            self._tasks.append(asyncio.create_task(self._watch_head(self._settings.cluster.head)))
        if self._api is not None:
            self._tasks.append(asyncio.create_task(self._api.keep()))
        while True:
            self._report({"event": "crew", **self._describe()})
            await asyncio.sleep(LOOK_EVERY_S)

    def _describe(self) -> dict[str, Any]:
        members = {
            name: {
                "kind": member.part.kind,
                "state": member.state,
                "pid": member.pid,
                "fault": member.fault,
                "facts": member.facts,
            }
            for name, member in self._members.items()
        }
        api = self._api.facts if self._api is not None else {"state": "absent", "fault": ""}
        return {"members": members, "api": api, "nodes": self._nodes}

    async def stop_kind(self, kind: Kind, deadline_s: float) -> dict[str, Any]:
        """Drain and end the actors of a kind (or the application); they stay ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if kind is Kind.API:
            if self._api is not None:
                await asyncio.wait_for(asyncio.to_thread(self._api.leave), deadline_s + 1.0)
            return {"stopped": [API_APP]}
        members = [
            m for m in self._members.values() if m.part.kind is kind and m.handle is not None
        ]
        results = await asyncio.gather(
            *(self._drain(member, deadline_s) for member in members), return_exceptions=True
        )
        for member, result in zip(members, results, strict=True):
            if isinstance(result, BaseException):
                log.info("actor.drain_failed", actor=member.part.name, error=repr(result))
            with contextlib.suppress(ray.exceptions.RayError, ValueError):
                ray.kill(member.handle, no_restart=True)
            member.state = "stopped"
        return {"stopped": [member.part.name for member in members]}

    async def _drain(self, member: Member, deadline_s: float) -> None:
        await asyncio.wait_for(member.handle.drain.remote(deadline_s), deadline_s + 1.0)

    async def _keep_member(self, member: Member) -> None:
        while True:
            try:
                await self._look_at(member)
                wait_s = LOOK_EVERY_S
            except ray.exceptions.ActorDiedError as error:
                self._note(member, "dead", error)
                member.handle = None
                wait_s = 0.2
            except ray.exceptions.RayTaskError as error:
                self._note(member, "failing", error.cause or error)
                log.warning("actor.failing", actor=member.part.name, error=member.fault)
                wait_s = 1.0
            except (ray.exceptions.RayError, TimeoutError) as error:
                self._note(member, "restarting", error)
                await self._end_if_stuck(member)
                wait_s = 0.3
            except Exception as error:
                self._note(member, "failing", error)
                log.exception("actor.failed", actor=member.part.name)
                wait_s = 2.0
            await asyncio.sleep(wait_s)

    async def _look_at(self, member: Member) -> None:
        if member.handle is None:
            member.handle = await asyncio.to_thread(self._create, member.part)
            member.seen_at_s = time.monotonic()
        timeout_s = START_TIMEOUT_S if member.started_pid is None else CALL_TIMEOUT_S
        facts = await asyncio.wait_for(member.handle.describe.remote(), timeout_s)
        pid = int(facts["pid"])
        if pid != member.started_pid:
            # A process Ray made anew: its constructor ran, its work has not begun.
            await asyncio.wait_for(member.handle.start.remote(), START_TIMEOUT_S)
            member.started_pid = pid
            facts = await asyncio.wait_for(member.handle.describe.remote(), CALL_TIMEOUT_S)
            log.info("actor.running", actor=member.part.name, pid=pid)
        member.pid, member.facts, member.fault = pid, facts, ""
        member.state = "drained" if facts.get("health") == "drained" else "running"
        member.seen_at_s = time.monotonic()

    def _create(self, part: ActorPart) -> Any:
        arguments = [] if part.argument is None else [part.argument]
        resources = {part.kind.value: 1.0} if part.kind in {Kind.HOST, Kind.EDGE} else {}
        return (
            ray.remote(CLASSES[part.kind]())
            .options(
                name=part.name,
                lifetime="detached",
                namespace=self._settings.cluster.namespace,
                get_if_exists=True,
                max_restarts=-1,
                num_cpus=0,
                resources={**resources, **self._home_place},
            )
            .remote(*arguments)
        )

    def _note(self, member: Member, state: str, error: BaseException) -> None:
        if member.state == "running":
            log.info("actor.lost", actor=member.part.name, state=state, error=repr(error)[:300])
        said = "no answer in time" if isinstance(error, TimeoutError) else repr(error)
        member.state, member.fault = state, said[:300]

    async def _end_if_stuck(self, member: Member) -> None:
        """End an actor that has long not answered (a stopped process); Ray makes it anew."""
        silent_s = time.monotonic() - member.seen_at_s
        if member.started_pid is None or silent_s < self._settings.cluster.stuck_after_s:
            return
        log.error("actor.stuck", actor=member.part.name, pid=member.pid)
        with contextlib.suppress(ray.exceptions.RayError, ValueError):
            ray.kill(member.handle, no_restart=False)
        member.seen_at_s = time.monotonic()

    async def _watch_nodes(self) -> None:
        while True:
            try:
                nodes = describe_nodes(await asyncio.to_thread(ray.nodes))
                self._nodes = leave_out_forgotten(self._settings, nodes)
            except (ray.exceptions.RayError, RuntimeError, ConnectionError) as error:
                log.info("nodes.not_listed", error=repr(error)[:300])
            await asyncio.sleep(NODES_EVERY_S)

    async def _watch_head(self, head: str) -> None:
        """Say so when the head began anew: Ray's own node would notice half a minute later."""
        await await_stranger(head, self._settings.node_name)
        self._report({"event": "stranger"})


def describe_nodes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List each node once by its name, the head first; a living one hides its earlier lives."""
    found: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: bool(row["Alive"])):
        resources = row["Resources"]
        found[str(row["NodeName"])] = {
            "name": row["NodeName"],
            "address": row["NodeManagerAddress"],
            "is_alive": bool(row["Alive"]),
            "is_head": "node:__internal_head__" in resources,
            **{kind: int(resources.get(kind, 0)) for kind in ("host", "edge", "api", "media")},
        }
    return sorted(found.values(), key=lambda node: (not node["is_head"], node["name"]))


def leave_out_forgotten(settings: Settings, nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the nodes without dead ones that the head invites no more."""
    if not is_head(settings) or find_own_folder(settings) is None:
        return nodes
    invited = {settings.node_name, *list_invited(Home(settings.home))}
    return [node for node in nodes if node["is_alive"] or node["name"] in invited]


async def _read_requests(crew: Crew, report: Callable[[dict[str, Any]], None]) -> None:
    """Serve requests until the input ends."""
    reader = asyncio.StreamReader(limit=REQUEST_BYTES_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        request = json.loads(line)
        try:
            result = await crew.stop_kind(Kind(request["kind"]), float(request["deadline_s"]))
            report({"event": "answer", "id": request["id"], "ok": True, **result})
        except Exception as error:
            log.exception("request.failed", request=request)
            report({"event": "answer", "id": request["id"], "ok": False, "fault": repr(error)})


async def run_crew(settings: Settings, report: Callable[[dict[str, Any]], None]) -> None:
    """Connect to Ray, keep the crew, and leave when the supervisor does."""
    if settings.cluster.head:
        await await_acquaintance(
            settings.cluster.head, settings.node_name, lambda: report({"event": "stranger"})
        )
    await asyncio.to_thread(
        ray.init,
        address=settings.cluster.ray_address,
        namespace=settings.cluster.namespace,
        _temp_dir=find_own_folder(settings),
        log_to_driver=False,
        configure_logging=False,
    )
    report({"event": "connected", "pid": os.getpid()})
    crew = Crew(settings, report)
    keeping = asyncio.create_task(crew.keep())
    reading = asyncio.create_task(_read_requests(crew, report))
    await asyncio.wait({keeping, reading}, return_when=asyncio.FIRST_COMPLETED)
    for task in (keeping, reading):
        task.cancel()
    await asyncio.gather(keeping, reading, return_exceptions=True)


def _await_go() -> None:
    """Wait for the first line: until then the settings may still change. Byte by byte, because
    what follows the line is read by somebody else.
    """
    while (byte := os.read(sys.stdin.fileno(), 1)) != b"\n":
        if not byte:
            os._exit(0)


def main() -> None:
    """Run the crew; standard output is kept for the supervisor alone."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _await_go()
    settings = load_settings()
    configure_logs(settings.log_level)

    def report(event: dict[str, Any]) -> None:
        pipe.write(json.dumps(event, default=str) + "\n")

    try:
        asyncio.run(run_crew(settings, report))
    except BrokenPipeError:
        log.info("crew.alone")
    except Exception:
        log.exception("crew.failed")
    finally:
        # Ray's exit hooks would wait for a cluster that may be gone; the actors are detached.
        os._exit(0)


if __name__ == "__main__":
    main()
