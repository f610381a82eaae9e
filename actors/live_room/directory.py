"""Finds the host that owns a room, places rooms that nobody owns, and fences owners that are gone.

Edges and the API each keep one; answers are remembered until somebody finds them wrong.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict

from kit.errors import Unavailable
from kit.logs import get_log
from storage.database import Database
from storage.hosts import fence_host, list_live_hosts
from storage.placements import ROOM, Placement, find_placement, place_object

log = get_log("room_directory")

REMEMBERED_MAX = 20_000


class HostsAway(Unavailable):
    """No host takes rooms at this moment."""

    code, message = "hosts_away", "Rooms cannot be opened right now; try again in a moment."


class RoomDirectory:
    """Placements of rooms as this process knows them."""

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node
        self._known: OrderedDict[uuid.UUID, Placement] = OrderedDict()

    async def get_owner(self, room_id: uuid.UUID) -> Placement:
        """Return the living owner, placing the room when it has none.

        Raises HostsAway, or DatabaseBusy when PostgreSQL must be asked and is away.
        """
        known = self._known.get(room_id)
        if known is not None:
            return known
        async with self._database.connection() as connection:
            placement = await find_placement(connection, ROOM, room_id)
            if placement is None or not placement.is_live or not placement.address:
                placement = None
                for host in await list_live_hosts(connection):
                    if host.node != self._node:
                        continue
                    placement = await place_object(
                        connection, ROOM, room_id, (host.id, host.incarnation)
                    )
                    if placement is not None:
                        break
        if placement is None:
            raise HostsAway(retry_after_s=1)
        self._known[room_id] = placement
        while len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        return placement

    def forget_room(self, room_id: uuid.UUID) -> None:
        """Ask again where this room lives."""
        self._known.pop(room_id, None)

    def forget(self, placement: Placement) -> None:
        """Do not believe this answer any more."""
        if self._known.get(placement.object_id) == placement:
            del self._known[placement.object_id]

    async def fence_owner(self, placement: Placement) -> None:
        """End the incarnation of a host that cannot be reached; raises when storage is away."""
        self.forget(placement)
        if placement.node != self._node:
            raise HostsAway(retry_after_s=1)
        async with self._database.connection() as connection:
            host = (placement.host_id, placement.incarnation)
            if await fence_host(connection, *host):
                log.warning("host.fenced_by_us", host=placement.host_id)
