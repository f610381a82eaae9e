"""What hosts rely on in ticks: fences, numbers, repeats, locks, case by case."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from actors.live_room.entries import Change, RoomStatus
from storage.database import DatabaseBusy, SequenceTaken
from storage.placements import ROOM
from tests.actors.hosting.sim.store_stage import (
    AT,
    Case,
    StoreStage,
    find_number,
    find_owner,
    gather,
    set_up,
    start_host,
)

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
    await store.release(cast.rooms[0], cast.a, await find_number(stage, cast.rooms[0]))
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


async def stays_waiting(stage: StoreStage, work: Awaitable[Any]) -> asyncio.Future[Any]:
    """Start something and see that it does not finish by itself."""
    task = asyncio.ensure_future(work)
    await stage.wait_until_blocked()
    assert not task.done()
    return task


async def whoever_ends_a_host_waits_for_its_write_in_flight(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    async with stage.hold_write(cast.a, gather(cast.line(0, 1, "x"))):
        assert await cast.list_seqs() == []
        fence = await stays_waiting(stage, store.fence(cast.a))
    assert await fence
    assert await cast.list_seqs() == [1]
    assert (await cast.write(cast.a, cast.line(0, 2, "y"))).fenced == {cast.rooms[0].id}


async def a_renewal_waits_for_the_hosts_own_write(stage: StoreStage) -> None:
    cast = await set_up(stage)
    async with stage.hold_write(cast.a, gather(cast.line(0, 1, "x"))):
        assert await stage.store.renew(cast.b, 30)
        renewal = await stays_waiting(stage, stage.store.renew(cast.a, 30))
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
        await store.release(cast.rooms[0], cast.a, await find_number(stage, cast.rooms[0]))
        await store.place(cast.rooms[0], cast.b)
        second = await stays_waiting(stage, cast.write(cast.b, cast.line(0, 1, "y")))
    with pytest.raises(SequenceTaken):
        await second
    (stored,) = await store.read_after(cast.rooms[0], 0, 10)
    assert stored.client_id == "x"


async def of_two_writes_of_one_line_the_second_is_refused(stage: StoreStage) -> None:
    cast = await set_up(stage)
    async with stage.hold_write(cast.a, gather(cast.line(0, 1, "x"))):
        second = await stays_waiting(stage, cast.write(cast.a, cast.line(0, 2, "x")))
    with pytest.raises(SequenceTaken):
        await second
    assert await cast.list_seqs() == [1]


WRITES: list[Case] = [
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
