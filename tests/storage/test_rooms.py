"""Fenced writes of rooms: whole rooms or nothing, numbers and senders unique."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from kit.ids import make_id
from storage.database import Database, SequenceTaken, WriteRefused
from storage.hosts import fence_host, renew_host
from storage.placements import ROOM, place_object
from storage.rooms import (
    RoomMessage,
    StatusChange,
    find_owned_room,
    list_messages_after,
    list_messages_before,
    list_unowned_rooms,
    write_tick,
)
from tests.storage.live_rows import create_room_row, create_user_row
from tests.storage.test_hosts import start_host

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Stage:
    """A host that owns two rooms, and somebody who speaks."""

    host: tuple[str, int]
    rooms: tuple[uuid.UUID, uuid.UUID]
    user_id: uuid.UUID

    def line(self, room: int, seq: int, client_id: str) -> RoomMessage:
        return RoomMessage(
            room_id=self.rooms[room],
            seq=seq,
            id=make_id(),
            kind="chat_message",
            user_id=self.user_id,
            client_id=client_id,
            body={"text": client_id},
            created_at=datetime.now(UTC),
        )

    def state(self, seq: int) -> RoomMessage:
        return RoomMessage(
            self.rooms[0], seq, make_id(), "state", None, None, {}, datetime.now(UTC)
        )


@pytest.fixture
async def stage(database: Database) -> Stage:
    async with database.connection() as connection:
        user_id = await create_user_row(connection, "ada")
        host = ("a", await start_host(connection, "a"))
        rooms = (
            await create_room_row(connection, user_id),
            await create_room_row(connection, user_id),
        )
        for room_id in rooms:
            await place_object(connection, ROOM, room_id, host)
    return Stage(host, rooms, user_id)


async def test_a_tick_writes_the_lines_of_several_rooms(database: Database, stage: Stage) -> None:
    async with database.connection() as connection:
        lines = [stage.line(0, 1, "x"), stage.line(0, 2, "y"), stage.line(1, 1, "x")]
        outcome = await write_tick(connection, stage.host, lines)
        assert (outcome.fenced, outcome.repeated) == (frozenset(), {})
        assert await list_messages_after(connection, stage.rooms[0], 0, 10) == lines[:2]
        assert await list_messages_before(connection, stage.rooms[0], None, 1) == [lines[1]]
        room = await find_owned_room(connection, stage.host, stage.rooms[0])
        assert room is not None
        assert room.head == 2


async def test_a_fenced_host_writes_nothing(database: Database, stage: Stage) -> None:
    async with database.connection() as connection:
        await fence_host(connection, *stage.host)
        outcome = await write_tick(connection, stage.host, [stage.line(0, 1, "x")])
        assert outcome.fenced == {stage.rooms[0]}
        assert await list_messages_after(connection, stage.rooms[0], 0, 10) == []
        assert await find_owned_room(connection, stage.host, stage.rooms[0]) is None


async def test_a_host_writes_only_into_rooms_placed_on_it(database: Database, stage: Stage) -> None:
    async with database.connection() as connection:
        other = ("b", await start_host(connection, "b"))
        outcome = await write_tick(connection, other, [stage.line(0, 1, "x")])
        assert outcome.fenced == {stage.rooms[0]}


async def test_a_repeated_client_id_leaves_its_room_untouched_and_says_what_stands(
    database: Database, stage: Stage
) -> None:
    async with database.connection() as connection:
        first = stage.line(0, 1, "same")
        await write_tick(connection, stage.host, [first])
        outcome = await write_tick(
            connection,
            stage.host,
            [stage.line(0, 2, "same"), stage.line(0, 3, "fresh"), stage.line(1, 1, "same")],
        )
        assert outcome.repeated == {
            (stage.rooms[0], stage.user_id, "same"): (first.id, 1, "chat_message")
        }
        assert len(await list_messages_after(connection, stage.rooms[0], 0, 10)) == 1
        assert len(await list_messages_after(connection, stage.rooms[1], 0, 10)) == 1


async def test_a_taken_number_is_refused_and_nothing_of_the_tick_stays(
    database: Database, stage: Stage
) -> None:
    async with database.connection() as connection:
        await write_tick(connection, stage.host, [stage.line(0, 1, "x")])
        with pytest.raises(SequenceTaken):
            await write_tick(connection, stage.host, [stage.line(0, 1, "y"), stage.line(1, 1, "y")])
        assert await list_messages_after(connection, stage.rooms[1], 0, 10) == []


async def test_a_row_that_postgresql_refuses_is_a_sure_failure(
    database: Database, stage: Stage
) -> None:
    stranger = Stage(stage.host, stage.rooms, make_id())
    async with database.connection() as connection:
        with pytest.raises(WriteRefused):
            await write_tick(connection, stage.host, [stranger.line(0, 1, "x")])


async def test_a_status_change_moves_the_live_and_tells_of_it(
    database: Database, stage: Stage
) -> None:
    async with database.connection() as connection:
        change = StatusChange(
            room_id=stage.rooms[0],
            status="live",
            origin={"edge": "http://edge"},
            origin_gen=1,
            viewers_peak=3,
            at=datetime.now(UTC),
            event_id=make_id(),
            event_name="stream.started",
        )
        await write_tick(connection, stage.host, [stage.state(1)], [change])
        row = await connection.fetchrow("SELECT * FROM lives WHERE id = $1", stage.rooms[0])
        assert row is not None
        assert (row["status"], row["origin"], row["viewers_peak"]) == (
            "live",
            {"edge": "http://edge"},
            3,
        )
        assert row["started_at"] is not None
        assert await connection.fetchval("SELECT name FROM events") == "stream.started"
        assert await list_unowned_rooms(connection, 10) == []
        await fence_host(connection, *stage.host)
        assert await list_unowned_rooms(connection, 10) == [stage.rooms[0]]


async def test_a_fence_waits_for_a_write_in_flight(database: Database, stage: Stage) -> None:
    async with database.connection() as writer, database.connection() as other:
        block = writer.transaction()
        await block.start()
        await write_tick(writer, stage.host, [stage.line(0, 1, "x")])
        fence = asyncio.create_task(fence_host(other, *stage.host))
        await asyncio.sleep(0.1)
        assert not fence.done()
        await block.commit()
        assert await fence
        assert not await renew_host(other, *stage.host, 5)
