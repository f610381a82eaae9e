"""Hosts and clients over real links and PostgreSQL: one owner, nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from actors.hosting.followed import RequestFailed
from actors.hosting.messages import API, Stored
from actors.hosting.ports import HostPace
from actors.live_room.client import RoomClient
from actors.live_room.entries import Patience
from actors.live_room.kind import ROOM_KIND, make_room
from actors.live_room.messages import PublisherUp, ViewersReport, Way
from kit.errors import Unavailable
from kit.setting_sections import LimitSettings
from kit.settings import Settings
from storage.database import Database
from storage.hosts import fence_host, list_live_hosts
from storage.placements import ROOM, find_placement
from storage.rooms import list_messages_after
from tests.actors.hosting.stage import (
    Heard,
    make_speaker,
    run_child_host,
    run_client,
    run_host,
    run_host_client,
    write_settings,
)
from tests.storage.live_rows import create_room_row, create_user_row
from tests.storage.waiting import wait_until, wait_until_blocked

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Cast:
    """Somebody who speaks, and a room to speak in."""

    user_id: uuid.UUID
    room_id: uuid.UUID

    async def say(self, client: RoomClient, client_id: str) -> Stored:
        speaker = make_speaker(self.user_id)
        return await client.send_chat(self.room_id, speaker, client_id, f"line {client_id}")

    async def insist(self, client: RoomClient, client_id: str) -> Stored:
        """Say it again, as people do, while storage is silent for longer than a host waits."""
        while True:
            try:
                return await self.say(client, client_id)
            except Unavailable:
                await asyncio.sleep(0.05)


@pytest.fixture
async def cast(database: Database) -> Cast:
    async with database.connection() as connection:
        user_id = await create_user_row(connection, "ada")
        return Cast(user_id, await create_room_row(connection, user_id))


async def read_rows(database: Database, room_id: uuid.UUID) -> list[tuple[str | None, int]]:
    async with database.connection() as connection:
        rows = await list_messages_after(connection, room_id, 0, 5000)
    return [(row.client_id, row.seq) for row in rows]


async def test_a_line_is_stored_then_acknowledged_and_reaches_every_edge_in_order(
    settings: Settings, database: Database, cast: Cast
) -> None:
    heard, also = Heard(), Heard()
    async with (
        run_host(settings),
        run_client(settings, heard) as client,
        run_client(settings, also, "edge-1") as other,
    ):
        client.open_room(cast.room_id)
        other.open_room(cast.room_id)
        await wait_until(lambda: bool(heard.opened and also.opened))
        answers = await asyncio.gather(*(cast.say(client, f"c{n}") for n in range(20)))
        await wait_until(lambda: len(also.seqs(cast.room_id)) == 20)
        assert heard.seqs(cast.room_id) == also.seqs(cast.room_id) == list(range(1, 21))
        rows = dict(await read_rows(database, cast.room_id))
        assert rows == {f"c{n}": answer.seq for n, answer in enumerate(answers)}
        again = await cast.say(client, "c3")
        assert (again.entry_id, again.seq) == (answers[3].entry_id, answers[3].seq)


async def test_a_repeat_is_recognised_by_the_next_owner_even_beyond_its_memory(
    settings: Settings, database: Database, cast: Cast
) -> None:
    async with run_client(settings, Heard()) as client:
        async with run_host(settings, "host-0"):
            client.open_room(cast.room_id)
            answers = [await cast.say(client, f"c{n}") for n in range(5)]
        async with run_host(settings, "host-1", history_max=2):
            again = await cast.say(client, "c0")
            fresh = await cast.say(client, "c9")
    assert again.entry_id == answers[0].entry_id
    assert fresh.seq == 6
    assert len(await read_rows(database, cast.room_id)) == 6


async def test_two_hosts_and_many_askers_give_a_room_one_owner(
    settings: Settings, database: Database, cast: Cast
) -> None:
    listeners = [Heard() for _ in range(3)]
    async with (
        run_host(settings, "host-0") as a,
        run_host(settings, "host-1") as b,
        run_client(settings, listeners[0], "e0") as c0,
        run_client(settings, listeners[1], "e1") as c1,
        run_client(settings, listeners[2], "e2") as c2,
    ):
        clients = (c0, c1, c2)
        for client in clients:
            client.open_room(cast.room_id)
        says = [cast.say(c, f"{i}-{n}") for i, c in enumerate(clients) for n in range(5)]
        await asyncio.gather(*says)
        assert a.describe()["objects"] + b.describe()["objects"] == 1
    assert [seq for _, seq in await read_rows(database, cast.room_id)] == list(range(1, 16))


async def test_a_fenced_host_stops_and_its_room_goes_on_elsewhere(
    settings: Settings, database: Database, cast: Cast
) -> None:
    heard = Heard()
    async with run_client(settings, heard) as client, run_host(settings, "host-0") as first:
        client.open_room(cast.room_id)
        await cast.say(client, "before")
        async with run_host(settings, "host-1") as second:
            async with database.connection() as connection:
                await fence_host(connection, "host-0", first.incarnation)
            await asyncio.wait_for(first.wait_over(), 60)
            await first.close()
            answer = await cast.say(client, "after")
            assert answer.seq == 2
            assert second.describe()["objects"] == 1
    assert heard.seqs(cast.room_id) == [1, 2]


async def test_a_fenced_host_writes_nothing_even_before_it_noticed(
    settings: Settings, database: Database, cast: Cast
) -> None:
    async with run_client(settings, Heard()) as client, run_host(settings, "host-0") as first:
        client.open_room(cast.room_id)
        await cast.say(client, "before")
        async with database.connection() as connection:
            await fence_host(connection, "host-0", first.incarnation)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cast.say(client, "after"), 0.7)
        assert await read_rows(database, cast.room_id) == [("before", 1)]


async def test_a_drained_host_hands_its_rooms_over_without_loss(
    settings: Settings, database: Database, cast: Cast
) -> None:
    heard = Heard()
    async with run_client(settings, heard) as client, run_host(settings, "host-0") as first:
        client.open_room(cast.room_id)
        await cast.say(client, "before")
        async with run_host(settings, "host-1"):
            saying = [asyncio.create_task(cast.say(client, f"d{n}")) for n in range(10)]
            await first.drain(60.0)
            await asyncio.gather(*saying)
            assert (await cast.say(client, "after")).seq == 12
    assert heard.seqs(cast.room_id) == list(range(1, 13))
    async with database.connection() as connection:
        assert await list_live_hosts(connection) == []


async def test_killing_the_owner_with_writes_in_flight_loses_and_doubles_nothing(
    settings: Settings, database: Database, cast: Cast, tmp_path: Path
) -> None:
    settings = replace(settings, limits=LimitSettings(chat_per_10_s_max=100_000))
    file = write_settings(settings, tmp_path / "settings.toml")
    heard, acknowledged, in_flight, stop = Heard(), {}, set(), False
    async with (
        run_client(settings, heard) as client,
        run_child_host(file, "host-0") as first,
        run_child_host(file, "host-1") as second,
    ):
        client.open_room(cast.room_id)
        await cast.say(client, "first")
        async with database.connection() as connection:
            placement = await find_placement(connection, ROOM, cast.room_id)
        assert placement is not None
        owner = first if placement.host_id == "host-0" else second

        async def write(writer: int) -> None:
            number = 0
            while not stop:
                name = f"{writer}-{number}"
                in_flight.add(name)
                answer = await cast.insist(client, name)
                in_flight.discard(name)
                acknowledged[name] = answer.seq
                number += 1

        writing = asyncio.gather(*(write(writer) for writer in range(15)))
        await wait_until(lambda: len(acknowledged) >= 15)
        assert len(in_flight) >= 10
        before = len(acknowledged)
        await owner.kill()
        await wait_until(lambda: len(acknowledged) > before + 30)
        stop = True
        await writing
        rows = dict(await read_rows(database, cast.room_id))
        await wait_until(lambda: len(heard.seqs(cast.room_id)) >= len(rows))
    del rows["first"]
    assert rows == acknowledged
    assert heard.seqs(cast.room_id) == list(range(1, len(rows) + 2))


async def test_nothing_is_acknowledged_before_it_is_stored_whoever_dies_meanwhile(
    settings: Settings, database: Database, cast: Cast, tmp_path: Path
) -> None:
    file = write_settings(settings, tmp_path / "settings.toml")
    heard = Heard()
    async with (
        run_client(settings, heard) as client,
        run_child_host(file, "host-0") as first,
        run_child_host(file, "host-1") as second,
    ):
        client.open_room(cast.room_id)
        await cast.say(client, "first")
        async with database.connection() as connection:
            placement = await find_placement(connection, ROOM, cast.room_id)
        assert placement is not None
        owner = first if placement.host_id == "host-0" else second
        async with database.transaction() as connection:
            await connection.execute("LOCK TABLE room_messages IN EXCLUSIVE MODE")
            lines = [asyncio.create_task(cast.insist(client, f"c{n}")) for n in range(12)]
            await wait_until_blocked(database)
            assert not any(line.done() for line in lines)
            assert heard.seqs(cast.room_id) == [1]
            await owner.kill()
            await asyncio.sleep(0.3)
            assert not any(line.done() for line in lines)
        answers = await asyncio.gather(*lines)
        rows = dict(await read_rows(database, cast.room_id))
        await wait_until(lambda: len(heard.seqs(cast.room_id)) >= len(rows))
    assert rows == {"first": 1, **{f"c{n}": answer.seq for n, answer in enumerate(answers)}}
    assert heard.seqs(cast.room_id) == list(range(1, 14))


async def test_a_publisher_makes_the_room_live_and_its_loss_is_written_down(
    settings: Settings, database: Database, cast: Cast
) -> None:
    heard = Heard()
    async with run_host(settings), run_client(settings, heard) as client:
        client.open_room(cast.room_id)
        await wait_until(lambda: bool(heard.opened))
        client.report_publisher(cast.room_id, PublisherUp("s1", {"edge": "http://e"}))
        client.report_viewers(cast.room_id, ViewersReport({Way.WEBRTC: 2}))
        await wait_until(lambda: heard.statuses(cast.room_id) == ["live"])
        counts = {"viewers": 2, "ways": {"webrtc": 2, "hls": 0, "chat": 0}, "publishers": 1}
        await wait_until(lambda: ("viewer_count", counts) in heard.shown)
        client.report_publisher_lost(cast.room_id, "s1", "left")
        await wait_until(lambda: heard.statuses(cast.room_id) == ["live", "interrupted"])
        async with run_client(settings, name="api", role=API) as api:
            await api.end_live(cast.room_id)
        await wait_until(lambda: heard.statuses(cast.room_id)[-1] == "ended")
        with pytest.raises(RequestFailed) as refused:
            await cast.say(client, "late")
        assert refused.value.refusal.code == "room_ended"
    async with database.connection() as connection:
        row = await connection.fetchrow("SELECT status, origin FROM lives")
        names = await connection.fetch("SELECT name FROM events ORDER BY created_at, id")
    assert (row["status"], row["origin"]) == ("ended", None)
    assert [name["name"] for name in names] == ["stream.started", "stream.ended"]


async def test_ending_a_room_that_nobody_follows_wakes_it_for_that(
    settings: Settings, database: Database, cast: Cast
) -> None:
    async with run_host(settings), run_client(settings, name="api", role=API) as api:
        await api.end_live(cast.room_id)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT status FROM lives") == "ended"


async def test_older_entries_come_from_storage(settings: Settings, cast: Cast) -> None:
    async with run_client(settings, Heard()) as client:
        async with run_host(settings, "host-0"):
            client.open_room(cast.room_id)
            for n in range(6):
                await cast.say(client, f"c{n}")
        async with run_host(settings, "host-1", history_max=2):
            await cast.say(client, "c6")
            page = await client.read_history(cast.room_id, 1, 3)
            assert [entry.seq for entry in page] == [2, 3, 4]
            page = await client.read_history(cast.room_id, 5, 10)
            assert [entry.seq for entry in page] == [6, 7]


async def test_a_dead_hosts_room_on_air_that_nobody_follows_is_ended_by_another(
    settings: Settings, database: Database, cast: Cast
) -> None:
    impatient = partial(make_room, patience=Patience(interrupted_max_s=0.3, origin_grace_s=0.1))
    kinds = (replace(ROOM_KIND, make_core=impatient),)
    pace = HostPace(sweep_every_s=0.1)
    async with run_host(settings, "host-0"), run_client(settings, Heard()) as client:
        client.open_room(cast.room_id)
        client.report_publisher(cast.room_id, PublisherUp("s1", {"edge": "http://e"}))
        await wait_for_status(database, "live")
    async with run_host(settings, "host-1", kinds, pace):
        await wait_for_status(database, "ended")


async def wait_for_status(database: Database, status: str) -> None:
    async with asyncio.timeout(60), database.connection() as connection:
        while await connection.fetchval("SELECT status FROM lives") != status:
            await asyncio.sleep(0.05)


async def test_the_api_reads_what_each_host_counted(settings: Settings, cast: Cast) -> None:
    async with (
        run_host(settings, "host-0"),
        run_host(settings, "host-1"),
        run_host_client(settings, name="api-0", role=API) as hosts,
    ):
        await cast.say(RoomClient(hosts), "c1")
        measured = await hosts.measure_hosts()
    assert set(measured) == {"host-0", "host-1"}
    for text in measured.values():
        assert b'socialflow_activations_total{kind="room"}' in text


async def test_the_sites_words_bind_every_rooms_guests_and_not_its_owner(
    settings: Settings, database: Database, cast: Cast
) -> None:
    async with database.connection() as connection:
        guest = replace(cast, user_id=await create_user_row(connection, "bob"))
    words = LimitSettings(chat_blocked_words=("line bad",), chat_held_words=("line hm",))
    async with run_host(replace(settings, limits=words)), run_client(settings) as client:
        assert (await guest.say(client, "good")).kind == "chat_message"
        assert (await guest.say(client, "hm")).kind == "message_held"
        with pytest.raises(RequestFailed) as refused:
            await guest.say(client, "bad")
        assert refused.value.refusal.code == "line_refused"
        assert (await cast.say(client, "bad")).kind == "chat_message"
