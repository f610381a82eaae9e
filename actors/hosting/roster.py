"""The objects that run on one host: loaded on first use, put away when idle or displaced.

`host.py` owns one roster per incarnation. Objects decide; this carries out what they decided and
tells the writer of their kind when something waits for storage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from actors.hosting.core import Core, CoreTerms, HostRef, Kind, ObjectKey
from actors.hosting.effects import Effect, Refuse
from actors.hosting.hosted import Hosted, send_to
from actors.hosting.messages import Gone
from actors.hosting.ports import HostLink, HostStore
from kit.metrics import ACTIVATIONS, COMMANDS_REFUSED

IDLE_MAX_S = 60.0
OBJECTS_MAX = 10_000


@dataclass(frozen=True)
class RosterPorts:
    """What the roster needs of its host."""

    kinds: Mapping[str, Kind]
    store: HostStore
    host: HostRef
    terms: CoreTerms
    links: Mapping[str, HostLink]
    """Open links by name; the host changes it."""
    note_work: Callable[[ObjectKey], None]
    start: Callable[[Coroutine[Any, Any, Any], str], asyncio.Task[Any]]
    """Run a task that the host owns."""


class Roster:
    """Running objects by key."""

    def __init__(self, ports: RosterPorts) -> None:
        self._ports = ports
        self._objects: dict[ObjectKey, Hosted] = {}
        self._activating: dict[ObjectKey, asyncio.Task[Hosted | None]] = {}
        self.is_closed = False
        """Nothing is activated any more."""

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Hosted]:
        return iter(list(self._objects.values()))

    def find(self, key: ObjectKey) -> Hosted | None:
        """Return a running object."""
        return self._objects.get(key)

    def find_core(self, key: ObjectKey) -> Core | None:
        """Return a running object's core."""
        hosted = self._objects.get(key)
        return None if hosted is None else hosted.core

    async def activate(self, key: ObjectKey) -> Hosted | None:
        """Return the object, loading it once whoever asks; None: not ours, or no room.

        Raises when storage is away.
        """
        hosted = self._objects.get(key)
        if hosted is not None:
            return hosted
        if self.is_closed or key.kind not in self._ports.kinds:
            return None
        if len(self._objects) >= OBJECTS_MAX:
            return None
        task = self._activating.get(key)
        if task is None:
            task = self._ports.start(self._load(key), "host-activation")
            self._activating[key] = task
        return await asyncio.shield(task)

    async def _load(self, key: ObjectKey) -> Hosted | None:
        ports, kind = self._ports, self._ports.kinds[key.kind]
        try:
            loaded = await ports.store.load(key, ports.host)
            if loaded is None or self.is_closed:
                return None
            ACTIVATIONS.labels(kind.name).inc()
            core = kind.make_core(loaded, ports.terms)
            hosted = Hosted(kind, core, ports.terms.clock.monotonic_s())
            self._objects[key] = hosted
            return hosted
        finally:
            del self._activating[key]

    def apply(self, key: ObjectKey, effects: list[Effect]) -> None:
        """Carry out what an object decided."""
        hosted = self._objects.get(key)
        if hosted is None:
            return
        for effect in effects:
            if isinstance(effect, Refuse):
                COMMANDS_REFUSED.labels(key.kind, effect.error.code).inc()
            hosted.carry_out(effect, self._ports.links)
        if hosted.core.log.has_work:
            self._ports.note_work(key)

    def forget_link(self, name: str) -> None:
        """A peer is gone: it follows nothing any more."""
        for hosted in self:
            self.drop_follower(hosted, name)

    def drop_follower(self, hosted: Hosted, name: str) -> None:
        """A peer does not follow this object any more."""
        if hosted.followers.pop(name, None) is not None:
            hosted.touched_s = self._ports.terms.clock.monotonic_s()
            self.apply(hosted.key, hosted.core.forget_link(name))

    def put_away(self, key: ObjectKey) -> None:
        """Stop an object that is not ours (any more) and tell its followers to look elsewhere."""
        hosted = self._objects.pop(key, None)
        if hosted is not None:
            for link in hosted.followers.values():
                send_to(link, Gone(key))

    async def pass_time(self) -> None:
        """Let objects act on time, and put away those nobody has followed for a minute."""
        limit_s = self._ports.terms.clock.monotonic_s() - IDLE_MAX_S
        for hosted in self:
            self.apply(hosted.key, hosted.core.pass_time())
            if not hosted.followers and hosted.touched_s < limit_s and hosted.core.is_idle:
                del self._objects[hosted.key]
                await self._ports.store.release(hosted.key, self._ports.host)

    def list_cores(self, kind: str) -> list[Core]:
        """Return the running objects of a kind."""
        return [hosted.core for hosted in self if hosted.kind.name == kind]

    def clear(self) -> None:
        """Forget everything."""
        self._objects.clear()
