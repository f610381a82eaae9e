"""Who may see a thing with a visibility: one pure rule for posts, videos and lives."""

from __future__ import annotations

import enum
import uuid


class Visibility(enum.StrEnum):
    """Who may see it. Unlisted: whoever knows the address; it appears in no list."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    FOLLOWERS = "followers"
    PRIVATE = "private"


def can_view(
    visibility: str, owner_id: uuid.UUID, viewer_id: uuid.UUID | None, *, follows: bool
) -> bool:
    """Say whether the viewer (None: anonymous) may see it; `follows`: viewer follows the owner."""
    if visibility in (Visibility.PUBLIC, Visibility.UNLISTED):
        return True
    if viewer_id is None:
        return False
    if viewer_id == owner_id:
        return True
    return visibility == Visibility.FOLLOWERS and follows
