"""Names of the events that features write to the outbox, and the record listeners receive."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any


class EventName(enum.StrEnum):
    """What happened, in the past tense; the text is stable (webhooks carry it)."""

    USER_CREATED = "user.created"
    USER_UPDATED = "user.updated"
    USER_BANNED = "user.banned"
    USER_UNBANNED = "user.unbanned"
    USER_FOLLOWED = "user.followed"
    USER_UNFOLLOWED = "user.unfollowed"
    SUBSCRIPTION_STARTED = "subscription.started"
    SUBSCRIPTION_ENDED = "subscription.ended"
    SESSION_REVOKED = "session.revoked"
    POST_CREATED = "post.created"
    POST_DELETED = "post.deleted"
    POST_LIKED = "post.liked"
    POST_UNLIKED = "post.unliked"
    POST_COMMENTED = "post.commented"
    COMMENT_CHANGED = "comment.changed"
    COMMENT_DELETED = "comment.deleted"
    VIDEO_UPLOADED = "video.uploaded"
    VIDEO_RECORDED = "video.recorded"
    VIDEO_PROCESSING = "video.processing"
    VIDEO_PROCESSED = "video.processed"
    VIDEO_PUBLISHED = "video.published"
    VIDEO_FAILED = "video.failed"
    VIDEO_REENCODED = "video.reencoded"
    VIDEO_DELETED = "video.deleted"
    VIDEO_RESTORED = "video.restored"
    VIDEO_COMMENTED = "video.commented"
    VIDEO_LIKED = "video.liked"
    VIDEO_UNLIKED = "video.unliked"
    STREAM_CREATED = "stream.created"
    STREAM_STARTED = "stream.started"
    STREAM_ENDED = "stream.ended"
    STREAM_TAKEN_DOWN = "stream.taken_down"


@dataclass(frozen=True)
class Event:
    """One row of the outbox as a listener gets it; delivery is at least once."""

    id: uuid.UUID
    name: EventName
    subject_id: uuid.UUID
    actor_id: uuid.UUID | None
    data: dict[str, Any]
    created_at: datetime
