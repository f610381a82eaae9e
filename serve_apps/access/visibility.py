"""Who may see a thing with a visibility: one pure rule for posts, videos and lives."""

from __future__ import annotations

import enum
import uuid

from kit.errors import PermissionDenied


class Visibility(enum.StrEnum):
    """Who may see it. Unlisted: whoever knows the address; it appears in no list."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    FOLLOWERS = "followers"
    SUBSCRIBERS = "subscribers"
    PRIVATE = "private"


class ForSubscribers(PermissionDenied):
    """A subscription to its owner is all that is missing: it is said to be there, and no more."""

    code, message = "for_subscribers", "This is for subscribers."


def can_view(
    visibility: str,
    owner_id: uuid.UUID,
    viewer_id: uuid.UUID | None,
    *,
    follows: bool,
    subscribes: bool,
) -> bool:
    """Say whether the viewer (None: anonymous) may see it, by what they are to the owner."""
    if visibility in (Visibility.PUBLIC, Visibility.UNLISTED):
        return True
    if viewer_id is None:
        return False
    if viewer_id == owner_id:
        return True
    if visibility == Visibility.SUBSCRIBERS:
        return subscribes
    return visibility == Visibility.FOLLOWERS and follows
