"""What moderators change: written with the entries that tell of it, fenced with them, read back."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actors.live_room.chat_state import ChatState, write_member
from actors.live_room.entries import Speaker, describe_speaker
from actors.live_room.kind import load_chat
from actors.live_room.members import Member
from kit.ids import make_id
from storage.database import Database
from storage.hosts import fence_host
from storage.placements import ROOM, place_object
from storage.room_rules import find_line, find_rules, list_held, list_members, list_pins
from storage.rooms import RoomMessage, list_messages_after, write_tick
from tests.storage.live_rows import create_room_row, create_user_row
from tests.storage.test_hosts import start_host

pytestmark = pytest.mark.db
NOW = datetime.now(UTC)


@dataclass
class Stage:
    """A host's two rooms, and two people."""

    database: Database
    host: tuple[str, int]
    rooms: tuple[uuid.UUID, uuid.UUID]
    ada: Speaker
    bob: Speaker
    heads: dict[uuid.UUID, int] = field(default_factory=dict)

    def entry(self, kind: str, body: dict[str, Any], room: int = 0) -> RoomMessage:
        room_id = self.rooms[room]
        self.heads[room_id] = self.heads.get(room_id, 0) + 1
        return RoomMessage(room_id, self.heads[room_id], make_id(), kind, None, None, body, NOW)

    def line(self, text: str, room: int = 0, **more: str) -> RoomMessage:
        body = {"user": describe_speaker(self.bob), "text": text, **more}
        return self.entry("chat_message", body, room)

    def held(self, text: str) -> RoomMessage:
        body = {"user": describe_speaker(self.bob), "text": text, "client_id": "h", "why": "word"}
        return self.entry("message_held", body)

    def member(self, room: int = 0, **more: Any) -> RoomMessage:
        return self.entry(
            "member_changed", write_member(Member(self.bob, **more), self.ada, "why"), room
        )

    async def write(self, *entries: RoomMessage) -> frozenset[uuid.UUID]:
        async with self.database.connection() as connection:
            return (await write_tick(connection, self.host, entries)).fenced

    async def chat(self, room: int = 0) -> ChatState:
        async with self.database.connection() as connection:
            return await load_chat(connection, self.rooms[room])


@pytest.fixture
async def stage(database: Database) -> Stage:
    async with database.connection() as connection:
        ada = Speaker(await create_user_row(connection, "ada"), "ada", "Ada")
        bob = Speaker(await create_user_row(connection, "bob"), "bob", "Bob")
        host = ("a", await start_host(connection, "a"))
        rooms = (
            await create_room_row(connection, ada.user_id),
            await create_room_row(connection, ada.user_id),
        )
        for room_id in rooms:
            await place_object(connection, ROOM, room_id, host)
    return Stage(database, host, rooms, ada, bob)


async def test_the_last_of_several_changes_in_one_tick_stands_room_by_room(stage: Stage) -> None:
    await stage.write(
        stage.member(is_banned=True),
        stage.entry("rules_changed", {"rules": {"slow_mode_s": 5}}),
        stage.member(timed_out_until=NOW + timedelta(hours=1)),
        stage.entry("rules_changed", {"rules": {"slow_mode_s": 9}}),
        stage.member(room=1, is_moderator=True),
    )
    async with stage.database.connection() as connection:
        assert await find_rules(connection, stage.rooms[0]) == {"slow_mode_s": 9}
        assert await find_rules(connection, stage.rooms[1]) == {}
        (first,) = await list_members(connection, stage.rooms[0], NOW, 10)
        (second,) = await list_members(connection, stage.rooms[1], NOW, 10)
        late = NOW + timedelta(hours=2)
        assert await list_members(connection, stage.rooms[0], late, 10) == []
    assert (first.is_banned, first.timed_out_until) == (False, NOW + timedelta(hours=1))
    assert (first.reason, second.role) == ("why", "moderator")


async def test_a_deleted_line_keeps_its_number_and_loses_what_it_said(stage: Stage) -> None:
    line, other = stage.line("oh no"), stage.line("fine")
    await stage.write(line, other)
    await stage.write(stage.entry("pins_changed", {"pins": [{"id": str(line.id)}]}))
    body = {"message_id": str(line.id), "offset": line.seq, "pins": []}
    await stage.write(stage.entry("message_deleted", body))
    async with stage.database.connection() as connection:
        assert await list_pins(connection, stage.rooms[0]) == []
        rows = await list_messages_after(connection, stage.rooms[0], 0, 10)
        assert await find_line(connection, stage.rooms[0], line.id) is None
        assert await find_line(connection, stage.rooms[1], other.id) is None
        found = await find_line(connection, stage.rooms[0], other.id)
    assert found is not None
    assert [row.body.get("text") for row in rows] == ["", "fine", None, None]
    assert rows[0].body["deleted"] is True


