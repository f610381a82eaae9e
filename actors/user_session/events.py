"""What the events of people's own channels and of presence say: the shape of each kind's `data`.

As `actors/live_room/events.py` does it for rooms: the page's types are made from them.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from actors.hosting.shapes import Person, Shape
from actors.user_session.session import Presence


class Notification(Shape, frozen=True):
    """Something a person is told; which of the last fields there are depends on its kind."""

    id: str
    kind: str
    created_at: str
    user: Person
    post_id: str | UnsetType = UNSET
    video_id: str | UnsetType = UNSET
    comment_id: str | UnsetType = UNSET
    text: str | UnsetType = UNSET
    live_id: str | UnsetType = UNSET
    title: str | UnsetType = UNSET
    until: str | UnsetType = UNSET
    """When a subscription ends; without it, it has no end."""


class NoticesSeen(Shape, frozen=True):
    """Up to where somebody has seen what they were told, and how much came since."""

    offset: int
    unseen: int


class PresenceShown(Shape, frozen=True):
    """Whether somebody is there."""

    user_id: str
    status: Presence


USER_EVENTS: dict[str, type[Shape]] = {
    "notification": Notification,
    "notices_seen": NoticesSeen,
    "presence": PresenceShown,
}
