"""Objects that break an invariant: rebuilt from storage, left alone when it does not help."""

from __future__ import annotations

import asyncio
import dataclasses
import platform
import uuid
from typing import Any

import pytest

from actors.hosting.core import CoreTerms, Loaded
from actors.hosting.effects import Effect, Requester
from actors.hosting.followed import RequestFailed
from actors.hosting.ports import HostPace
from actors.hosting.shell import BROKEN_EXIT, HostShell
from actors.hosting.supervision import Intensity
from actors.live_room.client import RoomClient
from actors.live_room.kind import ROOM_KIND, make_room
from actors.live_room.messages import ChatSend
from actors.live_room.room import Room
from kit.errors import Unavailable
from kit.setting_sections import HostSettings
from kit.settings import Settings
from storage.database import Database
from tests.actors.hosting.stage import Heard, PushedClock, make_speaker, run_client, run_host
from tests.storage.live_rows import create_room_row, create_user_row
from tests.storage.waiting import wait_until, wait_until_blocked

pytestmark = pytest.mark.db


class BrittleRoom(Room):
    """A room that breaks when it is told to."""

    def handle(self, requester: Requester, command: Any) -> list[Effect]:
        effects = super().handle(requester, command)
        is_bad = isinstance(command, ChatSend) and command.text == "break"
        assert not is_bad, "a line breaks the room after it was accepted"
        return effects


def make_brittle_room(loaded: Loaded, terms: CoreTerms) -> Room:
    room = make_room(loaded, terms)
    room.__class__ = BrittleRoom
    return room


PAUSE_S = 3600.0
KINDS = (dataclasses.replace(ROOM_KIND, make_core=make_brittle_room),)


@dataclasses.dataclass(frozen=True)
class Cast:
    user_id: uuid.UUID
    room_id: uuid.UUID
    other_room_id: uuid.UUID

    async def say(self, client: RoomClient, text: str, *, other: bool = False) -> int:
        room_id = self.other_room_id if other else self.room_id
        client_id = f"{text}-{uuid.uuid4().hex[:8]}"
        stored = await client.send_chat(room_id, make_speaker(self.user_id), client_id, text)
        return stored.seq

    async def insist(self, client: RoomClient, text: str) -> int:
        """Say it again, as people do, while storage is silent for longer than a host waits."""
        client_id = f"{text}-{uuid.uuid4().hex[:8]}"
        while True:
            try:
                stored = await client.send_chat(
                    self.room_id, make_speaker(self.user_id), client_id, text
                )
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return stored.seq

    async def break_room(self, client: RoomClient) -> None:
        with pytest.raises(RequestFailed) as refused:
            await self.say(client, "break")
        assert refused.value.refusal.code == "object_failing"
        assert refused.value.refusal.retryable


@pytest.fixture
async def cast(database: Database) -> Cast:
    async with database.connection() as connection:
        user_id = await create_user_row(connection, "ada")
        rooms = [await create_room_row(connection, user_id) for _ in range(2)]
        return Cast(user_id, *rooms)


async def test_a_broken_object_is_rebuilt_from_storage_and_harms_no_other(
    settings: Settings, cast: Cast
) -> None:
    heard = Heard()
    async with run_host(settings, kinds=KINDS) as host, run_client(settings, heard) as client:
        client.open_room(cast.room_id)
        client.open_room(cast.other_room_id)
        assert await cast.say(client, "first") == 1
        assert await cast.say(client, "first", other=True) == 1
        for _ in range(3):
            await cast.break_room(client)
        assert await cast.say(client, "second") == 2
        assert await cast.say(client, "second", other=True) == 2
        await wait_until(lambda: heard.seqs(cast.room_id) == [1, 2])
        opened = [o.key.id for o in heard.opened]
        assert (opened.count(cast.room_id), opened.count(cast.other_room_id)) == (4, 1)
        assert host.describe()["health"] == "ok"


async def test_what_a_broken_object_had_accepted_is_asked_again_and_stored_once(
    settings: Settings, database: Database, cast: Cast
) -> None:
    heard = Heard()
    async with run_host(settings, kinds=KINDS), run_client(settings, heard) as client:
        client.open_room(cast.room_id)
        await cast.say(client, "first")
        async with database.transaction() as connection:
            await connection.execute("LOCK TABLE room_messages IN EXCLUSIVE MODE")
            lines = [asyncio.create_task(cast.insist(client, f"line {n}")) for n in range(5)]
            await wait_until_blocked(database)
            await cast.break_room(client)
            assert not any(line.done() for line in lines)
        seqs = sorted(await asyncio.gather(*lines))
        async with database.connection() as connection:
            rows = await connection.fetchval("SELECT count(*) FROM room_messages")
        await wait_until(lambda: len(heard.seqs(cast.room_id)) == rows)
    assert seqs == [2, 3, 4, 5, 6]
    assert rows == 6
    assert heard.seqs(cast.room_id) == [1, 2, 3, 4, 5, 6]


async def test_what_breaks_too_often_is_refused_for_a_while_and_then_tried_again(
    settings: Settings, cast: Cast
) -> None:
    settings = dataclasses.replace(settings, hosts=HostSettings(lease_ttl_s=10 * PAUSE_S))
    pace, clock = HostPace(object_intensity=Intensity(1, PAUSE_S, PAUSE_S)), PushedClock()
    async with (
        run_host(settings, kinds=KINDS, pace=pace, clock=clock) as host,
        run_client(settings) as client,
    ):
        await cast.break_room(client)
        await cast.break_room(client)
        with pytest.raises(RequestFailed) as refused:
            await cast.say(client, "fine")
        assert refused.value.refusal.code == "object_failing"
        assert await cast.say(client, "fine", other=True) == 1
        assert host.describe()["objects"] == 1
        clock.advance(PAUSE_S)
        assert await cast.say(client, "fine") == 1


async def test_lines_for_a_room_that_does_not_open_are_refused_at_once(
    settings: Settings, cast: Cast
) -> None:
    """They waited for it until their deadline."""

    def make_unless_broken(loaded: Loaded, terms: CoreTerms) -> Room:
        assert loaded.facts.id != cast.room_id, "what is stored of this room breaks it"
        return make_room(loaded, terms)

    kinds = (dataclasses.replace(ROOM_KIND, make_core=make_unless_broken),)
    heard = Heard()
    async with run_host(settings, kinds=kinds), run_client(settings, heard) as client:
        client.open_room(cast.room_id)
        lines = [asyncio.create_task(cast.say(client, f"line {n}")) for n in range(3)]
        refusals = await asyncio.gather(*lines, return_exceptions=True)
        assert await cast.say(client, "fine", other=True) == 1
    for refusal in refusals:
        assert isinstance(refusal, RequestFailed)
        assert (refusal.refusal.code, refusal.refusal.retryable) == ("object_failing", True)


async def test_a_process_in_which_incarnations_keep_breaking_ends(
    settings: Settings, cast: Cast
) -> None:
    exits: list[int] = []
    pace = HostPace(host_intensity=Intensity(1, 60.0, 0.0))
    shell = HostShell("host-0", KINDS, settings, end_process=exits.append, pace=pace)
    await shell.start()
    incarnations = {shell.describe()["incarnation"]}
    async with run_client(settings, node=platform.node()) as client:
        while not exits:
            await cast.break_room(client)
            incarnations.add(shell.describe().get("incarnation"))
    assert exits == [BROKEN_EXIT]
    assert len(incarnations - {None}) >= 3
    await shell.drain(2.0)
