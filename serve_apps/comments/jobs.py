"""Tells everybody who looks at a post or video of what happened to its comments.

A listener of outbox events: hints travel by the ephemeral bus after the commit and may be lost or
come twice; what they say can be read again.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from actors.job_runner.ports import JobPorts, Listener
from kit.events import Event, EventName
from serve_apps.comments.schemas import describe_comment
from storage.comments import find_comment

NEW = frozenset({EventName.POST_COMMENTED, EventName.VIDEO_COMMENTED})


async def tell_readers(ports: JobPorts, event: Event) -> None:
    """Send a comment as it is now, or that it is gone."""
    channel = f"{event.data.get('place', 'post')}:{event.subject_id}"
    comment_id = event.data["comment_id"]
    if event.name is EventName.COMMENT_DELETED:
        await ports.cache.publish(channel, "post_comment_deleted", {"id": comment_id})
        return
    async with ports.database.connection() as connection:
        comment = await find_comment(connection, uuid.UUID(comment_id))
    if comment is not None:
        kind = "post_comment" if event.name in NEW else "post_comment_changed"
        body = describe_comment(comment).model_dump(mode="json", exclude={"liked"})
        await ports.cache.publish(channel, kind, body)


LISTENERS: Mapping[str, Listener] = {
    "comments.tell_readers": Listener(
        NEW | {EventName.COMMENT_CHANGED, EventName.COMMENT_DELETED}, tell_readers
    ),
}
