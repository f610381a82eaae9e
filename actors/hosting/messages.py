"""What travels on links between hosts and whoever asks them, whatever the kind of object.

Entries are written as JSON once, on the host; edges put them into frames as they are. A link
accepts only what the role at its other end may send, with the commands of the kinds in between.
"""

from __future__ import annotations

import functools
import operator
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from actors.hosting.core import Kind, ObjectKey
from storage.placements import Placement

HOST = "host"
EDGE = "edge"
API = "api"

Command = TypeVar("Command")


class Message(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Base of all messages and commands; the class name is the tag."""


class EntryLine(msgspec.Struct, array_like=True, frozen=True):
    """One stored entry: its number, its kind, and the event's `data` as JSON."""

    seq: int
    kind: str
    data: bytes


# From a follower


class Open(Message, frozen=True):
    """Tell us of this object from now on; `seq` is the last entry we have of `epoch` (or None).

    The answer carries the number: one to an earlier question says nothing of this one.
    """

    number: int
    key: ObjectKey
    epoch: str | None
    seq: int


class Close(Message, frozen=True):
    """Nobody here follows the object any more."""

    key: ObjectKey


class HistoryAsk(Message, frozen=True):
    """Give us entries after `seq`."""

    request_id: int
    key: ObjectKey
    seq: int
    limit: int


class Ask(Message, Generic[Command], frozen=True):
    """A command that is answered; the object is loaded when it sleeps."""

    request_id: int
    key: ObjectKey
    command: Command


class Tell(Message, Generic[Command], frozen=True):
    """A command of a follower that is not answered."""

    key: ObjectKey
    command: Command


# From the API


class Move(Message, frozen=True):
    """Hand the object over to another host."""

    request_id: int
    key: ObjectKey
    target: str


class Survey(Message, frozen=True):
    """Tell what runs on this host, in order of ids, after this one."""

    request_id: int
    kind: str
    after: uuid.UUID | None
    limit: int


class Measure(Message, frozen=True):
    """Write what this host's process counted."""

    request_id: int


# From a host


class Opened(Message, frozen=True):
    """The object as it stands; `missed` is what followed the follower's `seq`.

    Not `is_complete`: too much was missed, or the epoch is another one; begin again at `head`.
    """

    number: int
    key: ObjectKey
    epoch: str
    head: int
    facts: dict[str, str]
    missed: list[EntryLine]
    is_complete: bool


class Refused(Message, frozen=True):
    """The object cannot be opened here: lives elsewhere, does not exist, or storage is away."""

    number: int
    key: ObjectKey
    code: str


class Unsure(Message, frozen=True):
    """The host could not renew its lease: whoever follows or asks here looks who owns what now."""


class Gone(Message, frozen=True):
    """The object is not here any more; unless the move was planned, ask where it is."""

    key: ObjectKey
    moved_to: Placement | None = None


class Entries(Message, frozen=True):
    """Entries that were stored, in order."""

    key: ObjectKey
    entries: list[EntryLine]


class Shown(Message, frozen=True):
    """A latest state that is not stored; `data` is JSON."""

    key: ObjectKey
    kind: str
    data: bytes


class Signalled(Message, Generic[Command], frozen=True):
    """Something of the object's kind, for this peer alone."""

    key: ObjectKey
    signal: Command


class HistoryPage(Message, frozen=True):
    """The entries asked for."""

    request_id: int
    entries: list[EntryLine]


class ObjectFacts(msgspec.Struct, array_like=True, frozen=True):
    """One running object as operators see it."""

    id: uuid.UUID
    epoch: str
    head: int
    followers: int
    mailbox: int
    entries_per_min: float
    facts: dict[str, str]
    shown: dict[str, dict[str, Any]]


class SurveyPage(Message, frozen=True):
    """The objects asked for, and who owns them."""

    request_id: int
    host_id: str
    incarnation: int
    objects: list[ObjectFacts]


class Measured(Message, frozen=True):
    """Prometheus's text."""

    request_id: int
    text: bytes


class Stored(Message, frozen=True):
    """What was sent is stored under this number, as this kind of entry."""

    request_id: int
    entry_id: str
    epoch: str
    seq: int
    kind: str = ""


class Done(Message, frozen=True):
    """What was asked for is done and, where it changes something, stored."""

    request_id: int


class Answered(Message, Generic[Command], frozen=True):
    """What was asked for, in words of the object's kind."""

    request_id: int
    answer: Command


class Denied(Message, frozen=True):
    """What was asked for is not done."""

    request_id: int
    code: str
    message: str
    retryable: bool
    details: dict[str, Any] = {}


def accept_from_peers(kinds: Sequence[Kind]) -> Mapping[str, Any]:
    """Return what a host accepts, by the role that sends it."""
    return {
        role: _accept_from(
            role, tuple(command for kind in kinds for command in kind.commands.get(role, ()))
        )
        for role in (EDGE, API)
    }


def accept_from_host(kinds: Sequence[Kind]) -> Any:
    """Return what hosts may send to whoever asks them."""
    signals = tuple(signal for kind in kinds for signal in kind.signals)
    return _accept_words(signals, tuple(answer for kind in kinds for answer in kind.answers))


# Building such types is slow, and there are few: hosts and clients of a process share them.


@functools.cache
def _accept_words(signals: tuple[type, ...], answers: tuple[type, ...]) -> Any:
    telling = (Opened, Refused, Unsure, Gone, Entries, Shown)
    answering = (HistoryPage, SurveyPage, Measured, Stored, Done, Denied)
    filled = [(Signalled, signals), (Answered, answers)]
    return _join(
        [*telling, *answering, *(_fill(generic, parts) for generic, parts in filled if parts)]
    )


@functools.cache
def _accept_from(role: str, commands: tuple[type, ...]) -> Any:
    operating = [Move, Survey, Measure] if role == API else []
    asking = [_fill(Ask, commands), _fill(Tell, commands)] if commands else []
    return _join([Open, Close, HistoryAsk, *asking, *operating])


def _fill(generic: Any, parts: Iterable[Any]) -> Any:
    """Return the generic message with one of these inside."""
    return generic[_join(parts)]


def _join(parts: Iterable[Any]) -> Any:
    """Return the union of types that are known only at run time."""
    return functools.reduce(operator.or_, parts)
