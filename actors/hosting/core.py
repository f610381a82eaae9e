"""What a kind of hosted object brings: its core, its commands, its place in storage.

A core is plain and pure: commands and a clock go in, effects come out. A `Kind` is made of
module-level callables, so that it is pickled by reference; `serve_apps/hosting.py` lists the kinds
a host runs. The runtime knows no kind by name.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec

from actors.hosting.effects import Effect, Requester, Show
from actors.hosting.entries import Batch, Entry, Repeats
from actors.hosting.log import Log
from kit.clock import Clock
from kit.setting_sections import LimitSettings
from storage.cache import Cache
from storage.database import Connection, Database

HostRef = tuple[str, int]
"""A host's id and incarnation."""


class ObjectKey(NamedTuple):
    """Which object: its kind and its id within the kind."""

    kind: str
    id: uuid.UUID


@dataclass(frozen=True)
class CoreTerms:
    """What cores take from outside: time, ids and limits."""

    clock: Clock
    make_id: Callable[[], uuid.UUID]
    limits: LimitSettings


class Core(Protocol):
    """The state of one object on the host that owns it."""

    @property
    def id(self) -> uuid.UUID:
        """The object's id within its kind."""
        ...

    @property
    def epoch(self) -> uuid.UUID:
        """The identity of its sequence of offsets; survives owners."""
        ...

    @property
    def log(self) -> Log:
        """Its durable channel."""
        ...

    @property
    def audience(self) -> int:
        """About how many are shown what it stores: the more, the more a shared frame saves."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost if the object were put away."""
        ...

    @property
    def due_s(self) -> float | None:
        """When it wants `pass_time`, in seconds of the clock; None: when something happened."""
        ...

    def handle(self, requester: Requester, command: Any) -> list[Effect]:
        """Act on a command of the kind, or on what a port said (`Consulted`).

        Refusals of rules are effects, not exceptions.
        """
        ...

    def pass_time(self) -> list[Effect]:
        """Do what is due."""
        ...

    def forget_link(self, link: str) -> list[Effect]:
        """A follower is gone, or out of reach."""
        ...

    def describe(self) -> dict[str, str]:
        """Return lasting facts that a follower needs."""
        ...

    def snapshot(self) -> list[Show]:
        """Return the latest states as a fresh follower is shown them."""
        ...


@dataclass(frozen=True)
class Loaded:
    """An object's rows: facts as its kind defines them, and recent entries, oldest first."""

    facts: Any
    history: list[Entry]
    placement: int
    """The number under which the host owns it: what it gives up or moves."""


class TickOutcome(msgspec.Struct, frozen=True):
    """What became of a tick, object by object: one is written whole or not at all.

    `repeated` names, per object, what was already stored; those objects, like the `fenced` ones,
    were left untouched.
    """

    fenced: frozenset[uuid.UUID]
    repeated: dict[uuid.UUID, Repeats]


@dataclass(frozen=True)
class KindStore:
    """How a kind is kept in PostgreSQL; each call is one or few autocommit statements."""

    load: Callable[[Connection, HostRef, uuid.UUID, int], Awaitable[Loaded | None]]
    """The object with at most so many recent entries; None when the host does not own it."""
    write: Callable[[Connection, HostRef, Mapping[uuid.UUID, Batch]], Awaitable[TickOutcome]]
    """Raises WriteRefused, SequenceTaken, or WriteOutcomeUnknown."""
    read_after: Callable[[Connection, uuid.UUID, int, int], Awaitable[list[Entry]]]
    """Entries of an object after a number, at most so many."""
    list_unowned: Callable[[Connection, int], Awaitable[list[uuid.UUID]]] | None = None
    """Objects that need an owner although nobody asks for them."""
    connections_max: int | None = None
    """How many connections of a pool placing, loading and reading its objects may hold at once.

    A kind that others must not wait for takes one, so that it never has a pool's last; None: any.
    """


@dataclass(frozen=True)
class HostView:
    """What a kind's work beside its objects may use."""

    cache: Cache
    clock: Clock
    list_cores: Callable[[str], list[Core]]
    """The running objects of a kind."""
    database: Database
    find_host: Callable[[], HostRef | None]
    """The present incarnation, under which alone it may write; None between two of them."""


@dataclass(frozen=True)
class Kind:
    """One kind of hosted object."""

    name: str
    make_core: Callable[[Loaded, CoreTerms], Core]
    describe_entry: Callable[[uuid.UUID, Entry], dict[str, Any]]
    """The `data` of the event that tells of an entry."""
    commands: Mapping[str, tuple[type, ...]]
    """What peers may send, by role."""
    durable: tuple[type, ...]
    """Commands that are refused while nothing can be stored."""
    signals: tuple[type, ...]
    """What the host sends to single peers."""
    store: KindStore
    answers: tuple[type, ...] = ()
    """What cores answer with (`Answer`), beside what every kind answers with."""
    objects_max: int = 10_000
    """How many of them one host runs; beyond it whoever asks is refused (`HostFull`)."""
    consult: Callable[[Any], Awaitable[Any]] | None = None
    """A port that cores may consult; always asked with a deadline."""
    run_beside: Callable[[HostView], Coroutine[Any, Any, None]] | None = None
    """Runs on every host until cancelled; what it does may be lost at any time."""

    def may_send(self, role: str, command: Any) -> bool:
        """Tell whether a peer of this role may send the command to this kind."""
        return isinstance(command, self.commands.get(role, ()))


def index_kinds(kinds: Sequence[Kind]) -> dict[str, Kind]:
    """Return the kinds by name."""
    index = {kind.name: kind for kind in kinds}
    assert len(index) == len(kinds), "every kind has a name of its own"
    return index
