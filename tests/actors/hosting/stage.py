"""Hosts and clients for tests: in this process, or as child processes that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import random
import signal
import sys
import tomllib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from actors.hosting.client import HostClient
from actors.hosting.core import HostView, Kind, ObjectKey
from actors.hosting.host import Host
from actors.hosting.log import HISTORY_MAX
from actors.hosting.messages import EDGE, EntryLine, Opened
from actors.hosting.ports import ClientPorts, HostPace, HostPorts
from actors.hosting.postgres import PostgresStore
from actors.link.frames import LinkPeer
from actors.link.transport import LinkTransport
from actors.live_room.client import RoomClient
from actors.live_room.entries import Speaker
from actors.live_room.messages import SessionEnd
from kit.clock import Clock, SystemClock
from kit.ids import make_id
from kit.settings import Settings
from serve_apps.hosting import KINDS, make_kinds
from storage.cache import Cache
from storage.database import Database, PoolOptions

NODE = "here"
CACHE_WAIT_S = 60.0
"""The product does without a cache that is silent for a second; a busy machine's tests wait."""
SECTIONS = ("auth", "database", "cache", "cluster", "limits", "edge", "rtmp", "http", "hosts")


def make_pool(settings: Settings, size: int, name: str) -> PoolOptions:
    """Return a small pool's options, as patient as the settings say."""
    return PoolOptions(size=size, wait_s=settings.database.wait_s, name=name)


class PushedClock(SystemClock):
    """The machine's clock, which a test may push ahead: what is due then is due at once.

    A host that is given one needs a lease that outlives the push.
    """

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._ahead_s

    def advance(self, seconds: float) -> None:
        self._ahead_s += seconds


@dataclass
class Heard:
    """A listener that remembers, per room."""

    opened: list[Opened] = field(default_factory=list)
    entries: dict[uuid.UUID, list[EntryLine]] = field(default_factory=dict)
    shown: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    ended_sessions: list[str] = field(default_factory=list)

    def on_opened(self, opened: Opened) -> None:
        self.opened.append(opened)

    def on_entries(self, key: ObjectKey, entries: list[EntryLine]) -> None:
        self.entries.setdefault(key.id, []).extend(entries)

    def on_shown(self, key: ObjectKey, kind: str, data: bytes) -> None:
        self.shown.append((kind, msgspec.json.decode(data)))

    def on_signal(self, key: ObjectKey, signal: SessionEnd) -> None:
        self.ended_sessions.append(signal.session_id)

    def seqs(self, room_id: uuid.UUID) -> list[int]:
        return [entry.seq for entry in self.entries.get(room_id, [])]

    def kinds(self, room_id: uuid.UUID) -> list[str]:
        return [entry.kind for entry in self.entries.get(room_id, [])]

    def statuses(self, room_id: uuid.UUID) -> list[str]:
        return [
            msgspec.json.decode(entry.data)["status"]
            for entry in self.entries.get(room_id, [])
            if entry.kind == "state"
        ]


@contextlib.asynccontextmanager
async def run_host(
    settings: Settings,
    host_id: str = "host-0",
    kinds: tuple[Kind, ...] | None = None,
    pace: HostPace | None = None,
    history_max: int = HISTORY_MAX,
    clock: Clock | None = None,
) -> AsyncIterator[Host]:
    """Run one incarnation of a host in this process, with the kinds of the product or others."""
    clock = clock or SystemClock()
    kinds = kinds or make_kinds(settings)
    database = Database(settings.database.url, make_pool(settings, 4, host_id))
    cache = Cache(settings.cache.url, CACHE_WAIT_S)
    await database.open()
    await cache.open()
    host = Host(
        host_id,
        HostPorts(
            settings=settings,
            kinds=kinds,
            store=PostgresStore(database, kinds, history_max),
            transport=LinkTransport.within(settings),
            clock=clock,
            node=NODE,
            make_id=make_id,
            pace=pace or HostPace(),
        ),
    )
    await host.start()
    view = HostView(cache, clock, host.list_cores, database, lambda: host.ref)
    beside = [asyncio.create_task(k.run_beside(view)) for k in kinds if k.run_beside is not None]
    try:
        yield host
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await host.close()
        await cache.close()
        await database.close()


@contextlib.asynccontextmanager
async def run_client(
    settings: Settings,
    heard: Heard | None = None,
    name: str = "edge-0",
    role: str = EDGE,
    node: str = NODE,
) -> AsyncIterator[RoomClient]:
    """Run a client of rooms as an edge or the API has it."""
    async with run_host_client(settings, heard, name, role, node) as hosts:
        yield RoomClient(hosts)


@contextlib.asynccontextmanager
async def run_host_client(
    settings: Settings,
    heard: Heard | None = None,
    name: str = "edge-0",
    role: str = EDGE,
    node: str = NODE,
) -> AsyncIterator[HostClient]:
    """Run a client of hosts as an edge or the API has it."""
    database = Database(settings.database.url, make_pool(settings, 2, name))
    await database.open()
    hosts = HostClient(LinkPeer(role, name, 1), make_client_ports(settings, database, node), heard)
    try:
        yield hosts
    finally:
        await hosts.close()
        await database.close()


def make_client_ports(settings: Settings, database: Database, node: str = NODE) -> ClientPorts:
    return ClientPorts(
        kinds=KINDS,
        store=PostgresStore(database, KINDS),
        transport=LinkTransport.within(settings),
        clock=SystemClock(),
        node=node,
        jitter=random.Random(1),
    )


def make_speaker(user_id: uuid.UUID, username: str = "ada") -> Speaker:
    return Speaker(user_id, username, username.title())


def write_settings(settings: Settings, path: Path) -> Path:
    """Write settings to a file that a child process can load."""
    lines = [f"home = {str(settings.home)!r}", ""]
    for section in SECTIONS:
        lines.append(f"[{section}]")
        for name, value in dataclasses.asdict(getattr(settings, section)).items():
            lines.append(f"{name} = {_write_value(value)}")
    path.touch(mode=0o600)
    path.write_text("\n".join(lines))
    tomllib.loads(path.read_text())
    return path


def _write_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_write_value(item) for item in value) + "]"
    return repr(value)


@dataclass
class ChildHost:
    """A host in a process of its own."""

    process: asyncio.subprocess.Process
    incarnation: int

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()


@contextlib.asynccontextmanager
async def run_child_host(settings_file: Path, host_id: str) -> AsyncIterator[ChildHost]:
    """Start a host in a child process and wait until it serves."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.actors.hosting.host_process",
        str(settings_file),
        host_id,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    child = ChildHost(process, int(line))
    try:
        yield child
    finally:
        await child.kill()
