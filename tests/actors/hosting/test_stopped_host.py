"""A host stopped past its lease and continued: what it still wanted to write is refused."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from kit.clock import SystemClock
from kit.errors import Unavailable
from kit.ids import make_id
from kit.setting_sections import HostSettings, LimitSettings
from kit.settings import Settings
from storage.database import Database
from storage.hosts import list_live_hosts
from storage.placements import ROOM, find_placement
from storage.rooms import RoomMessage, write_tick
from tests.actors.hosting.stage import (
    Heard,
    run_child_host,
    run_client,
    write_settings,
)
from tests.actors.hosting.test_host import Cast, read_rows
from tests.storage.live_rows import create_room_row, create_user_row
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db

DEADLINE_S = 60
WRITERS = 15
SENDING_S = 0.3


@pytest.fixture
async def cast(database: Database) -> Cast:
    async with database.connection() as connection:
        user_id = await create_user_row(connection, "ada")
        return Cast(user_id, await create_room_row(connection, user_id))


async def write_as(database: Database, cast: Cast, incarnation: int, seq: int) -> bool:
    """Write a line with the very statement of `host-0`; return whether the database refused."""
    line = RoomMessage(
        *(cast.room_id, seq, make_id(), "chat_message", cast.user_id, "forged"),
        body={"text": "forged"},
        created_at=SystemClock().now(),
    )
    async with database.connection() as connection:
        outcome = await write_tick(connection, ("host-0", incarnation), [line], [])
    return cast.room_id in outcome.fenced


async def test_a_host_stopped_past_its_lease_writes_nothing_when_it_goes_on(
    settings: Settings, database: Database, cast: Cast, tmp_path: Path
) -> None:
    limits, hosts = LimitSettings(chat_per_10_s_max=100_000), HostSettings(lease_ttl_s=5.0)
    settings = replace(settings, limits=limits, hosts=hosts)
    file = write_settings(settings, tmp_path / "settings.toml")
    heard, acknowledged, in_flight, stop = Heard(), {}, set(), False
    async with run_client(settings, heard) as client, run_child_host(file, "host-0") as first:
        client.open_room(cast.room_id)
        await cast.say(client, "first")

        async def write(writer: int) -> None:
            number = 0
            while not stop:
                name = f"{writer}-{number}"
                in_flight.add(name)
                try:
                    acknowledged[name] = (await cast.say(client, name)).seq
                except Unavailable:  # nobody has the room for a while
                    await asyncio.sleep(0.02)
                else:
                    in_flight.discard(name)
                    number += 1

        async with run_client(settings, name="edge-1") as late:
            late.open_room(cast.room_id)
            await cast.say(late, "early")
            writing = asyncio.gather(*(write(writer) for writer in range(WRITERS)))
            await wait_until(lambda: len(acknowledged) >= WRITERS, DEADLINE_S)
            assert len(in_flight) >= 10
            os.kill(first.process.pid, signal.SIGSTOP)
            # These lines lie in the stopped host's socket, and nobody ever sends them again: there
            # is no other host yet, and their client is gone before there is one.
            lines = [asyncio.create_task(cast.say(late, f"late-{n}")) for n in range(10)]
            done, _pending = await asyncio.wait(lines, timeout=SENDING_S)
            assert not done
            for line in lines:
                line.cancel()
            await asyncio.gather(*lines, return_exceptions=True)
        before = len(acknowledged)
        async with run_child_host(file, "host-1"):
            await wait_until(lambda: len(acknowledged) > before + 2 * WRITERS, DEADLINE_S)
            async with database.connection() as connection:
                placement = await find_placement(connection, ROOM, cast.room_id)
                alive = [host.id for host in await list_live_hosts(connection)]
            assert placement is not None
            assert (placement.host_id, alive) == ("host-1", ["host-1"])
            assert await write_as(database, cast, first.incarnation, 1_000_000)
            os.kill(first.process.pid, signal.SIGCONT)
            # It notices that it is over, and serves again as somebody else.
            assert first.process.stdout is not None
            again = await asyncio.wait_for(first.process.stdout.readline(), DEADLINE_S)
            assert int(again) > first.incarnation
            middle = len(acknowledged)
            await wait_until(lambda: len(acknowledged) > middle + WRITERS, DEADLINE_S)
            stop = True
            await asyncio.wait_for(writing, DEADLINE_S)
            rows = dict(await read_rows(database, cast.room_id))
            await wait_until(lambda: len(heard.seqs(cast.room_id)) >= len(rows), DEADLINE_S)
    del rows["first"], rows["early"]
    assert rows == acknowledged
    assert heard.seqs(cast.room_id) == list(range(1, len(rows) + 3))
