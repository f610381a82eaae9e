"""Fenced writes of what readers were shown: numbers unique, the newest rows kept."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from kit.ids import make_id
from storage.database import Database, SequenceTaken
from storage.feed_shown import (
    ShownPosts,
    find_owned_ranker,
    list_newest_shown,
    list_shown_after,
    write_shown_tick,
)
from storage.hosts import fence_host
from storage.placements import FEED, place_object
from tests.storage.live_rows import create_user_row
from tests.storage.test_hosts import start_host

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Stage:
    """A host that owns Ada's ranker and not Bob's."""

    host: tuple[str, int]
    ada: uuid.UUID
    bob: uuid.UUID


@pytest.fixture
async def stage(database: Database) -> Stage:
    async with database.connection() as connection:
        ada, bob = [await create_user_row(connection, name) for name in ("ada", "bob")]
        host = ("a", await start_host(connection, "a"))
        await place_object(connection, FEED, ada, host)
    return Stage(host, ada, bob)


def make_row(user_id: uuid.UUID, seq: int, posts: int = 2) -> ShownPosts:
    ids = [make_id() for _ in range(posts)]
    return ShownPosts(user_id, seq, make_id(), ids, datetime.now(UTC))


async def test_a_tick_writes_what_the_host_owns_and_names_the_rest(
    database: Database, stage: Stage
) -> None:
    rows = [make_row(stage.ada, 1), make_row(stage.bob, 1), make_row(stage.ada, 2, posts=100)]
    async with database.connection() as connection:
        fenced = await write_shown_tick(connection, stage.host, rows, keep_max=10)
        assert fenced == {stage.bob}
        assert await list_shown_after(connection, stage.ada, 0, 10) == [rows[0], rows[2]]
        assert await list_newest_shown(connection, stage.ada, 1) == [rows[2]]
        assert await list_newest_shown(connection, stage.bob, 1) == []
        assert await find_owned_ranker(connection, stage.host, stage.ada) is not None
        assert await find_owned_ranker(connection, stage.host, stage.bob) is None


async def test_a_fenced_host_writes_nothing(database: Database, stage: Stage) -> None:
    async with database.connection() as connection:
        await fence_host(connection, *stage.host)
        row = make_row(stage.ada, 1)
        assert await write_shown_tick(connection, stage.host, [row], keep_max=10) == {stage.ada}
        assert await list_newest_shown(connection, stage.ada, 1) == []
        assert await find_owned_ranker(connection, stage.host, stage.ada) is None


async def test_a_number_is_given_once(database: Database, stage: Stage) -> None:
    async with database.connection() as connection:
        row = make_row(stage.ada, 1)
        await write_shown_tick(connection, stage.host, [row], keep_max=10)
        with pytest.raises(SequenceTaken):
            await write_shown_tick(connection, stage.host, [make_row(stage.ada, 1)], keep_max=10)
        assert await list_newest_shown(connection, stage.ada, 2) == [row]


async def test_the_newest_rows_are_kept(database: Database, stage: Stage) -> None:
    async with database.connection() as connection:
        for seq in range(1, 9):
            await write_shown_tick(connection, stage.host, [make_row(stage.ada, seq)], keep_max=3)
        kept = await list_shown_after(connection, stage.ada, 0, 10)
        assert [row.seq for row in kept] == [6, 7, 8]
