"""Fenced writes of people's channels: whole or nothing, events once, the newest never purged."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from kit.ids import make_id
from storage.database import Database, SequenceTaken, WriteRefused
from storage.hosts import fence_host
from storage.placements import USER, place_object
from storage.user_entries import (
    UserEntry,
    find_owned_channel,
    list_entries_after,
    list_newest_entries,
    purge_entries,
    write_user_tick,
)
from tests.storage.live_rows import create_user_row
from tests.storage.test_hosts import start_host

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Stage:
    """A host that owns two people's sessions."""

    host: tuple[str, int]
    people: tuple[uuid.UUID, uuid.UUID]

    def entry(
        self, person: int, seq: int, event_id: uuid.UUID | None = None, age_s: float = 0.0
    ) -> UserEntry:
        return UserEntry(
            user_id=self.people[person],
            seq=seq,
            id=make_id(),
            kind="notification",
            event_id=event_id or make_id(),
            body={"kind": "follow", "data": {"n": seq}},
            created_at=datetime.now(UTC) - timedelta(seconds=age_s),
        )


@pytest.fixture
async def stage(database: Database) -> Stage:
    async with database.connection() as connection:
        host = ("a", await start_host(connection, "a"))
        people = (
            await create_user_row(connection, "ada"),
            await create_user_row(connection, "bob"),
        )
        for user_id in people:
            await place_object(connection, USER, user_id, host)
    return Stage(host, people)


async def test_a_tick_writes_the_entries_of_several_people(
    database: Database, stage: Stage
) -> None:
    async with database.connection() as connection:
        before = await find_owned_channel(connection, stage.host, stage.people[0])
        entries = [stage.entry(0, 1), stage.entry(0, 2), stage.entry(1, 1)]
        outcome = await write_user_tick(connection, stage.host, entries)
        assert (outcome.fenced, outcome.repeated) == (frozenset(), {})
        assert await list_entries_after(connection, stage.people[0], 0, 10) == entries[:2]
        assert await list_newest_entries(connection, stage.people[0], 1) == [entries[1]]
        after = await find_owned_channel(connection, stage.host, stage.people[0])
    assert before is not None
    assert after is not None
    assert (before.head, after.head) == (0, 2)
    assert before.epoch == after.epoch


async def test_a_repeated_event_is_named_and_only_its_person_is_left_untouched(
    database: Database, stage: Stage
) -> None:
    event_id = make_id()
    async with database.connection() as connection:
        first = stage.entry(0, 1, event_id)
        await write_user_tick(connection, stage.host, [first])
        again = [stage.entry(0, 2), stage.entry(0, 3, event_id), stage.entry(1, 1, event_id)]
        outcome = await write_user_tick(connection, stage.host, again)
        assert outcome.repeated == {(stage.people[0], event_id): (first.id, 1)}
        assert await list_entries_after(connection, stage.people[0], 0, 10) == [first]
        assert await list_entries_after(connection, stage.people[1], 0, 10) == [again[2]]


async def test_a_fenced_host_and_one_that_does_not_own_write_nothing(
    database: Database, stage: Stage
) -> None:
    async with database.connection() as connection:
        other = ("b", await start_host(connection, "b"))
        outcome = await write_user_tick(connection, other, [stage.entry(0, 1)])
        assert outcome.fenced == {stage.people[0]}
        assert await find_owned_channel(connection, other, stage.people[0]) is None
        await fence_host(connection, *stage.host)
        outcome = await write_user_tick(connection, stage.host, [stage.entry(0, 1)])
        assert outcome.fenced == {stage.people[0]}
        assert await list_entries_after(connection, stage.people[0], 0, 10) == []


async def test_a_number_is_given_once_and_a_refused_row_writes_nothing(
    database: Database, stage: Stage
) -> None:
    async with database.connection() as connection:
        await write_user_tick(connection, stage.host, [stage.entry(0, 1)])
        with pytest.raises(SequenceTaken):
            await write_user_tick(connection, stage.host, [stage.entry(0, 1), stage.entry(1, 1)])
        with pytest.raises(WriteRefused):
            await write_user_tick(connection, stage.host, [stage.entry(1, 0)])
        assert await list_entries_after(connection, stage.people[1], 0, 10) == []


async def test_what_is_past_is_purged_but_the_newest_keeps_the_place(
    database: Database, stage: Stage
) -> None:
    day_s = 86_400.0
    entries = [stage.entry(0, seq, age_s=2 * day_s) for seq in range(1, 4)]
    entries += [stage.entry(1, seq, age_s=0) for seq in range(1, 11)]
    async with database.connection() as connection:
        await write_user_tick(connection, stage.host, entries)
        assert await purge_entries(connection, keep_s=day_s, keep_max=4, limit=5) == 5
        assert await purge_entries(connection, keep_s=day_s, keep_max=4, limit=100) == 3
        assert await purge_entries(connection, keep_s=day_s, keep_max=4, limit=100) == 0
        kept = [
            [entry.seq for entry in await list_entries_after(connection, user_id, 0, 100)]
            for user_id in stage.people
        ]
        channel = await find_owned_channel(connection, stage.host, stage.people[0])
    assert kept == [[3], [7, 8, 9, 10]]
    assert channel is not None
    assert channel.head == 3
