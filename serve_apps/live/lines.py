"""Writing a chat line, and reacting, over plain HTTP, for clients without a socket.

The room checks, numbers and stores it as any other; its refusals come back under fitting statuses.
"""

from __future__ import annotations

import uuid

from actors.hosting.followed import RequestFailed
from actors.hosting.messages import Denied, Stored
from actors.live_room.entries import Speaker
from actors.live_room.messages import Membership
from kit.errors import AppError, Conflict, MalformedRequest, NotAuthenticated, RateLimited
from serve_apps.access.identity import Identity
from serve_apps.http.state import ApiPorts
from serve_apps.live.service import get_live
from storage.database import WRITE_TIMEOUT_S
from storage.follows import list_follow_pairs
from storage.subscriptions import is_subscribed
from storage.users import find_user


class LineRefused(AppError):
    """The room's refusal in its own words."""

    code, status, message = "line_refused", 403, "The room did not take this line."

    def __init__(self, said: Denied) -> None:
        super().__init__(said.message, **said.details)
        self.code = said.code  # type: ignore[misc]  # the room's code, one per refusal
        self.retryable = said.retryable  # type: ignore[misc]  # likewise
        self.status = decide_status(said)  # type: ignore[misc]  # likewise


def decide_status(said: Denied) -> int:
    """Return the HTTP status for a room's refusal."""
    for kind in (MalformedRequest, RateLimited, Conflict):
        if said.code in {refusal.code for refusal in kind.__subclasses__()}:
            return kind.status
    if said.retryable:
        return 503
    return LineRefused.status


async def write_line(
    ports: ApiPorts, writer: Identity, live_id: uuid.UUID, client_id: str, text: str
) -> Stored:
    """Have a line stored; the same `client_id` again is answered with the first line's place.

    Raises LiveNotFound, ForSubscribers, LineRefused or Unavailable's kinds.
    """
    async with ports.database.transaction(WRITE_TIMEOUT_S) as connection:
        live = await get_live(connection, writer, live_id)
        user = await find_user(connection, writer.user_id)
        pair = (writer.user_id, live.owner_id)
        follows = await list_follow_pairs(connection, [pair])
        subscribes = await is_subscribed(connection, *pair)
    if user is None:
        raise NotAuthenticated
    name, role = user.display_name or user.username, str(writer.role)
    speaker = Speaker(user.id, user.username, name, role)
    membership = Membership(follows.get(pair), is_subscriber=subscribes)
    try:
        return await ports.rooms.send_chat(live_id, speaker, client_id, text, membership)
    except RequestFailed as failure:
        raise LineRefused(failure.refusal) from failure


async def send_reaction(
    ports: ApiPorts, sender: Identity, live_id: uuid.UUID, reaction: str
) -> None:
    """Have a reaction counted; too many, or those of whoever may not write, are dropped.

    Raises LiveNotFound or Unavailable's kinds.
    """
    async with ports.database.transaction(WRITE_TIMEOUT_S) as connection:
        await get_live(connection, sender, live_id)
    speaker = Speaker(sender.user_id, sender.username, sender.username, str(sender.role))
    await ports.rooms.send_reaction_from_afar(live_id, speaker, reaction)
