"""Planned moves: an object is stopped, what it accepted is stored, then it belongs to another host.

`host.py` owns one. The old owner writes the move, so there is no moment with two owners and none
of the object's writes is in flight behind it. Followers are told where it went and reopen there.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from actors.hosting.core import HostRef
from actors.hosting.hosted import Hosted
from actors.hosting.ports import HostStore
from actors.hosting.roster import Roster, Why
from kit.errors import AppError, Conflict, Unavailable
from kit.logs import get_log
from kit.metrics import MOVES
from storage.hosts import HostEntry

log = get_log("host")

SETTLE_TIMEOUT_S = 5.0
MOVES_AT_ONCE = 4


class TargetAway(Conflict):
    """The chosen host takes no objects."""

    code, message = "target_away", "This host takes nothing at the moment."


class MoveUnsettled(Unavailable):
    """What the object accepted could not be stored in time; it stays where it is."""

    code, message = "move_unsettled", "This cannot move right now; try again."


@dataclass(frozen=True)
class MoverPorts:
    """What moving needs of its host."""

    store: HostStore
    roster: Roster
    host: HostRef


class Mover:
    """Moves running objects of one host."""

    def __init__(self, ports: MoverPorts) -> None:
        self._ports = ports

    async def move(self, hosted: Hosted, target: HostEntry) -> None:
        """Hand an object over; raises TargetAway or MoveUnsettled, and it goes on here."""
        await self._stop(hosted)
        roster, key = self._ports.roster, hosted.key
        try:
            moved_to = await self._ports.store.move(
                key, self._ports.host, hosted.placement, (target.id, target.incarnation)
            )
        except AppError:
            # Nobody knows who owns it, now or in a moment; followers ask.
            roster.doubt(key)
            roster.put_away(key, Why.DISPLACED)
            raise
        if moved_to is None:
            roster.resume(hosted)
            raise TargetAway
        roster.put_away(key, Why.MOVED, moved_to)
        MOVES.labels(key.kind).inc()
        log.info("object.moved", kind=key.kind, object_id=str(key.id), host=target.id)

    async def move_to(self, hosted: Hosted, host_id: str) -> None:
        """Hand an object to the living incarnation of a host; raises as `move` does."""
        if host_id == self._ports.host[0]:
            return
        for entry in await self._ports.store.list_live_hosts():
            if entry.id == host_id:
                await self.move(hosted, entry)
                return
        raise TargetAway

    async def move_all(self) -> None:
        """Hand everything over, one by one; the host ends afterwards.

        What is followed goes to a living host. The rest is put away: whoever asks for it places it
        anew once this host has ended, and the others adopt what needs an owner unasked.
        """
        entries = await self._ports.store.list_live_hosts()
        targets = {entry.id: entry for entry in entries if entry.id != self._ports.host[0]}
        loads = {entry.id: entry.objects for entry in targets.values()}
        queue = sorted(self._ports.roster, key=lambda hosted: -len(hosted.followers))
        waiting = iter(queue)

        async def work() -> None:
            for hosted in waiting:
                target = min(loads, key=loads.__getitem__, default=None)
                try:
                    if not hosted.followers or target is None:
                        await self._stop(hosted)
                        self._ports.roster.put_away(hosted.key, Why.DRAINED)
                        continue
                    loads[target] += 1
                    await self.move(hosted, targets[target])
                except AppError as error:
                    log.warning("object.not_moved", code=error.code, object_id=str(hosted.key.id))

        await asyncio.gather(*(work() for _ in range(MOVES_AT_ONCE)))

    async def _stop(self, hosted: Hosted) -> None:
        """Accept nothing more, and wait until everything accepted is stored."""
        if hosted.is_stopped or self._ports.roster.find(hosted.key) is not hosted:
            raise MoveUnsettled
        hosted.is_stopped = True
        self._ports.roster.abandon_questions(hosted)
        if hosted.core.log.depth == 0:
            return
        hosted.settled.clear()
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                await hosted.settled.wait()
        except TimeoutError as error:
            self._ports.roster.resume(hosted)
            raise MoveUnsettled(retry_after_s=1) from error
        if self._ports.roster.find(hosted.key) is not hosted:
            raise MoveUnsettled  # it was displaced, or broke, meanwhile
