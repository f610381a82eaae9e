"""One running installation as its supervisor holds it: settings, processes, crew, board.

Made by the supervisor; boot, watch and halt are functions over it. It decides nothing itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.board import Board
from cluster.crew_link import CrewLink, start_crew
from cluster.environment import make_environment
from cluster.home import Home
from cluster.keys import ClusterKeys
from cluster.ray_node import CONTROL, NODE, RayContext
from cluster.records import Record, RecordShelf, make_record
from cluster.servers import CACHE, POSTGRES, STORE, TITLES, Server, Servers
from cluster.settings_files import write_running_settings
from cluster.steps import Screen
from cluster.topology import API_APP, Kind, is_head
from kit.logs import get_log
from kit.settings import Settings
from storage.embedded.valkey import ValkeyServer

CREW_MODULE = "cluster.crew"

log = get_log("cluster.site")


@dataclass
class Site:
    """What the supervisor works on; `servers_running` holds the embedded servers by name."""

    home: Home
    given: Settings
    keys: ClusterKeys
    inherited: Mapping[str, str] = field(repr=False)
    screen: Screen
    board: Board
    shelf: RecordShelf
    settings: Settings = field(init=False)
    crew: CrewLink | None = None
    is_joined: bool = False
    servers_running: dict[str, Server] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = self.given

    @property
    def servers(self) -> Servers:
        """Return the launcher of the embedded servers, deciding by the given settings."""
        return Servers(self.home, self.given)

    @property
    def has_own_ray(self) -> bool:
        """Say whether Ray is ours to run."""
        return not self.given.cluster.ray_address

    @property
    def is_head(self) -> bool:
        """Say whether others join this machine, not it another."""
        return is_head(self.given)

    @property
    def ray_processes(self) -> tuple[str, ...]:
        """Return the records that must live for our Ray to work here."""
        if not self.has_own_ray:
            return ()
        return (STORE, CONTROL, NODE) if self.is_head else (NODE,)

    @property
    def is_brisk(self) -> bool:
        """Say whether Ray shall look often for lost nodes: with more than one of them."""
        return self.has_own_ray and self.is_head and any(self.home.invitations.glob("*.json"))

    @property
    def environment(self) -> dict[str, str]:
        """Return what processes are started with."""
        return make_environment(
            self.home, self.given, self.keys, self.inherited, is_brisk=self.is_brisk
        )

    @property
    def ray_context(self) -> RayContext:
        """Return what starting and mending Ray needs."""
        return RayContext(self.home, self.given, self.environment, self.shelf, self.is_brisk)

    @property
    def store(self) -> ValkeyServer:
        """Return the running store of Ray's state."""
        server = self.servers_running[STORE]
        assert isinstance(server, ValkeyServer), "the store is a Valkey"
        return server

    def take_server(self, name: str, server: Server) -> None:
        """Note that an embedded server runs."""
        self.servers_running[name] = server
        record = make_record(name, server.pid, {"port": server.port})
        if record is not None:
            self.shelf.write(record)
        self.note(name, Kind.SERVER, "running", pid=server.pid, facts={"port": server.port})

    def set_addresses(self, ray_address: str) -> None:
        """Fill in the addresses only a start can know and hand the settings to the processes."""
        database, cache = self.given.database, self.given.cache
        for name, server in self.servers_running.items():
            if name == POSTGRES and not isinstance(server, ValkeyServer):
                database = dataclasses.replace(database, url=server.dsn)
            elif name == CACHE and isinstance(server, ValkeyServer):
                cache = dataclasses.replace(cache, url=server.url)
        cluster = dataclasses.replace(self.given.cluster, ray_address=ray_address)
        self.settings = dataclasses.replace(
            self.given, database=database, cache=cache, cluster=cluster
        )
        write_running_settings(self.home, self.settings)

    async def open_crew(self) -> CrewLink:
        """Start the crew's process; it waits for `go`."""
        self.crew = await start_crew(
            self.environment, self.home.logs / "crew.log", module=CREW_MODULE
        )
        self.shelf.write(self.crew.record)
        self.note("crew", Kind.CREW, "starting", pid=self.crew.record.pid)
        return self.crew

    async def close_crew(self) -> None:
        """End the crew's process; the actors go on."""
        if self.crew is not None:
            await self.crew.end()
            self.shelf.remove("crew")
        self.crew = None

    def take_report(self) -> None:
        """Copy the crew's latest report to the board and say what changed."""
        if self.crew is None or not self.crew.is_alive:
            return
        if self.crew.is_connected:
            self.note("crew", Kind.CREW, "running", pid=self.crew.record.pid)
        for name, member in self.crew.members.items():
            before = self.board.find_part(name)
            if member["state"] == "starting" and before is not None:
                continue  # a crew just begun has not looked yet
            self.note(
                name,
                Kind(member["kind"]),
                member["state"],
                # On a cluster the number is another machine's, and means somebody else here.
                pid=member["pid"] if self.has_own_ray else None,
                fault=member["fault"],
                facts=member["facts"],
            )
        self.board.facts["nodes"] = self.crew.nodes
        api = self.crew.api
        if api["state"] == "absent" or not self.given.http.replicas:
            return  # none is here
        if api["state"] == "starting" and self.board.find_part(API_APP) is not None:
            return
        facts = {"replicas": api.get("replicas", {})}
        self.note(API_APP, Kind.API, api["state"], fault=api.get("fault", ""), facts=facts)

    def note(self, name: str, kind: Kind, state: str, **more: object) -> None:
        """Put a part's state on the board; a change after the start is said aloud."""
        before = self.board.find_part(name)
        was_running = before is not None and before.state == "running"
        if not self.board.set_part(name, kind, state, **more) or before is None:
            return
        log.info(
            "part.changed", name=name, state=state, pid=more.get("pid"), fault=more.get("fault")
        )
        if self.board.state != "running":
            return
        title = TITLES.get(name, name)
        if state == "running":
            self.say_fault(
                name,
                f"{title} is running (process {more['pid']})"
                if more.get("pid")
                else f"{title} is running",
            )
        elif was_running:
            self.say_fault(name, f"{title} is {state}")

    def say_fault(self, part: str, text: str) -> None:
        """Show and keep something that went wrong or was mended."""
        self.screen.fault(text)
        self.board.add_fault(part, text)
        log.info("part.fault", name=part, text=text)


def describe_supervisor(pid: int) -> Record:
    """Return the record of this supervisor."""
    record = make_record("supervisor", pid)
    assert record is not None, "this process lives"
    return record
