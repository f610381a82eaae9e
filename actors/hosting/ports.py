"""What the runtime needs from outside: storage, links, time. Declared here, made elsewhere.

`postgres.py` and `actors/link/transport.py` are the real ones. Every call to a store may raise an
AppError, which says that nothing was written, unless its docstring says otherwise.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from actors.hosting.core import HostRef, Kind, Loaded, ObjectKey, TickOutcome
from actors.hosting.entries import Batch, Entry
from actors.hosting.supervision import HOST_INTENSITY, OBJECT_INTENSITY, Intensity
from actors.link.frames import LinkPeer
from kit.clock import Clock
from kit.settings import Settings
from storage.hosts import LATE_S, HostEntry
from storage.placements import Placement


class HostStore(Protocol):
    """Leases, placements and the rows of hosted objects."""

    async def register(self, host_id: str, *, node: str, ttl_s: float) -> int:
        """Give the host a fresh lease; return its incarnation."""
        ...

    async def announce(self, host: HostRef, address: str) -> bool:
        """Open the host for placements at `address`."""
        ...

    async def renew(self, host: HostRef, ttl_s: float) -> bool:
        """Extend the lease after the host's own writes in flight have ended; False: fenced."""
        ...

    async def drain(self, host: HostRef) -> bool:
        """Take the host out of placement."""
        ...

    async def fence(self, host: HostRef) -> bool:
        """End an incarnation; True when it was not yet over."""
        ...

    async def fence_late(self, host: HostRef, left_s: float = LATE_S) -> bool:
        """End an incarnation whose lease has less than `left_s` left; True when it is over now."""
        ...

    async def fence_expired(self, ttl_s: float) -> list[str]:
        """Fence hosts whose lease lapsed; return their ids."""
        ...

    async def list_live_hosts(self) -> list[HostEntry]:
        """Return the hosts that take placements, the emptiest first."""
        ...

    async def find_placement(self, key: ObjectKey) -> Placement | None:
        """Return where the object is placed, living owner or not."""
        ...

    async def place(self, key: ObjectKey, host: HostRef) -> Placement | None:
        """Place the object unless it has a living owner; return the placement that stands."""
        ...

    async def move(
        self, key: ObjectKey, host: HostRef, number: int, target: HostRef
    ) -> Placement | None:
        """Give an object that `host` stopped to `target`; None: not ours, or target takes none.

        Whoever sees the statement fail does not know whether, or when, it is executed.
        """
        ...

    async def release(self, key: ObjectKey, host: HostRef, number: int) -> bool:
        """Give up an object that `host` stopped; like `move` for whoever sees it fail."""
        ...

    async def renumber(self, key: ObjectKey, host: HostRef) -> int | None:
        """Take another number for an object of `host`; None: not ours.

        Afterwards no `move` or `release` takes effect that was asked before.
        """
        ...

    async def list_unowned(self, kind: str, limit: int) -> list[uuid.UUID]:
        """Return objects of a kind that need an owner and have none."""
        ...

    async def load(self, key: ObjectKey, host: HostRef) -> Loaded | None:
        """Return the object's rows; None when `host` does not own it."""
        ...

    async def write(
        self, kind: str, host: HostRef, batches: Mapping[uuid.UUID, Batch]
    ) -> TickOutcome:
        """Write one tick of a kind.

        Raises WriteRefused or another AppError when surely nothing was written, SequenceTaken or
        WriteOutcomeUnknown when storage must be asked.
        """
        ...

    async def read_after(self, key: ObjectKey, seq: int, limit: int) -> list[Entry]:
        """Return stored entries after `seq`, oldest first."""
        ...


class HostLink(Protocol):
    """One end of an open link."""

    @property
    def peer(self) -> LinkPeer:
        """Who is at the other end."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether sending makes sense."""
        ...

    def send(self, message: Any) -> None:
        """Queue a message; raises LinkLost when the link is over."""
        ...

    def end(self, reason: str) -> None:
        """Close at once and tell the owner."""
        ...

    async def close(self) -> None:
        """End the link and wait for what belongs to it."""
        ...


class HostLinkOwner(Protocol):
    """Whoever a link belongs to; called on the event loop, and must not block."""

    def on_link_open(self, link: HostLink) -> None:
        """A peer proved itself."""
        ...

    def on_link_messages(self, link: HostLink, messages: list[Any]) -> None:
        """Messages of one frame, in order."""
        ...

    def on_link_lost(self, link: HostLink, reason: str) -> None:
        """The link is over; called once."""
        ...


class LinkListener(Protocol):
    """Where links are accepted."""

    @property
    def address(self) -> str:
        """What openers connect to."""
        ...

    def forget(self, link: Any) -> None:
        """Drop a lost link."""
        ...

    async def close(self) -> None:
        """Stop listening and end every link."""
        ...


class Transport(Protocol):
    """How links are accepted and opened."""

    async def listen(
        self, me: LinkPeer, accepts: Mapping[str, Any], owner: HostLinkOwner
    ) -> LinkListener:
        """Accept links of the roles in `accepts`, each with what it may send."""
        ...

    async def open(
        self, address: str, ends: tuple[LinkPeer, LinkPeer], accepted: Any, owner: HostLinkOwner
    ) -> HostLink:
        """Open a link between (me, expected peer); raises LinkRefused."""
        ...


@dataclass(frozen=True)
class HostPace:
    """How patient a host is; tests have less patience."""

    idle_max_s: float = 60.0
    """An object that nobody wanted for so long is put away."""
    sweep_every_s: float = 2.0
    object_intensity: Intensity = OBJECT_INTENSITY
    host_intensity: Intensity = HOST_INTENSITY


@dataclass(frozen=True)
class HostPorts:
    """What a host uses; whoever made it opens and closes what needs it."""

    settings: Settings
    kinds: tuple[Kind, ...]
    store: HostStore
    transport: Transport
    clock: Clock
    node: str
    make_id: Callable[[], uuid.UUID]
    pace: HostPace = field(default_factory=HostPace)


@dataclass(frozen=True)
class ClientPorts:
    """What a client of hosts uses."""

    kinds: tuple[Kind, ...]
    store: HostStore
    transport: Transport
    clock: Clock
    node: str
    jitter: random.Random
