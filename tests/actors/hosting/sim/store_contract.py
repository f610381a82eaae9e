"""What hosts rely on in storage, case by case: for PostgreSQL and for the simulated server alike.

The simulation proves the protocol only as far as its server behaves like PostgreSQL; each case here
runs against both.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest

from actors.hosting.core import HostRef, ObjectKey, TickOutcome
from actors.hosting.entries import Batch, Entry
from actors.hosting.ports import HostStore
from actors.live_room.entries import Change, RoomStatus
from storage.database import DatabaseBusy, SequenceTaken
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


# Leases


async def a_host_is_listed_once_announced(stage: StoreStage) -> None:
    incarnation = await stage.store.register("a", node="here", ttl_s=30)
    assert await stage.store.list_live_hosts() == []
    assert await stage.store.announce(("a", incarnation), "unix:/a")
    (entry,) = await stage.store.list_live_hosts()
    assert (entry.id, entry.incarnation, entry.node) == ("a", incarnation, "here")
    assert (entry.address, entry.objects) == ("unix:/a", 0)


async def registering_again_ends_the_older_incarnation(stage: StoreStage) -> None:
    store = stage.store
    first, second = await start_host(store, "a"), await start_host(store, "a")
    assert second[1] > first[1]
    assert not await store.renew(first, 30)
    assert not await store.announce(first, "unix:/x")
    assert not await store.fence(first)
    assert await store.renew(second, 30)


async def a_fenced_host_is_over_for_good(stage: StoreStage) -> None:
    store = stage.store
    host = await start_host(store, "a")
    assert await store.fence(host)
    assert not await store.fence(host)
    assert not await store.renew(host, 30)
    assert not await store.announce(host, "unix:/a")
    assert not await store.drain(host)
    assert await store.list_live_hosts() == []


async def a_lapsed_host_may_still_renew(stage: StoreStage) -> None:
    host = await start_host(stage.store, "a", ttl_s=-1)
    assert await stage.store.list_live_hosts() == []
    assert await stage.store.renew(host, 30)
    assert len(await stage.store.list_live_hosts()) == 1


async def a_draining_host_keeps_its_lease_and_its_rooms(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    assert await store.drain(cast.a)
    assert not await store.drain(cast.a)
    assert [entry.id for entry in await store.list_live_hosts()] == ["b"]
    assert await store.renew(cast.a, 30)
    assert await find_owner(stage, cast.rooms[0]) == (cast.a, True)
    assert (await cast.write(cast.a, cast.line(0, 1, "x"))).fenced == frozenset()


async def only_lapsed_hosts_are_swept_and_none_soon_after_a_start(stage: StoreStage) -> None:
    store = stage.store
    await start_host(store, "lapsed", ttl_s=-1)
    await start_host(store, "alive")
    assert await store.fence_expired(GRACE_S) == []
    assert await store.fence_expired(0) == ["lapsed"]
    assert await store.fence_expired(0) == []


async def the_emptiest_host_comes_first(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    assert [(e.id, e.objects) for e in await store.list_live_hosts()] == [("b", 0), ("a", 2)]
    await store.fence(cast.a)
    await start_host(store, "a")
    assert [(e.id, e.objects) for e in await store.list_live_hosts()] == [("a", 0), ("b", 0)]


# Placements


async def a_living_owner_is_not_replaced(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    kept = await store.place(cast.rooms[0], cast.b)
    assert kept is not None
    assert (kept.host_id, kept.incarnation, kept.is_live) == (*cast.a, True)


async def a_lapsed_owner_is_kept_until_it_is_fenced(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    await store.renew(cast.a, -10)
    await store.place(cast.rooms[0], cast.b)
    assert await find_owner(stage, cast.rooms[0]) == (cast.a, True)
    await store.fence(cast.a)
    assert await find_owner(stage, cast.rooms[0]) == (cast.a, False)
    await store.place(cast.rooms[0], cast.b)
    assert await find_owner(stage, cast.rooms[0]) == (cast.b, True)


async def a_restarted_host_does_not_own_what_it_owned(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    again = await start_host(store, "a")
    assert await find_owner(stage, cast.rooms[0]) == (cast.a, False)
    await store.place(cast.rooms[0], again)
    assert await find_owner(stage, cast.rooms[0]) == (again, True)


async def nothing_is_placed_on_a_host_that_takes_nothing(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    key = await stage.make_room()
    await store.renew(cast.a, -10)
    assert await store.place(key, cast.a) is None
    await store.drain(cast.b)
    assert await store.place(key, cast.b) is None
    await store.fence(cast.b)
    assert await store.place(key, cast.b) is None
    assert await store.place(key, ("nobody", 1)) is None
    standing = await store.place(cast.rooms[0], cast.b)
    assert standing is not None
    assert standing.host_id == "a"
    assert await find_owner(stage, key) is None


async def a_host_gives_up_only_what_it_owns(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    assert not await store.release(cast.rooms[0], cast.b)
    assert await store.release(cast.rooms[0], cast.a)
    assert not await store.release(cast.rooms[0], cast.a)
    assert await find_owner(stage, cast.rooms[0]) is None
    await store.place(cast.rooms[0], cast.b)
    assert await find_owner(stage, cast.rooms[0]) == (cast.b, True)


async def a_host_moves_only_what_it_owns_and_only_to_one_that_takes_it(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    assert await store.move(cast.rooms[0], cast.b, cast.a) is None
    assert await store.move(cast.rooms[0], cast.a, ("nobody", 1)) is None
    moved = await store.move(cast.rooms[0], cast.a, cast.b)
    assert moved is not None
    assert (moved.host_id, moved.incarnation, moved.is_live) == (*cast.b, True)
    assert moved == await store.find_placement(cast.rooms[0])
    assert await store.move(cast.rooms[0], cast.a, cast.b) is None
    await store.drain(cast.b)
    assert await store.move(cast.rooms[1], cast.a, cast.b) is None
    assert await find_owner(stage, cast.rooms[1]) == (cast.a, True)


# Writes


async def a_tick_writes_several_rooms(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    lines = [cast.line(0, 1, "x"), cast.line(0, 2, "y"), cast.line(1, 1, "x")]
    outcome = await cast.write(cast.a, *lines)
    assert (outcome.fenced, outcome.repeated) == (frozenset(), {})
    entries = [entry for _, entry in lines]
    assert await store.read_after(cast.rooms[0], 0, 10) == entries[:2]
    assert await store.read_after(cast.rooms[0], 1, 10) == entries[1:2]
    assert await store.read_after(cast.rooms[0], 0, 1) == entries[:1]
    loaded = await store.load(cast.rooms[0], cast.a)
    assert loaded is not None
    assert (loaded.facts.head, loaded.history) == (2, entries[:2])
    assert await cast.load_head(cast.a, 1) == 1
    assert await cast.load_head(cast.b, 1) is None


async def a_fenced_or_replaced_host_writes_nothing(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    await store.fence(cast.a)
    assert (await cast.write(cast.a, cast.line(0, 1, "x"))).fenced == {cast.rooms[0].id}
    again = await start_host(store, "a")
    assert (await cast.write(cast.a, cast.line(0, 1, "x"))).fenced == {cast.rooms[0].id}
    assert (await cast.write(again, cast.line(0, 1, "x"))).fenced == {cast.rooms[0].id}
    assert await cast.list_seqs() == []
    assert await cast.load_head(cast.a, 0) is None


async def a_lapsed_host_nobody_fenced_still_writes(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    await store.renew(cast.a, -10)
    assert (await cast.write(cast.a, cast.line(0, 1, "x"))).fenced == frozenset()
    assert await cast.list_seqs() == [1]


async def a_room_that_went_elsewhere_is_left_out_of_the_tick(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    await store.release(cast.rooms[0], cast.a)
    await store.place(cast.rooms[0], cast.b)
    outcome = await cast.write(cast.a, cast.line(0, 1, "x"), cast.line(1, 1, "x"))
    assert outcome.fenced == {cast.rooms[0].id}
    assert (await cast.list_seqs(0), await cast.list_seqs(1)) == ([], [1])
    assert await cast.load_head(cast.a, 0) is None
    assert await cast.load_head(cast.b, 0) == 0


async def a_repeated_line_leaves_its_room_untouched(stage: StoreStage) -> None:
    cast = await set_up(stage)
    first = cast.line(0, 1, "same")
    await cast.write(cast.a, first)
    outcome = await cast.write(
        cast.a, cast.line(0, 2, "same"), cast.line(0, 3, "fresh"), cast.line(1, 1, "same")
    )
    assert outcome.repeated == {
        cast.rooms[0].id: {(stage.user_id, "same"): (first[1].id, 1, "chat_message")}
    }
    assert outcome.fenced == frozenset()
    assert (await cast.list_seqs(0), await cast.list_seqs(1)) == ([1], [1])


async def a_fenced_host_still_hears_of_repeats(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    first = cast.line(0, 1, "same")
    await cast.write(cast.a, first)
    await store.fence(cast.a)
    outcome = await cast.write(cast.a, cast.line(0, 2, "same"))
    assert outcome.fenced == {cast.rooms[0].id}
    assert outcome.repeated == {
        cast.rooms[0].id: {(stage.user_id, "same"): (first[1].id, 1, "chat_message")}
    }


async def a_taken_number_refuses_the_whole_tick(stage: StoreStage) -> None:
    cast = await set_up(stage)
    await cast.write(cast.a, cast.line(0, 1, "x"))
    with pytest.raises(SequenceTaken):
        await cast.write(cast.a, cast.line(0, 1, "y"), cast.line(1, 1, "y"))
    with pytest.raises(SequenceTaken):
        await cast.write(cast.a, cast.line(0, 1, None))
    with pytest.raises(SequenceTaken):
        await cast.write(cast.a, cast.line(1, 1, "twice"), cast.line(1, 2, "twice"))
    assert (await cast.list_seqs(0), await cast.list_seqs(1)) == ([1], [])


async def numbers_may_be_left_out(stage: StoreStage) -> None:
    """Nothing but the host keeps numbers without a gap."""
    cast = await set_up(stage)
    await cast.write(cast.a, cast.line(0, 5, "x"))
    await cast.write(cast.a, cast.line(0, 2, "y"))
    assert await cast.list_seqs() == [2, 5]


async def a_status_change_goes_with_its_entry(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store

    def change(status: RoomStatus) -> Change:
        return Change(status, {"edge": "e"}, 1, 3, AT, None, None)

    assert await store.list_unowned(ROOM, 10) == []
    changes = {
        cast.rooms[0]: change(RoomStatus.LIVE),
        cast.rooms[1]: change(RoomStatus.ENDED),
    }
    lines = [cast.line(0, 1, None), cast.line(1, 1, None)]
    await store.write(ROOM, cast.a, gather(*lines, changes=changes))
    loaded = await store.load(cast.rooms[0], cast.a)
    assert loaded is not None
    facts = loaded.facts
    assert (facts.status, facts.origin, facts.origin_gen) == (RoomStatus.LIVE, {"edge": "e"}, 1)
    assert facts.viewers_peak == 3
    assert await store.list_unowned(ROOM, 10) == []
    await store.fence(cast.a)
    late = gather(cast.line(0, 2, None), changes={cast.rooms[0]: change(RoomStatus.ENDED)})
    await store.write(ROOM, cast.a, late)
    assert await store.list_unowned(ROOM, 10) == [cast.rooms[0].id]
    await store.place(cast.rooms[0], cast.b)
    assert await store.list_unowned(ROOM, 10) == []


# Statements at the same time


async def stays_waiting(work: Awaitable[Any]) -> asyncio.Future[Any]:
    """Start something and see that it does not finish by itself."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0.2)
    assert not task.done()
    return task


