"""Moving a room to a chosen host: put on record first, then asked of the room's present owner."""

from __future__ import annotations

import uuid

from actors.hosting.followed import RequestFailed
from actors.hosting.mover import TargetAway
from kit.errors import NotFound, Unavailable
from kit.ids import make_id
from serve_apps.access.identity import Identity
from serve_apps.http.state import ApiPorts
from storage.audit import AuditDraft, append_audit
from storage.lives import find_live


class RoomNotFound(NotFound):
    """There is no such room."""

    code, message = "live_not_found", "There is no such live."


class RoomNotMoved(Unavailable):
    """The room stays where it is, or nobody answered in time; look before asking again."""

    code, message = "room_not_moved", "The room could not be moved right now; look where it is."


async def move_room(ports: ApiPorts, caller: Identity, room_id: uuid.UUID, host_id: str) -> None:
    """Move a room; returns once it runs there. Raises RoomNotFound, TargetAway, RoomNotMoved.

    The record says what was asked for, also when it did not come about.
    """
    async with ports.database.transaction() as connection:
        if await find_live(connection, room_id) is None:
            raise RoomNotFound
        draft = AuditDraft(
            make_id(), caller.user_id, "room.move", f"room:{room_id}", {"host": host_id}
        )
        await append_audit(connection, draft, ports.clock.now())
    try:
        await ports.rooms.move_room(room_id, host_id)
    except RequestFailed as failure:
        if failure.refusal.code == TargetAway.code:
            raise TargetAway from failure
        raise RoomNotMoved(failure.refusal.message) from failure
