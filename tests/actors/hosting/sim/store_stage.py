"""Where the cases of the store's contract stand: two hosts, two rooms, whichever store it is."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from actors.hosting.core import HostRef, ObjectKey, TickOutcome
from actors.hosting.entries import Batch, Entry
from actors.hosting.ports import HostStore
from actors.live_room.entries import Change
from storage.placements import ROOM

AT = datetime(2026, 1, 1, tzinfo=UTC)
GRACE_S = 86_400.0
Line = tuple[ObjectKey, Entry]


class StoreStage(Protocol):
    """One of the two stores, with a person in it."""

    store: HostStore
    user_id: uuid.UUID

    async def make_room(self) -> ObjectKey:
        """Add a broadcast."""
        ...

    def hold_write(
        self, host: HostRef, batches: Mapping[uuid.UUID, Batch]
    ) -> AbstractAsyncContextManager[None]:
        """Write a tick that is executed at the entry and committed at the exit."""
        ...

    async def pass_time(self, seconds: float) -> None:
        """Let all leases be so much older."""
        ...

    async def wait_until_blocked(self) -> None:
        """Return once a statement waits for another one's lock."""
        ...


Case = Callable[[StoreStage], Awaitable[None]]


@dataclass
class Cast:
    """Two living hosts; the first owns two rooms."""

    stage: StoreStage
    a: HostRef
    b: HostRef
    rooms: list[ObjectKey]
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def line(self, room: int, seq: int, client_id: str | None) -> Line:
        entry = Entry(
            seq=seq,
            id=uuid.UUID(int=next(self._ids)),
            kind="state" if client_id is None else "chat_message",
            user_id=None if client_id is None else self.stage.user_id,
            client_id=client_id,
            body={"text": client_id},
            created_at=AT,
        )
        return self.rooms[room], entry

    async def write(self, host: HostRef, *lines: Line) -> TickOutcome:
        return await self.stage.store.write(ROOM, host, gather(*lines))

    async def list_seqs(self, room: int = 0) -> list[int]:
        entries = await self.stage.store.read_after(self.rooms[room], 0, 100)
        return [entry.seq for entry in entries]

    async def load_head(self, host: HostRef, room: int) -> int | None:
        loaded = await self.stage.store.load(self.rooms[room], host)
        return None if loaded is None else loaded.facts.head


def gather(
    *lines: Line, changes: Mapping[ObjectKey, Change] | None = None
) -> dict[uuid.UUID, Batch]:
    """Return the tick of these lines."""
    entries: dict[ObjectKey, list[Entry]] = {}
    for key, entry in lines:
        entries.setdefault(key, []).append(entry)
    return {key.id: Batch(tuple(found), (changes or {}).get(key)) for key, found in entries.items()}


async def start_host(store: HostStore, host_id: str, ttl_s: float = 30.0) -> HostRef:
    incarnation = await store.register(host_id, node="here", ttl_s=ttl_s)
    assert await store.announce((host_id, incarnation), f"unix:/{host_id}")
    return (host_id, incarnation)


async def set_up(stage: StoreStage) -> Cast:
    a, b = await start_host(stage.store, "a"), await start_host(stage.store, "b")
    rooms = [await stage.make_room(), await stage.make_room()]
    for key in rooms:
        assert await stage.store.place(key, a) is not None
    return Cast(stage, a, b, rooms)


async def find_owner(stage: StoreStage, key: ObjectKey) -> tuple[HostRef, bool] | None:
    placement = await stage.store.find_placement(key)
    if placement is None:
        return None
    return (placement.host_id, placement.incarnation), placement.is_live


async def find_number(stage: StoreStage, key: ObjectKey) -> int:
    placement = await stage.store.find_placement(key)
    assert placement is not None
    return placement.number
