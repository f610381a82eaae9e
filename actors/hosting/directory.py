"""Finds the host that owns an object, places objects that nobody owns, fences owners that are gone.

Edges and the API each keep one; answers are remembered until somebody finds them wrong.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from actors.hosting.core import HostRef, ObjectKey
from actors.hosting.ports import HostStore
from kit.clock import Clock
from kit.errors import Unavailable
from kit.logs import get_log
from storage.placements import Placement

log = get_log("directory")

REMEMBERED_MAX = 20_000
LOADS_FRESH_S = 1.0


class HostsAway(Unavailable):
    """No host takes objects at this moment."""

    code, message = "hosts_away", "This cannot be opened right now; try again in a moment."


class Directory:
    """Placements as this process knows them."""

    def __init__(self, store: HostStore, clock: Clock, node: str) -> None:
        self._store = store
        self._clock = clock
        self._loads: dict[HostRef, int] = {}
        self._loads_at_s = 0.0
        self._asking = asyncio.Lock()
        self._node = node
        self._known: OrderedDict[ObjectKey, Placement] = OrderedDict()

    async def get_owner(self, key: ObjectKey) -> Placement:
        """Return the living owner, placing the object when it has none.

        Raises HostsAway, or DatabaseBusy when storage must be asked and is away.
        """
        known = self._known.get(key)
        if known is not None:
            return known
        placement = await self._store.find_placement(key)
        if placement is None or not placement.is_live or not placement.address:
            placement = await self._place(key)
        if placement is None:
            raise HostsAway(retry_after_s=1)
        self._remember(key, placement)
        return placement

    def _remember(self, key: ObjectKey, placement: Placement) -> None:
        self._known[key] = placement
        while len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)

    async def _place(self, key: ObjectKey) -> Placement | None:
        """Place the object on the emptiest host that takes it."""
        while True:
            loads = await self._list_loads()
            if not loads:
                return None
            host = min(loads, key=loads.__getitem__)
            loads[host] += 1  # before it is answered, so that those who place now spread out
            placement = await self._store.place(key, host)
            if placement is not None:
                return placement
            loads.pop(host, None)

    async def _list_loads(self) -> dict[HostRef, int]:
        """Return hosts and how much each has, as known within a second."""
        async with self._asking:
            now_s = self._clock.monotonic_s()
            if not self._loads or now_s - self._loads_at_s > LOADS_FRESH_S:
                hosts = await self._store.list_live_hosts()
                self._loads_at_s = now_s
                self._loads = {(host.id, host.incarnation): host.objects for host in hosts}
            return self._loads

    def note_move(self, key: ObjectKey, placement: Placement | None) -> None:
        """Believe the former owner: the object lives there now, or (None) who knows where."""
        if placement is None:
            self.forget_object(key)
        else:
            self._remember(key, placement)

    def forget_object(self, key: ObjectKey) -> None:
        """Ask again where this object lives."""
        self._known.pop(key, None)

    def forget_host(self, host: HostRef) -> None:
        """Ask again where everything lives that we believe there."""
        self._loads.clear()
        for key, placement in list(self._known.items()):
            if (placement.host_id, placement.incarnation) == host:
                del self._known[key]

    def forget(self, key: ObjectKey, placement: Placement) -> None:
        """Do not believe this answer any more."""
        if self._known.get(key) == placement:
            del self._known[key]

    async def fence_owner(
        self, key: ObjectKey, placement: Placement, *, is_gone: bool = False
    ) -> None:
        """End the incarnation of a host that cannot be reached; raises when storage is away.

        On this machine any refusal will do. On another one, unless it `is_gone`, the fault may be
        ours or the network's: there the host must have missed renewals too, else raises HostsAway.
        """
        self.forget(key, placement)
        self._loads.clear()
        host = (placement.host_id, placement.incarnation)
        if is_gone or placement.node == self._node:
            is_fenced = await self._store.fence(host)
        else:
            is_fenced = await self._store.fence_late(host)
            if not is_fenced:
                raise HostsAway(retry_after_s=1)
        if is_fenced:
            log.warning("host.fenced_by_us", host=placement.host_id, node=placement.node)
