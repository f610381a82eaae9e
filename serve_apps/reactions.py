"""Tells people what others make of what is theirs: likes and comments of a post or a video."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec

from actors.job_runner.ports import JobPorts
from kit.events import Event, EventName
from storage.comments import find_comment
from storage.users import list_cards

LIKED = frozenset({EventName.POST_LIKED, EventName.VIDEO_LIKED})
COMMENTED = frozenset({EventName.POST_COMMENTED, EventName.VIDEO_COMMENTED})
EXCERPT_CHARS = 200


async def tell_owner(
    ports: JobPorts, event: Event, owner_id: uuid.UUID, place: Mapping[str, str]
) -> None:
    """Tell an owner of a like or a comment by somebody else; a like is told of once a month.

    `place` says below what, as the notice does: `post_id` or `video_id`.
    """
    if event.actor_id is None or event.actor_id == owner_id:
        return
    async with ports.database.connection() as connection:
        cards = await list_cards(connection, [event.actor_id, owner_id])
        comment = None
        if event.name in COMMENTED:
            comment = await find_comment(connection, uuid.UUID(event.data["comment_id"]))
    actor = cards.get(event.actor_id)
    if actor is None or owner_id not in cards:
        return
    data = {**place, "user": msgspec.to_builtins(actor)}
    if event.name in LIKED:
        notice_id = uuid.uuid5(event.subject_id, f"like {event.actor_id}")
        await ports.people.deliver(owner_id, notice_id, "like", data)
    elif comment is not None:
        data |= {"comment_id": str(comment.id), "text": comment.text[:EXCERPT_CHARS]}
        await ports.people.deliver(owner_id, event.id, "comment", data)
