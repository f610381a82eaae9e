"""What moderators point at, read from rows: lines and people. Edges and the API ask here."""

from __future__ import annotations

import uuid

from actors.live_room.entries import Speaker
from actors.live_room.messages import LineRef
from kit.errors import NotFound
from storage.database import Connection
from storage.room_rules import find_line
from storage.users import find_user


class LineNotFound(NotFound):
    """The room has no such line, or it was taken down."""

    code, message = "line_not_found", "There is no such line in this chat."


class PersonUnknown(NotFound):
    """There is nobody of this id or name."""

    code, message = "user_not_found", "There is nobody with this name."


async def get_line(connection: Connection, room_id: uuid.UUID, message_id: uuid.UUID) -> LineRef:
    """Return a line of the room; raises LineNotFound."""
    row = await find_line(connection, room_id, message_id)
    if row is None:
        raise LineNotFound
    return LineRef(row.id, row.seq, row.body["user"], row.body["text"], row.created_at)


async def get_person(connection: Connection, user_id: uuid.UUID) -> Speaker:
    """Return somebody by id; raises PersonUnknown."""
    user = await find_user(connection, user_id)
    if user is None:
        raise PersonUnknown
    return Speaker(user.id, user.username, user.display_name or user.username)