async def test_a_line_of_another_room_cannot_be_blanked(stage: Stage) -> None:
    line = stage.line("theirs", room=1)
    await stage.write(line)
    await stage.write(stage.entry("message_deleted", {"message_id": str(line.id), "offset": 1}))
    async with stage.database.connection() as connection:
        assert await find_line(connection, stage.rooms[1], line.id) is not None


async def test_held_lines_wait_until_they_are_decided_and_their_text_is_gone(
    stage: Stage,
) -> None:
    first, second, third = stage.held("one"), stage.held("two"), stage.held("three")
    await stage.write(first, second, third)
    async with stage.database.connection() as connection:
        held = await list_held(connection, stage.rooms[0], 10)
        assert [row.body["text"] for row in held] == ["one", "two", "three"]
    await stage.write(
        stage.line("one", held_id=str(first.id)),
        stage.entry("held_refused", {"held_id": str(second.id)}),
    )
    async with stage.database.connection() as connection:
        assert [row.id for row in await list_held(connection, stage.rooms[0], 10)] == [third.id]
        rows = await list_messages_after(connection, stage.rooms[0], 0, 10)
    assert [row.body.get("text") for row in rows] == [None, None, "three", "one", None]


async def test_a_fenced_host_bans_pins_and_deletes_nothing(stage: Stage) -> None:
    line = stage.line("stays")
    await stage.write(line)
    async with stage.database.connection() as connection:
        await fence_host(connection, *stage.host)
    fenced = await stage.write(
        stage.member(is_banned=True),
        stage.entry("pins_changed", {"pins": [{"id": str(line.id)}]}),
        stage.entry("rules_changed", {"rules": {"slow_mode_s": 9}}),
        stage.entry("message_deleted", {"message_id": str(line.id), "offset": 1}),
    )
    assert fenced == {stage.rooms[0]}
    async with stage.database.connection() as connection:
        assert await list_members(connection, stage.rooms[0], NOW, 10) == []
        assert await list_pins(connection, stage.rooms[0]) == []
        assert await find_rules(connection, stage.rooms[0]) == {}
        assert await find_line(connection, stage.rooms[0], line.id) is not None


@pytest.mark.parametrize("seed", range(8))
async def test_rows_and_the_fold_of_entries_agree(stage: Stage, seed: int) -> None:
    """Whatever is written in whatever ticks, loading a room gives what folding its entries does."""
    chance = random.Random(seed)
    folded = ChatState()
    held: list[uuid.UUID] = []
    for _ in range(12):
        tick = []
        for _ in range(chance.randint(1, 4)):
            kind = chance.choice(["member", "rules", "pins", "held", "decide"])
            if kind == "member":
                until = NOW + timedelta(hours=chance.randint(1, 9))
                flags = {
                    "is_moderator": chance.random() < 0.3,
                    "is_banned": chance.random() < 0.3,
                    "timed_out_until": until if chance.random() < 0.3 else None,
                }
                tick.append(stage.member(**flags))
            elif kind == "rules":
                tick.append(
                    stage.entry("rules_changed", {"rules": {"slow_mode_s": chance.randint(0, 9)}})
                )
            elif kind == "pins":
                pins = [{"id": str(n)} for n in range(chance.randint(0, 3))]
                tick.append(stage.entry("pins_changed", {"pins": pins}))
            elif kind == "held":
                tick.append(stage.held(f"line {chance.random()}"))
            elif held:
                held_id = str(held.pop(chance.randrange(len(held))))
                is_approved = chance.random() < 0.5
                tick.append(
                    stage.line("yes", held_id=held_id)
                    if is_approved
                    else stage.entry("held_refused", {"held_id": held_id})
                )
        await stage.write(*tick)
        for entry in tick:
            folded.apply(entry.kind, entry.id, entry.body)
        held += [entry.id for entry in tick if entry.kind == "message_held"]
    loaded = await stage.chat()
    assert (loaded.rules, loaded.pins, loaded.held) == (folded.rules, folded.pins, folded.held)
    assert loaded.members == folded.members
