"""The processes of a simulated site: hosts and clients running the product's own code.

Time, links and the database are simulated; everything else is real.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from actors.feed_ranker.client import FeedRankers
from actors.hosting.client import HostClient
from actors.hosting.core import HostRef, Kind, ObjectKey
from actors.hosting.host import Host
from actors.hosting.messages import API, EDGE, EntryLine, Opened
from actors.hosting.ports import ClientPorts, HostPace, HostPorts
from actors.link.frames import LinkPeer
from actors.live_room.client import RoomClient
from actors.live_room.kind import ROOM_KIND
from actors.user_session.client import UserClient
from actors.user_session.messages import SocketsReport
from kit.errors import AppError
from kit.setting_sections import HostSettings, LimitSettings
from kit.settings import Settings
from storage.placements import USER
from tests.actors.hosting.sim.history import History
from tests.actors.hosting.sim.kinds import OTHER_KINDS, make_row, make_stored_id, read_facts
from tests.actors.hosting.sim.loop import ProcessLoop, Timeline
from tests.actors.hosting.sim.network import Network, SimTransport
from tests.actors.hosting.sim.plan import Plan
from tests.actors.hosting.sim.server import Server
from tests.actors.hosting.sim.store import SimStore

NODE = "here"
AT = datetime(2026, 1, 1, tzinfo=UTC)
RESTART_PAUSE_S = 0.5
SWEEP_EVERY_S = 1.0
"""Sooner than elsewhere: who lapses is replaced while the site lasts."""


class Told(msgspec.Struct):
    """What the judge reads of an entry's data."""

    id: str | None = None


READ_TOLD = msgspec.json.Decoder(Told).decode


@functools.cache
def make_settings(ttl_s: float) -> Settings:
    """Return the settings of every site whose leases last so long."""
    return Settings(
        hosts=HostSettings(lease_ttl_s=ttl_s, renew_every_s=ttl_s / 5),
        limits=LimitSettings(chat_per_10_s_max=1_000_000),
    )


@dataclass(frozen=True)
class Parts:
    """What a site is made of; planted faults put their own in."""

    server: type[Server] = Server
    store: type[SimStore] = SimStore
    host: type[Host] = Host
    client: type[HostClient] = HostClient
    kind: Kind = ROOM_KIND
    others: tuple[Kind, ...] = OTHER_KINDS

    def choose_kinds(self, others: Collection[str]) -> tuple[Kind, ...]:
        """Return what every process of a site with these objects beside its rooms knows."""
        return (self.kind, *(kind for kind in self.others if kind.name in others))


@dataclass
class Process:
    """A simulated process and its way to the database."""

    loop: ProcessLoop
    store: SimStore
    host: Host | None = None
    client: HostClient | None = None
    rooms: RoomClient | None = None
    users: UserClient | None = None
    feeds: FeedRankers | None = None
    listener: str = ""


class LoopClock:
    """A process's clock: its loop's time, fast or slow."""

    def __init__(self, loop: ProcessLoop) -> None:
        self.monotonic_s = loop.time

    def now(self) -> datetime:
        return AT + timedelta(seconds=self.monotonic_s())


class Heard:
    """A listener that reports to the history."""

    def __init__(self, name: str, history: History) -> None:
        self.name = name
        self._history = history

    def on_opened(self, opened: Opened) -> None:
        self._history.on_opened(self.name, opened.key, opened.head, is_complete=opened.is_complete)

    def on_entries(self, key: ObjectKey, entries: list[EntryLine]) -> None:
        lines = [(entry.seq, READ_TOLD(entry.data).id) for entry in entries]
        self._history.on_entries(self.name, key, lines)

    def on_shown(self, key: ObjectKey, kind: str, data: bytes) -> None:
        if kind == "presence":
            self._history.on_presence(self.name, key, msgspec.json.decode(data)["status"])

    def on_signal(self, key: ObjectKey, signal: Any) -> None: ...


