"""What the events of a room's channel say: the shape of each kind's `data`. Shapes alone.

The page's types are made from them (`cluster/page_messages.py`), and the tests of the socket hold
every frame against them, so that rooms, edges and the page cannot drift apart.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from actors.hosting.shapes import Person, Shape
from actors.live_room.entries import RoomStatus
from actors.live_room.reactions import Mark


class Rules(Shape, frozen=True):
    """The rules of a chat as everybody may see them."""

    slow_mode_s: int
    followers_only: bool
    follow_age_min_s: int
    subscribers_only: bool
    holds_links: bool


class Pin(Shape, frozen=True):
    """A line above the chat."""

    id: str
    user: Person
    text: str
    created_at: str


class RoomPlace(Shape, frozen=True):
    """Another live, as raids name it; `owner` is a username."""

    id: str
    title: str
    owner: str
    owner_name: str


class Ways(Shape, frozen=True):
    """How many watch by which way."""

    webrtc: int
    hls: int
    chat: int


# Durable


class ChatMessage(Shape, frozen=True):
    """A line. One that was approved names the id under which it waited; a deleted one is empty."""

    id: str
    room: str
    user: Person
    text: str
    client_id: str | None
    created_at: str
    held_id: str | UnsetType = UNSET
    deleted: bool | UnsetType = UNSET


class StateChange(Shape, frozen=True):
    """The broadcast began, was interrupted or ended."""

    status: RoomStatus
    reason: str
    at: str


class MessageDeleted(Shape, frozen=True):
    """A line was taken down; the remaining pins, when it was pinned."""

    message_id: str
    offset: int
    by: Person
    at: str
    pins: list[Pin] | UnsetType = UNSET


class PinsChanged(Shape, frozen=True):
    """All pins as they are now."""

    pins: list[Pin]
    by: Person
    at: str


class RulesChanged(Shape, frozen=True):
    """The rules as they are now."""

    rules: Rules
    by: Person
    at: str


class MemberChanged(Shape, frozen=True):
    """What somebody is in the room now."""

    user: Person
    role: Literal["guest", "moderator"]
    is_banned: bool
    timed_out_until: str | None
    reason: str
    by: Person
    at: str


class MessageHeld(Shape, frozen=True):
    """A line waits for a moderator; history says what it is to its author and to moderators."""

    held_id: str
    at: str
    user: Person | UnsetType = UNSET
    text: str | UnsetType = UNSET
    client_id: str | UnsetType = UNSET


class HeldRefused(Shape, frozen=True):
    """A line that waited was not let through."""

    held_id: str
    by: Person
    at: str


class Announcement(Shape, frozen=True):
    """Something is said in the room's name."""

    id: str
    room: str
    text: str
    user: Person
    at: str


class Raid(Shape, frozen=True):
    """The viewers are sent on to another live."""

    target: RoomPlace
    viewers: int
    by: Person
    at: str


class Raided(Shape, frozen=True):
    """The viewers of another live come here."""

    source: RoomPlace
    viewers: int
    by: Person
    at: str


# Ephemeral


class ViewerCount(Shape, frozen=True):
    """How many watch and send right now."""

    viewers: int
    ways: Ways
    publishers: int


class TypingShown(Shape, frozen=True):
    """Somebody is writing."""

    user: Person


class Reactions(Shape, frozen=True):
    """Which reactions came since the last time, and how many of each."""

    counts: dict[Mark, int]


class ChatShown(Shape, frozen=True):
    """The chat beyond its lines; entries up to `offset` are in it."""

    rules: Rules
    pins: list[Pin]
    moderators: list[Person]
    offset: int


ROOM_EVENTS: dict[str, type[Shape]] = {
    "chat_message": ChatMessage,
    "state": StateChange,
    "message_deleted": MessageDeleted,
    "pins_changed": PinsChanged,
    "rules_changed": RulesChanged,
    "member_changed": MemberChanged,
    "message_held": MessageHeld,
    "held_refused": HeldRefused,
    "announcement": Announcement,
    "raid": Raid,
    "raided": Raided,
    "viewer_count": ViewerCount,
    "typing": TypingShown,
    "reactions": Reactions,
    "room": ChatShown,
}
