"""What a hosted object decides and its host carries out, and the refusals every kind shares.

Plain values; a core returns effects from its commands and never sends anything itself. They are
structs and not dataclasses: several are made for every line, and these are made in C.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from actors.hosting.entries import Entry
from kit.errors import AppError, Unavailable


class ObjectBusy(Unavailable):
    """The object's mailbox is full: more is accepted and not yet stored than it keeps."""

    code, message = "object_busy", "Too much is waiting here; try again in a moment."


class ObjectMoved(Unavailable):
    """The object lives elsewhere, or is moving; clients ask its present owner."""

    code, message = "object_moved", "This is moving; try again."


class StorageAway(Unavailable):
    """Nothing can be saved right now, so nothing durable is accepted."""

    code, message = "storage_away", "Nothing can be saved right now; try again in a moment."


class CommandUnknown(AppError):
    """A peer sent an object what its role may not send to this kind."""

    code, status, message = "command_unknown", 400, "This cannot be asked here."


class Requester(msgspec.Struct, frozen=True):
    """Where a command came from: which link, and which request on it (0: none, no answer)."""

    link: str
    request_id: int = 0


class Acknowledge(msgspec.Struct, frozen=True):
    """What was sent is stored under this number, as this kind of entry: tell its sender."""

    requester: Requester
    entry_id: uuid.UUID
    seq: int
    kind: str = ""


class Refuse(msgspec.Struct, frozen=True):
    """Tell the requester why not."""

    requester: Requester
    error: AppError


class Finish(msgspec.Struct, frozen=True):
    """Tell the requester that it is done."""

    requester: Requester


class Answer(msgspec.Struct, frozen=True):
    """Tell the requester what it asked for, in the kind's own words; nothing is stored."""

    requester: Requester
    message: Any


class Publish(msgspec.Struct, frozen=True):
    """Send stored entries to every follower, in order."""

    entries: tuple[Entry, ...]


class Show(msgspec.Struct, frozen=True):
    """Send a latest state to every follower; nothing of it is stored."""

    kind: str
    data: dict[str, Any]


class Signal(msgspec.Struct, frozen=True):
    """Send one peer a message of the object's kind."""

    link: str
    message: Any


class Consult(msgspec.Struct, frozen=True):
    """Ask the kind's port; the core hears the answer as a `Consulted`, on time."""

    question: Any
    timeout_s: float


class Consulted(msgspec.Struct, frozen=True):
    """The port's answer, given to the core as a command; None: it failed or was too slow."""

    question: Any
    answer: Any


class Leaving(msgspec.Struct, frozen=True):
    """Given as a command to a core that waits for its port: the object goes away from this host.

    No answer will come: refuse whoever waits for one, so that they ask the next owner at once.
    """


Telling = Acknowledge | Refuse | Finish | Answer | Publish | Show | Signal
Effect = Telling | Consult
