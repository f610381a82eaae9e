"""The words of a room: entries of its durable channel, commands that come in, effects that go out.

Plain values shared by the core and the host that runs it.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kit.clock import Clock, format_time
from kit.errors import AppError, Conflict, MalformedRequest, RateLimited, Unavailable


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


class RoomBusy(Unavailable):
    """More lines are waiting than the room keeps."""

    code, message = "room_busy", "The room is very busy; try again in a moment."


class StorageAway(Unavailable):
    """Nothing can be saved right now, so nothing durable is accepted."""

    code, message = "storage_away", "Messages cannot be saved right now; try again in a moment."


class RoomMoved(Unavailable):
    """The room is moving to another host."""

    code, message = "room_moved", "The room is moving; try again."


@dataclass(frozen=True)
class Entry:
    """One numbered line of the durable channel."""

    seq: int
    id: uuid.UUID
    kind: str
    user_id: uuid.UUID | None
    client_id: str | None
    body: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class Speaker:
    """Who writes, with the names shown."""

    user_id: uuid.UUID
    username: str
    display_name: str


@dataclass(frozen=True)
class Requester:
    """Where an answer goes: which link, and which request on it."""

    link: str
    request_id: int


@dataclass(frozen=True)
class ChatCommand:
    """A line somebody wants to write; `client_id` makes repeats recognisable."""

    requester: Requester
    speaker: Speaker
    client_id: str
    text: str


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
class RoomTerms:
    """What the rules take from outside: limits, time and ids."""

    clock: Clock
    make_id: Callable[[], uuid.UUID]
    chat_chars_max: int = 500
    chat_per_10_s_max: int = 20


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


@dataclass(frozen=True)
class Batch:
    """What one room wants written in this tick, whole or not at all."""

    entries: tuple[Entry, ...]
    change: Change | None


@dataclass(frozen=True)
class Acknowledge:
    """The line is stored: tell its sender."""

    requester: Requester
    message_id: uuid.UUID
    seq: int


@dataclass(frozen=True)
class Refuse:
    """Tell the requester why not."""

    requester: Requester
    error: AppError


@dataclass(frozen=True)
class Finish:
    """Tell the requester that it is done."""

    requester: Requester


@dataclass(frozen=True)
class Publish:
    """Send stored entries to every edge, in order."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Show:
    """Send a latest state to every edge; nothing of it is stored."""

    kind: str
    data: dict[str, Any]


@dataclass(frozen=True)
class EndSession:
    """A newer publisher took over: its edge closes this media session."""

    link: str
    session_id: str


Effect = Acknowledge | Refuse | Finish | Publish | Show | EndSession


def describe_speaker(speaker: Speaker) -> dict[str, str]:
    """Return a person as events show them."""
    return {
        "id": str(speaker.user_id),
        "username": speaker.username,
        "display_name": speaker.display_name,
    }


def describe_entry(room_id: uuid.UUID, entry: Entry) -> dict[str, Any]:
    """Return the `data` of the event that tells of an entry."""
    at = format_time(entry.created_at)
    if entry.kind == "chat_message":
        return {
            "id": str(entry.id),
            "room": str(room_id),
            "user": entry.body["user"],
            "text": entry.body["text"],
            "client_id": entry.client_id,
            "created_at": at,
        }
    return {**entry.body, "at": at}
