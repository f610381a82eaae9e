"""Rows of broadcasts: keys are stored hashed, lists hold what they promise."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from kit.ids import make_id
from storage.database import Database
from storage.lives import (
    change_live,
    count_open_lives,
    delete_live,
    find_live,
    find_live_by_key,
    hash_stream_key,
    list_key_marks,
    list_owned_lives,
    list_running_lives,
    mark_stream_key,
    replace_stream_key,
    revoke_stream_key,
)
from tests.storage.live_rows import create_room_row, create_user_row
from tests.storage.waiting import wait_until_blocked

pytestmark = pytest.mark.db


async def test_a_live_is_found_by_its_key_which_is_not_stored(database: Database) -> None:
    async with database.connection() as connection:
        owner_id = await create_user_row(connection, "ada")
        live_id = await create_room_row(connection, owner_id, stream_key="sk_secret")
        found = await find_live_by_key(connection, "sk_secret")
        assert found is not None
        assert (found.id, found.key_hint, found.owner_username) == (live_id, "cret", "ada")
        stored = await connection.fetchval("SELECT lives::text FROM lives")
        assert "sk_secret" not in stored


async def test_a_replaced_key_opens_nothing(database: Database) -> None:
    async with database.connection() as connection:
        owner_id = await create_user_row(connection, "ada")
        live_id = await create_room_row(connection, owner_id, stream_key="sk_first")
        await replace_stream_key(connection, live_id, "sk_second")
        assert await find_live_by_key(connection, "sk_first") is None
        assert await find_live_by_key(connection, "sk_second") is not None


async def test_a_revoked_key_opens_nothing_and_leaves_no_hint(database: Database) -> None:
    async with database.connection() as connection:
        owner_id = await create_user_row(connection, "ada")
        live_id = await create_room_row(connection, owner_id, stream_key="sk_first")
        await revoke_stream_key(connection, live_id, "sk_unknown")
        assert await find_live_by_key(connection, "sk_first") is None
        row = await find_live(connection, live_id)
        assert row is not None
        assert (row.key_hint, row.key_mark) == ("", mark_stream_key("sk_unknown"))


async def test_the_keys_of_who_is_banned_open_nothing(database: Database) -> None:
    async with database.connection() as connection:
        owner_id = await create_user_row(connection, "ada")
        live_id = await create_room_row(connection, owner_id, stream_key="sk_first")
        assert await list_key_marks(connection, [live_id]) == {live_id: mark_stream_key("sk_first")}
        await connection.execute("UPDATE users SET banned_at = now()")
        assert await find_live_by_key(connection, "sk_first") is None
        assert await list_key_marks(connection, [live_id]) == {}
        await connection.execute("UPDATE users SET banned_at = NULL")
        assert await find_live_by_key(connection, "sk_first") is not None


async def test_two_changes_at_once_keep_what_the_other_one_wrote(database: Database) -> None:
    async with database.connection() as connection:
        owner_id = await create_user_row(connection, "ada")
        live_id = await create_room_row(connection, owner_id)
    async with asyncio.TaskGroup() as tasks:
        async with database.transaction() as hiding:
            await change_live(hiding, live_id, title=None, visibility="private")
            naming = tasks.create_task(rename(database, live_id))
            await wait_until_blocked(database)
        await naming
    async with database.connection() as connection:
        live = await find_live(connection, live_id)
    assert live is not None
    assert (live.title, live.visibility) == ("Evening drive", "private")


async def rename(database: Database, live_id: uuid.UUID) -> None:
    async with database.transaction() as connection:
        await change_live(connection, live_id, title="Evening drive", visibility=None)


async def test_a_mark_names_the_present_key_and_is_not_its_hash(database: Database) -> None:
    async with database.connection() as connection:
        owner_id = await create_user_row(connection, "ada")
        live_id = await create_room_row(connection, owner_id, stream_key="sk_first")
        row = await find_live(connection, live_id)
        assert row is not None
        mark = mark_stream_key("sk_first")
        assert await list_key_marks(connection, [live_id]) == {live_id: mark}
        assert row.key_mark == mark
        assert len(bytes.fromhex(mark)) < len(hash_stream_key("sk_first"))
        await replace_stream_key(connection, live_id, "sk_second")
        marks = {live_id: mark_stream_key("sk_second")}
        assert await list_key_marks(connection, [live_id, uuid.uuid4()]) == marks
        await delete_live(connection, live_id)
        assert await list_key_marks(connection, [live_id]) == {}


async def test_lists_page_by_their_keys(database: Database) -> None:
    async with database.connection() as connection:
        owner_id = await create_user_row(connection, "ada")
        lives = [await create_room_row(connection, owner_id) for _ in range(3)]
        await connection.execute("UPDATE lives SET status = 'live', started_at = clock_timestamp()")
        hidden = await create_room_row(connection, owner_id, visibility="unlisted")
        await connection.execute(
            "UPDATE lives SET status = 'live', started_at = now() WHERE id = $1", hidden
        )
        first = await list_running_lives(connection, owner=None, before=None, limit=2)
        assert first[-1].started_at is not None
        rest = await list_running_lives(
            connection, owner=None, before=(first[-1].started_at, first[-1].id), limit=2
        )
        assert {live.id for live in [*first, *rest]} == set(lives)
        owned = await list_owned_lives(connection, owner_id, before=None, limit=10)
        assert [live.id for live in owned] == sorted([*lives, hidden], reverse=True)
        assert await count_open_lives(connection, owner_id) == 4


async def test_an_unknown_live_is_not_found(database: Database) -> None:
    async with database.connection() as connection:
        assert await find_live(connection, make_id()) is None