class Site:
    """Hosts, clients, database and network of one plan."""

    def __init__(self, plan: Plan, parts: Parts, history: History) -> None:
        self.plan = plan
        self.timeline = Timeline(plan.seed)
        self.history = history
        self.server = parts.server(self.timeline, history)
        self.network = Network(self.timeline)
        self.hosts: dict[str, Process] = {}
        self.clients: dict[str, Process] = {}
        kinds = [*(parts.kind.name for _ in range(plan.objects)), *plan.others]
        self.keys = [ObjectKey(kind, make_stored_id(1000 + n)) for n, kind in enumerate(kinds)]
        self.followed: dict[tuple[str, ObjectKey], None] = {}
        self._parts = parts
        self._kinds = parts.choose_kinds(plan.others)
        self._all: list[Process] = []
        self._ids = itertools.count(1 << 64)
        self._settings = make_settings(plan.ttl_s)
        for key in self.keys:
            self.server.objects[key] = make_row(key)

    @property
    def processes(self) -> list[Process]:
        """Those that live."""
        return [*self.hosts.values(), *self.clients.values()]

    def find(self, name: str) -> Process | None:
        return self.hosts.get(name) or self.clients.get(name)

    def list_errors(self) -> list[dict[str, Any]]:
        """Return what loops were told went wrong, and no refusal."""
        return [
            context
            for process in self._all
            for context in process.loop.errors
            if not isinstance(context.get("exception"), AppError)
        ]

    def close(self) -> None:
        """Drop what is left, so that nothing of it is heard of again."""
        for process in self._all:
            process.loop.bury()

    # Hosts

    def start_host(self, host_id: str) -> None:
        process = self.hosts[host_id] = self._start(host_id)
        process.loop.spawn(self._keep_host(host_id, process), "host-keeper")

    async def _keep_host(self, host_id: str, process: Process) -> None:
        """Begin a fresh incarnation whenever one is over, as the shell does."""
        ports = HostPorts(
            settings=self._settings,
            kinds=self._kinds,
            store=process.store,
            transport=SimTransport(self.network, process.loop),
            clock=LoopClock(process.loop),
            node=NODE,
            make_id=self._make_id,
            pace=HostPace(idle_max_s=self.plan.idle_max_s, sweep_every_s=SWEEP_EVERY_S),
        )
        while True:
            host = self._parts.host(host_id, ports)
            try:
                await host.start()
            except (AppError, TimeoutError):
                await host.close()
                await asyncio.sleep(RESTART_PAUSE_S)
                continue
            process.host = host
            await host.wait_over()
            process.host = None
            await host.close()

    def believes_lease(self, ref: HostRef) -> bool:
        """Whether the host of this incarnation would store something now, by its own clock."""
        for process in self.hosts.values():
            host = process.host
            if host is not None and (host.host_id, host.incarnation) == ref:
                return bool(host.describe()["health"] == "ok")
        return False

    # Clients

    def start_client(self, name: str) -> None:
        process = self.clients[name] = self._start(name)
        incarnation = len(self._all)
        process.listener = f"{name}.{incarnation}"
        role = API if name.startswith("api") else EDGE
        me = LinkPeer(role, name, incarnation)
        process.loop.spawn(self._begin_client(process, me), "client")

    async def _begin_client(self, process: Process, me: LinkPeer) -> None:
        ports = ClientPorts(
            kinds=self._kinds,
            store=process.store,
            transport=SimTransport(self.network, process.loop),
            clock=LoopClock(process.loop),
            node=NODE,
            jitter=self.timeline.random,
        )
        heard = Heard(process.listener, self.history)
        process.client = self._parts.client(me, ports, heard)
        process.rooms = RoomClient(process.client)
        process.users, process.feeds = UserClient(process.client), FeedRankers(process.client)
        for number in self.plan.follows.get(me.name, ()):
            self.follow(process, self.keys[number])

    def follow(self, process: Process, key: ObjectKey) -> None:
        """Let a client follow an object from now on; called in its process."""
        assert process.client is not None, "the client has begun"
        assert process.users is not None, "the client has begun"
        process.client.follow(key)
        if key.kind == USER:
            process.users.report_sockets(key.id, SocketsReport({"login": 1}))
        self.followed[process.listener, key] = None

    def unfollow(self, process: Process, key: ObjectKey) -> None:
        """Let a client follow an object no more; called in its process."""
        assert process.client is not None, "the client has begun"
        process.client.unfollow(key)
        self.followed.pop((process.listener, key), None)
        self.history.forget_listener(process.listener, key)

    # Ends

    def kill(self, name: str) -> None:
        """End a process as kill -9 does."""
        process = self.hosts.pop(name, None) or self.clients.pop(name, None)
        if process is not None:
            process.loop.kill()
            self.network.note_death(process.loop)
            for key in self.keys:
                self.followed.pop((process.listener, key), None)

    def pause(self, name: str) -> None:
        """Stop a process as SIGSTOP does."""
        process = self.find(name)
        if process is not None:
            process.loop.pause()
            self.network.note_pause(name)

    def heal(self) -> None:
        """Let every fault end, and start what is dead."""
        for way in list(self.network.stalled):
            self.network.unstall(*way)
        for process in self.processes:
            process.store.wire.heal()
            process.store.mend()
            if process.loop.is_paused:
                process.loop.resume()
        for number in range(self.plan.hosts):
            if f"host-{number}" not in self.hosts:
                self.start_host(f"host-{number}")

    def _start(self, name: str) -> Process:
        rate, offset_s = self.plan.clocks[name]
        loop = ProcessLoop(self.timeline, name, rate=rate, offset_s=offset_s)
        store = self._parts.store(self.server, loop, self.plan.make_wire(), read_facts)
        process = Process(loop, store)
        self._all.append(process)
        return process

    def _make_id(self) -> uuid.UUID:
        return make_stored_id(next(self._ids))
