"""How often a process asks storage where objects live: once each, until somebody says otherwise."""

from __future__ import annotations

import uuid
from typing import Any, cast

import pytest

from actors.hosting.core import HostRef, ObjectKey
from actors.hosting.directory import Directory
from actors.hosting.ports import HostStore
from kit.clock import SystemClock
from storage.hosts import HostEntry
from storage.placements import ROOM, Placement

pytestmark = pytest.mark.unit

KEY = ObjectKey(ROOM, uuid.UUID(int=1))


class OneHostStore:
    """Placements on one host, in memory; counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._placed: dict[ObjectKey, Placement] = {}

    async def find_placement(self, key: ObjectKey) -> Placement | None:
        self.asked += 1
        return self._placed.get(key)

    async def list_live_hosts(self) -> list[HostEntry]:
        self.asked += 1
        return [HostEntry("host-0", 1, "here", "unix:/x", len(self._placed))]

    async def place(self, key: ObjectKey, host: HostRef) -> Placement | None:
        self.asked += 1
        found = Placement(key.id, *host, "here", "unix:/x", True, len(self._placed) + 1)
        return self._placed.setdefault(key, found)


def make_directory(store: Any) -> Directory:
    return Directory(cast(HostStore, store), SystemClock(), "here")


async def test_a_known_owner_costs_no_query():
    store = OneHostStore()
    directory = make_directory(store)
    owner = await directory.get_owner(KEY)
    before = store.asked
    assert [await directory.get_owner(KEY) for _ in range(1_000)] == [owner] * 1_000
    assert store.asked == before


async def test_an_object_that_was_placed_costs_another_process_one_query():
    store = OneHostStore()
    await make_directory(store).get_owner(KEY)
    before = store.asked
    await make_directory(store).get_owner(KEY)
    assert store.asked == before + 1


async def test_an_owner_that_moved_is_believed_and_one_that_is_lost_is_asked_for():
    store = OneHostStore()
    directory = make_directory(store)
    owner = await directory.get_owner(KEY)
    before = store.asked
    directory.note_move(KEY, owner)
    assert (await directory.get_owner(KEY), store.asked) == (owner, before)
    directory.forget_host((owner.host_id, owner.incarnation))
    assert (await directory.get_owner(KEY), store.asked) == (owner, before + 1)
