"""What hosts rely on in leases and placements, case by case."""

from __future__ import annotations

from tests.actors.hosting.sim.store_stage import (
    GRACE_S,
    Case,
    StoreStage,
    find_number,
    find_owner,
    set_up,
    start_host,
)

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


async def only_lapsed_hosts_are_swept_and_none_before_another_was_steady(stage: StoreStage) -> None:
    store = stage.store
    await start_host(store, "lapsed", ttl_s=-1)
    await start_host(store, "alive")
    assert await store.fence_expired(GRACE_S) == []
    assert await store.fence_expired(0) == ["lapsed"]
    assert await store.fence_expired(0) == []


async def only_a_host_that_missed_renewals_is_fenced_as_late(stage: StoreStage) -> None:
    store = stage.store
    alive, late = await start_host(store, "alive"), await start_host(store, "late", ttl_s=-1)
    assert not await store.fence_late(
        late, GRACE_S
    )  # nobody is, before another was steady for so long
    assert not await store.fence_late(alive, 0.0)
    assert await store.fence_late(late, 0.0)
    assert await store.fence_late(late, 0.0)
    assert await store.fence_late(("nobody", 1), 0.0)
    assert not await store.renew(late, 30)
    again = await start_host(store, "late")
    assert await store.fence_late(late, 0.0)
    assert not await store.fence_late(again, 0.0)
    assert await store.renew(again, 30)


async def a_silence_of_the_database_makes_nobody_late(stage: StoreStage) -> None:
    store, ttl_s = stage.store, 30.0
    first, second = (
        await start_host(store, "a", ttl_s=ttl_s),
        await start_host(store, "b", ttl_s=ttl_s),
    )
    await stage.pass_time(1.5 * ttl_s)  # nobody could renew
    assert await store.renew(first, ttl_s)
    assert await store.fence_expired(ttl_s) == []
    assert not await store.fence_late(second, ttl_s / 2)
    for _ in range(6):
        await stage.pass_time(ttl_s / 5)
        assert await store.renew(first, ttl_s)
    assert await store.fence_expired(ttl_s) == ["b"]
    assert not await store.renew(second, ttl_s)


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
    number = await find_number(stage, cast.rooms[0])
    assert not await store.release(cast.rooms[0], cast.b, number)
    assert await store.release(cast.rooms[0], cast.a, number)
    assert not await store.release(cast.rooms[0], cast.a, number)
    assert await find_owner(stage, cast.rooms[0]) is None
    await store.place(cast.rooms[0], cast.b)
    assert await find_owner(stage, cast.rooms[0]) == (cast.b, True)


async def what_is_given_up_late_is_not_taken_from_a_newer_placement(stage: StoreStage) -> None:
    """The same host may own it again by then, or still."""
    cast, store = await set_up(stage), stage.store
    key = cast.rooms[0]
    first = await find_number(stage, key)
    assert await store.release(key, cast.a, first)
    assert await store.place(key, cast.a) is not None
    second = await find_number(stage, key)
    assert second != first
    assert not await store.release(key, cast.a, first)
    assert await store.move(key, cast.a, first, cast.b) is None
    third = await store.renumber(key, cast.a)
    assert third == await find_number(stage, key)
    assert third not in (None, first, second)
    assert not await store.release(key, cast.a, second)
    assert await store.move(key, cast.a, second, cast.b) is None
    assert await find_owner(stage, key) == (cast.a, True)
    loaded = await store.load(key, cast.a)
    assert loaded is not None
    assert loaded.placement == third


async def only_the_owner_takes_another_number(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    number = await find_number(stage, cast.rooms[0])
    assert await store.renumber(cast.rooms[0], cast.b) is None
    assert await store.renumber(await stage.make_room(), cast.a) is None
    assert await find_number(stage, cast.rooms[0]) == number


async def a_host_moves_only_what_it_owns_and_only_to_one_that_takes_it(stage: StoreStage) -> None:
    cast, store = await set_up(stage), stage.store
    number = await find_number(stage, cast.rooms[0])
    assert await store.move(cast.rooms[0], cast.b, number, cast.a) is None
    assert await store.move(cast.rooms[0], cast.a, number, ("nobody", 1)) is None
    moved = await store.move(cast.rooms[0], cast.a, number, cast.b)
    assert moved is not None
    assert (moved.host_id, moved.incarnation, moved.is_live) == (*cast.b, True)
    assert moved == await store.find_placement(cast.rooms[0])
    assert moved.number != number
    assert await store.move(cast.rooms[0], cast.a, number, cast.b) is None
    await store.drain(cast.b)
    number = await find_number(stage, cast.rooms[1])
    assert await store.move(cast.rooms[1], cast.a, number, cast.b) is None
    assert await find_owner(stage, cast.rooms[1]) == (cast.a, True)


OWNERSHIP: list[Case] = [
    a_host_is_listed_once_announced,
    registering_again_ends_the_older_incarnation,
    a_fenced_host_is_over_for_good,
    a_lapsed_host_may_still_renew,
    a_draining_host_keeps_its_lease_and_its_rooms,
    only_lapsed_hosts_are_swept_and_none_before_another_was_steady,
    only_a_host_that_missed_renewals_is_fenced_as_late,
    a_silence_of_the_database_makes_nobody_late,
    the_emptiest_host_comes_first,
    a_living_owner_is_not_replaced,
    a_lapsed_owner_is_kept_until_it_is_fenced,
    a_restarted_host_does_not_own_what_it_owned,
    nothing_is_placed_on_a_host_that_takes_nothing,
    a_host_gives_up_only_what_it_owns,
    what_is_given_up_late_is_not_taken_from_a_newer_placement,
    only_the_owner_takes_another_number,
    a_host_moves_only_what_it_owns_and_only_to_one_that_takes_it,
]
