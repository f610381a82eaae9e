"""Whether somebody may see a thing, asked row by row: `visibility.can_view` with what it needs.

Features call it in their transaction. Lists decide in their own statements, edges in `audience.py`
for many at once.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import msgspec

from kit.errors import NotFound
from serve_apps.access.visibility import ForSubscribers, Visibility, can_view
from storage.database import Connection
from storage.follows import is_following
from storage.subscriptions import is_subscribed
from storage.users import list_cards


@dataclass(frozen=True)
class Sight:
    """A thing to be seen: whose it is, and for whom."""

    owner_id: uuid.UUID
    visibility: str


async def check_sight(
    connection: Connection, sight: Sight, viewer_id: uuid.UUID | None, hidden: type[NotFound]
) -> None:
    """Raise `hidden` unless the viewer may see the thing; what it needs is all that is asked for.

    Raises ForSubscribers, which names the owner, where a subscription is what is missing.
    """
    visibility, owner_id = sight.visibility, sight.owner_id
    follows = subscribes = False
    if viewer_id is not None and viewer_id != owner_id:
        if visibility == Visibility.FOLLOWERS:
            follows = await is_following(connection, viewer_id, owner_id)
        elif visibility == Visibility.SUBSCRIBERS:
            subscribes = await is_subscribed(connection, viewer_id, owner_id)
    if can_view(visibility, owner_id, viewer_id, follows=follows, subscribes=subscribes):
        return
    if visibility != Visibility.SUBSCRIBERS:
        raise hidden
    owner = (await list_cards(connection, [owner_id])).get(owner_id)
    if owner is None:
        raise hidden
    raise ForSubscribers(owner=msgspec.to_builtins(owner))
