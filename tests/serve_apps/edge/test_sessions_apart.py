"""Channels do not wait for each other: rooms go on while sessions or another room do not open."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest

from kit.settings import Settings
from serve_apps.edge.server import EdgeServer
from storage.database import Database
from storage.objects import ObjectStore
from storage.placements import ROOM, USER
from tests.actors.hosting.stage import run_host
from tests.serve_apps.edge.edge_stage import (
    Guest,
    Talker,
    connect,
    invite,
    run_edge,
    use_free_ports,
)
from tests.storage.live_rows import create_room_row

pytestmark = pytest.mark.db

LOADED_S = 60.0


@dataclass(frozen=True)
class Stage:
    """An edge, a host, people, a room of one of them, and a hand on the database."""

    edge: EdgeServer
    database: Database
    guests: list[Guest]
    room_id: uuid.UUID
    hand: asyncpg.Connection
    """A connection whose locks stay until its transaction ends."""

    @property
    def room(self) -> str:
        return f"room:{self.room_id}"

    async def count_stuck(self) -> int:
        """Return how many connections of the edge wait for a lock."""
        async with self.database.connection() as connection:
            return int(
                await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE application_name = 'edge' AND wait_event_type = 'Lock'"
                )
            )


@pytest.fixture
async def stage(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[Stage]:
    guests = [await invite(database, settings, f"guest{number}") for number in range(4)]
    async with database.connection() as connection:
        room_id = await create_room_row(connection, guests[0].user_id)
    hand = await asyncpg.connect(settings.database.url)
    async with run_host(settings), run_edge(use_free_ports(settings), objects) as edge:
        try:
            yield Stage(edge, database, guests, room_id, hand)
        finally:
            await hand.close()


def answered(talker: Talker) -> set[str]:
    """Return the channels whose subscription was answered."""
    return {name for answer in talker.answers for name in answer if ":" in name}


async def test_a_room_and_its_chat_do_not_wait_for_a_session_that_is_not_loaded(
    stage: Stage,
) -> None:
    ada = stage.guests[0]
    own = f"user:{ada.user_id}"
    async with connect(stage.edge) as talker:
        await talker.authenticate(ada)
        async with stage.hand.transaction():
            await stage.hand.execute("LOCK TABLE user_entries IN ACCESS EXCLUSIVE MODE")
            await talker.say(type="subscribe", channels=[own, stage.room])
            await talker.wait(lambda: stage.room in answered(talker), LOADED_S)
            await talker.say(
                type="chat_send", room=str(stage.room_id), client_id="1", text="on time"
            )
            await talker.wait(lambda: "1" in talker.acks, LOADED_S)
            await talker.wait(lambda: talker.lines(stage.room) == ["on time"], LOADED_S)
            assert own not in answered(talker)
            assert not talker.errors
        await talker.wait(lambda: own in answered(talker), LOADED_S)


async def test_sessions_that_cannot_be_placed_leave_a_connection_to_rooms(stage: Stage) -> None:
    async with contextlib.AsyncExitStack() as stack:
        talkers = [await stack.enter_async_context(connect(stage.edge)) for _ in stage.guests]
        for talker, guest in zip(talkers, stage.guests, strict=True):
            await talker.authenticate(guest)
        async with stage.hand.transaction():
            await stage.hand.executemany(
                "INSERT INTO placements (kind, object_id, host_id, incarnation)"
                " SELECT $1, $2, id, incarnation FROM hosts",
                [(USER, guest.user_id) for guest in stage.guests],
            )
            for talker, guest in zip(talkers, stage.guests, strict=True):
                await talker.say(type="subscribe", channels=[f"user:{guest.user_id}"])
            while await stage.count_stuck() == 0:
                assert not any(answered(talker) for talker in talkers)
            for talker in talkers:
                await talker.say(type="subscribe", channels=[stage.room])
                await talker.wait(lambda talker=talker: stage.room in answered(talker), LOADED_S)
                assert await stage.count_stuck() <= 1
            assert all(answered(talker) == {stage.room} for talker in talkers)
        for talker, guest in zip(talkers, stage.guests, strict=True):
            await talker.wait(
                lambda talker=talker, guest=guest: f"user:{guest.user_id}" in answered(talker),
                LOADED_S,
            )


async def test_a_room_that_does_not_open_holds_up_no_other(stage: Stage) -> None:
    ada = stage.guests[0]
    async with stage.database.connection() as connection:
        stuck, second = [await create_room_row(connection, ada.user_id) for _ in range(2)]
    channels = [f"room:{room_id}" for room_id in (stuck, stage.room_id, second)]
    async with connect(stage.edge) as talker:
        await talker.authenticate(ada)
        async with stage.hand.transaction():
            await stage.hand.execute(
                "INSERT INTO placements (kind, object_id, host_id, incarnation)"
                " SELECT $1, $2, id, incarnation FROM hosts",
                ROOM,
                stuck,
            )
            await talker.say(type="subscribe", channels=channels)
            await talker.wait(lambda: answered(talker) == set(channels[1:]), LOADED_S)
            assert not talker.errors
            await talker.chat(second, "1", "on time")
            await talker.wait(lambda: talker.lines(channels[2]) == ["on time"], LOADED_S)
            await talker.wait(lambda: talker.errors, LOADED_S)
        (refusal,) = talker.errors
        assert (refusal["channel"], refusal["error"]) == (channels[0], "channel_not_reached")
        assert refusal["retryable"]
        assert "epoch" in await talker.subscribe(channels[0])


async def test_who_unsubscribes_is_not_waited_for_any_more(stage: Stage) -> None:
    ada = stage.guests[0]
    own = f"user:{ada.user_id}"
    async with connect(stage.edge) as talker:
        await talker.authenticate(ada)
        async with stage.hand.transaction():
            await stage.hand.execute("LOCK TABLE user_entries IN ACCESS EXCLUSIVE MODE")
            await talker.say(type="subscribe", channels=[own])
            gone = await talker.ask(type="unsubscribe", channels=[own])
            assert gone["channels"] == [own]
            assert stage.edge.describe()["people"] == 0
        await talker.ask(type="ping")
        assert own not in answered(talker)
        assert own in await talker.ask(type="subscribe", channels=[own])
