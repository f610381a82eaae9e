"""The words of a room: its status, its refusals, and what is stored of it.

Plain values shared by the core and its kind.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from actors.hosting.entries import Entry
from actors.live_room.rules import describe_rules, read_rules
from kit.clock import Clock, format_time
from kit.errors import Conflict, MalformedRequest, RateLimited


class RoomStatus(enum.StrEnum):
    """Where a broadcast stands; `ended` is final."""

    CREATED = "created"
    LIVE = "live"
    INTERRUPTED = "interrupted"
    ENDED = "ended"


class ChatLineEmpty(MalformedRequest):
    """There is nothing to say in it."""

    code, message = "chat_line_empty", "Write something first."


class ChatLineTooLong(MalformedRequest):
    """More characters than a chat line may have."""

    code, message = "chat_line_too_long", "This chat line is too long."


class ClientIdInvalid(MalformedRequest):
    """The client's own id of the line is missing or too long."""

    code, message = "client_id_invalid", "client_id takes 1 to 64 characters."


class ChatTooFast(RateLimited):
    """More lines within ten seconds than one person may write."""

    code, message = "chat_too_fast", "Slow down a little."


class RoomEnded(Conflict):
    """The broadcast is over."""

    code, message = "room_ended", "This live has ended."


@dataclass(frozen=True)
class Speaker:
    """Who writes or acts, with the names shown; `role` is the site's, not the room's."""

    user_id: uuid.UUID
    username: str
    display_name: str
    role: str = "user"


@dataclass(frozen=True)
class Origin:
    """Where a room's media enters: the link of its edge, and what the API needs to find it."""

    link: str
    session_id: str
    edge: dict[str, Any]


@dataclass(frozen=True)
class RoomFacts:
    """What storage knows of a room when it is activated."""

    id: uuid.UUID
    owner_id: uuid.UUID
    epoch: uuid.UUID
    head: int
    status: RoomStatus
    origin: dict[str, Any] | None
    origin_gen: int
    viewers_peak: int


@dataclass(frozen=True)
class Patience:
    """How long a room waits for its publisher."""

    interrupted_max_s: float = 60.0
    """To come back, before the broadcast ends."""
    origin_grace_s: float = 5.0
    """After activation: an edge that still holds the publisher reports within this time."""


@dataclass(frozen=True)
class RoomTerms:
    """What the rules take from outside: limits, time and ids."""

    clock: Clock
    make_id: Callable[[], uuid.UUID]
    chat_chars_max: int = 500
    chat_per_10_s_max: int = 20
    is_moderated: bool = False
    """Whether there is a port that looks at lines first."""
    moderation_timeout_s: float = 1.0
    moderation_default: str = "hold"
    """What a line gets when the port does not answer in time: allow, hold or refuse."""
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class Change:
    """A change of status that is written together with its entry."""

    status: RoomStatus
    origin: dict[str, Any] | None
    origin_gen: int
    viewers_peak: int
    at: datetime
    event_id: uuid.UUID | None
    event_name: str | None


def describe_speaker(speaker: Speaker) -> dict[str, str]:
    """Return a person as events show them."""
    return {
        "id": str(speaker.user_id),
        "username": speaker.username,
        "display_name": speaker.display_name,
    }


def read_speaker(person: Mapping[str, str]) -> Speaker:
    """Read a person as `describe_speaker` wrote them."""
    return Speaker(uuid.UUID(person["id"]), person["username"], person["display_name"])


def describe_entry(room_id: uuid.UUID, entry: Entry) -> dict[str, Any]:
    """Return the `data` of the event that tells of an entry."""
    at = format_time(entry.created_at)
    body = entry.body
    if entry.kind == "chat_message":
        line: dict[str, Any] = {
            "id": str(entry.id),
            "room": str(room_id),
            "user": body["user"],
            "text": body["text"],
            "client_id": entry.client_id or body.get("client_id"),
            "created_at": at,
        }
        if "held_id" in body:
            line["held_id"] = body["held_id"]  # it waits for a moderator no longer
        return {**line, "deleted": True} if body.get("deleted") else line
    if entry.kind == "message_held":
        return {"held_id": str(entry.id), "at": at}  # what it says is for moderators alone
    if entry.kind == "rules_changed":
        return {"rules": describe_rules(read_rules(body["rules"])), "by": body["by"], "at": at}
    if entry.kind == "announcement":
        return {"id": str(entry.id), "room": str(room_id), **body, "at": at}
    return {**body, "at": at}


def describe_held(entry: Entry) -> dict[str, Any]:
    """Return what a held line says, for its author and moderators; nothing once it was decided."""
    if entry.kind != "message_held" or "text" not in entry.body:
        return {}
    return {name: entry.body[name] for name in ("user", "text", "client_id")}
