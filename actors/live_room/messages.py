"""What travels on links between room hosts, edges and the API, by role.

A room's entries are written as JSON once, on the host; edges put them into frames as they are.
Hosts accept only what `FROM_EDGE` and `FROM_API` name, edges and the API only `FROM_HOST`.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from actors.live_room.entries import Speaker

HOST = "host"
EDGE = "edge"
API = "api"


class Message(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Base of all messages; the class name is the tag."""


class EntryLine(msgspec.Struct, array_like=True, frozen=True):
    """One stored entry: its number, its kind, and the event's `data` as JSON."""

    seq: int
    kind: str
    data: bytes


class PublisherFact(msgspec.Struct, array_like=True, frozen=True):
    """A publisher that is connected at this edge."""

    session_id: str
    edge: dict[str, Any]


# From an edge


class RoomOpen(Message, frozen=True):
    """Tell us of this room from now on; `seq` is the last entry we have of `epoch` (or None)."""

    room_id: uuid.UUID
    epoch: str | None
    seq: int
    viewers: int
    publisher: PublisherFact | None


class RoomClose(Message, frozen=True):
    """Nobody here follows the room any more."""

    room_id: uuid.UUID


class HistoryAsk(Message, frozen=True):
    """Give us entries after `seq`."""

    request_id: int
    room_id: uuid.UUID
    seq: int
    limit: int


class ChatSend(Message, frozen=True):
    """A line somebody wants to write."""

    request_id: int
    room_id: uuid.UUID
    speaker: Speaker
    client_id: str
    text: str


class TypingSend(Message, frozen=True):
    """Somebody is writing."""

    room_id: uuid.UUID
    speaker: Speaker


class ViewersReport(Message, frozen=True):
    """How many distinct watchers this edge has in the room."""

    room_id: uuid.UUID
    viewers: int


class PublisherUp(Message, frozen=True):
    """Media enters here."""

    room_id: uuid.UUID
    publisher: PublisherFact


class PublisherDown(Message, frozen=True):
    """Media stopped entering here."""

    room_id: uuid.UUID
    session_id: str
    reason: str


# From the API


class LiveEnd(Message, frozen=True):
    """The owner ends the broadcast."""

    request_id: int
    room_id: uuid.UUID
    reason: str


# From a host


class RoomOpened(Message, frozen=True):
    """The room as it stands; `missed` is what followed the edge's `seq`.

    Not `is_complete`: too much was missed, or the epoch is another one; begin again at `head`.
    """

    room_id: uuid.UUID
    owner_id: uuid.UUID
    epoch: str
    head: int
    status: str
    missed: list[EntryLine]
    is_complete: bool


class RoomRefused(Message, frozen=True):
    """The room cannot be opened here: it lives elsewhere, does not exist, or storage is away."""

    room_id: uuid.UUID
    code: str


class RoomGone(Message, frozen=True):
    """The room was given up here: ask where it is."""

    room_id: uuid.UUID


class RoomEntries(Message, frozen=True):
    """Entries that were stored, in order."""

    room_id: uuid.UUID
    entries: list[EntryLine]


class RoomShow(Message, frozen=True):
    """A latest state that is not stored; `data` is JSON."""

    room_id: uuid.UUID
    kind: str
    data: bytes


class SessionEnd(Message, frozen=True):
    """Close this media session: the room is over or has a newer publisher."""

    room_id: uuid.UUID
    session_id: str


class HistoryPage(Message, frozen=True):
    """The entries asked for."""

    request_id: int
    entries: list[EntryLine]


class ChatStored(Message, frozen=True):
    """The line is stored under this number."""

    request_id: int
    message_id: str
    epoch: str
    seq: int


class RequestDone(Message, frozen=True):
    """What was asked for is done and stored."""

    request_id: int


class RequestRefused(Message, frozen=True):
    """What was asked for is not done."""

    request_id: int
    code: str
    message: str
    retryable: bool
    details: dict[str, Any] = {}


FROM_EDGE = (
    RoomOpen
    | RoomClose
    | HistoryAsk
    | ChatSend
    | TypingSend
    | ViewersReport
    | PublisherUp
    | PublisherDown
)
FROM_API = LiveEnd
FROM_HOST = (
    RoomOpened
    | RoomRefused
    | RoomGone
    | RoomEntries
    | RoomShow
    | SessionEnd
    | HistoryPage
    | ChatStored
    | RequestDone
    | RequestRefused
)