async def whoever_ends_a_host_waits_for_its_write_in_flight(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    async with stage.hold_write(cast.a, gather(cast.line(0, 1, "x"))):
        assert await cast.list_seqs() == []
        fence = await stays_waiting(store.fence(cast.a))
    assert await fence
    assert await cast.list_seqs() == [1]
    assert (await cast.write(cast.a, cast.line(0, 2, "y"))).fenced == {cast.rooms[0].id}


async def a_renewal_waits_for_the_hosts_own_write(stage: StoreStage) -> None:
    cast = await set_up(stage)
    async with stage.hold_write(cast.a, gather(cast.line(0, 1, "x"))):
        assert await stage.store.renew(cast.b, 30)
        renewal = await stays_waiting(stage.store.renew(cast.a, 30))
    assert await renewal


async def writes_and_placements_of_one_host_do_not_wait_for_each_other(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    key = await stage.make_room()
    async with stage.hold_write(cast.a, gather(cast.line(0, 1, "x"))):
        assert (await cast.write(cast.a, cast.line(1, 1, "x"))).fenced == frozenset()
        await store.place(key, cast.a)
        assert await find_owner(stage, key) == (cast.a, True)


async def a_lock_that_does_not_come_is_given_up(stage: StoreStage) -> None:
    cast = await set_up(stage)
    async with stage.hold_write(cast.a, gather(cast.line(0, 1, "x"))):
        with pytest.raises(DatabaseBusy):
            await stage.store.fence(cast.a)
    assert (await cast.write(cast.a, cast.line(0, 2, "y"))).fenced == frozenset()


async def of_two_writes_with_one_number_the_second_is_refused(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    async with stage.hold_write(cast.a, gather(cast.line(0, 1, "x"))):
        await store.release(cast.rooms[0], cast.a)
        await store.place(cast.rooms[0], cast.b)
        second = await stays_waiting(cast.write(cast.b, cast.line(0, 1, "y")))
    with pytest.raises(SequenceTaken):
        await second
    (stored,) = await store.read_after(cast.rooms[0], 0, 10)
    assert stored.client_id == "x"


async def of_two_writes_of_one_line_the_second_is_refused(stage: StoreStage) -> None:
    cast = await set_up(stage)
    async with stage.hold_write(cast.a, gather(cast.line(0, 1, "x"))):
        second = await stays_waiting(cast.write(cast.a, cast.line(0, 2, "x")))
    with pytest.raises(SequenceTaken):
        await second
    assert await cast.list_seqs() == [1]


CASES: list[Callable[[StoreStage], Awaitable[None]]] = [
    a_host_is_listed_once_announced,
    registering_again_ends_the_older_incarnation,
    a_fenced_host_is_over_for_good,
    a_lapsed_host_may_still_renew,
    a_draining_host_keeps_its_lease_and_its_rooms,
    only_lapsed_hosts_are_swept_and_none_soon_after_a_start,
    the_emptiest_host_comes_first,
    a_living_owner_is_not_replaced,
    a_lapsed_owner_is_kept_until_it_is_fenced,
    a_restarted_host_does_not_own_what_it_owned,
    nothing_is_placed_on_a_host_that_takes_nothing,
    a_host_gives_up_only_what_it_owns,
    a_host_moves_only_what_it_owns_and_only_to_one_that_takes_it,
    a_tick_writes_several_rooms,
    a_fenced_or_replaced_host_writes_nothing,
    a_lapsed_host_nobody_fenced_still_writes,
    a_room_that_went_elsewhere_is_left_out_of_the_tick,
    a_repeated_line_leaves_its_room_untouched,
    a_fenced_host_still_hears_of_repeats,
    a_taken_number_refuses_the_whole_tick,
    numbers_may_be_left_out,
    a_status_change_goes_with_its_entry,
    whoever_ends_a_host_waits_for_its_write_in_flight,
    a_renewal_waits_for_the_hosts_own_write,
    writes_and_placements_of_one_host_do_not_wait_for_each_other,
    a_lock_that_does_not_come_is_given_up,
    of_two_writes_with_one_number_the_second_is_refused,
    of_two_writes_of_one_line_the_second_is_refused,
]
