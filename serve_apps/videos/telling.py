"""Tells of likes and comments of a video: whoever looks at it the number, its owner by whom.

Listeners of outbox events; each may run twice for one event and tells the same. What watchers are
told travels by the ephemeral bus after the commit and may be lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec

from actors.job_runner.ports import JobPorts, Listener
from kit.events import Event, EventName
from storage.comments import find_comment
from storage.users import list_cards
from storage.videos import find_video

EXCERPT_CHARS = 200


async def tell_watchers(ports: JobPorts, event: Event) -> None:
    """Send how many like a video."""
    async with ports.database.connection() as connection:
        video = await find_video(connection, event.subject_id)
    if video is not None:
        channel = f"video:{video.id}"
        await ports.cache.publish(channel, "video_counters", {"likes": video.likes})


async def tell_owner(ports: JobPorts, event: Event) -> None:
    """Tell an owner of a like or a comment by somebody else; a like is told of once a month."""
    async with ports.database.connection() as connection:
        video = await find_video(connection, event.subject_id)
        if video is None or event.actor_id is None or event.actor_id == video.owner_id:
            return
        cards = await list_cards(connection, [event.actor_id])
        comment = None
        if event.name is EventName.VIDEO_COMMENTED:
            comment = await find_comment(connection, uuid.UUID(event.data["comment_id"]))
    actor = cards.get(event.actor_id)
    if actor is None:
        return
    data = {"video_id": str(video.id), "user": msgspec.to_builtins(actor)}
    if event.name is EventName.VIDEO_LIKED:
        notice_id = uuid.uuid5(video.id, f"like {event.actor_id}")
        await ports.people.deliver(video.owner_id, notice_id, "like", data)
    elif comment is not None:
        data |= {"comment_id": str(comment.id), "text": comment.text[:EXCERPT_CHARS]}
        await ports.people.deliver(video.owner_id, event.id, "comment", data)


LISTENERS: Mapping[str, Listener] = {
    "videos.tell_watchers": Listener(
        frozenset({EventName.VIDEO_LIKED, EventName.VIDEO_UNLIKED}), tell_watchers
    ),
    "videos.tell_owner": Listener(
        frozenset({EventName.VIDEO_LIKED, EventName.VIDEO_COMMENTED}), tell_owner
    ),
}
