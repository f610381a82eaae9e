"""What a living host does for the dead: fences lapsed leases and takes over their rooms on air.

Rooms that somebody follows are placed anew by whoever follows them; those that nobody follows
still need an owner who ends them when their publisher stays away.
"""

from __future__ import annotations

import uuid

from kit.logs import get_log
from storage.database import Database
from storage.hosts import fence_expired_hosts
from storage.placements import ROOM, place_object
from storage.rooms import list_unowned_rooms

log = get_log("room_host")

ADOPT_MAX = 50


async def take_over(database: Database, host: tuple[str, int], ttl_s: float) -> list[uuid.UUID]:
    """Place unowned rooms on `host` (id, incarnation); return them, at most 50 at a time."""
    async with database.connection() as connection:
        fenced = await fence_expired_hosts(connection, ttl_s)
        adopted = await list_unowned_rooms(connection, ADOPT_MAX)
        for room_id in adopted:
            await place_object(connection, ROOM, room_id, host)
    if fenced or adopted:
        log.warning("host.took_over", host=host[0], fenced=fenced, rooms=len(adopted))
    return adopted
