"""Where objects live: cached, balanced, moved one by one, given up when nobody wants them."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from dataclasses import replace

import pytest

from actors.hosting.client import HostClient
from actors.hosting.core import ObjectKey
from actors.hosting.followed import RequestFailed
from actors.hosting.messages import API, ObjectFacts
from actors.hosting.ports import HostPace
from actors.hosting.postgres import PostgresStore
from actors.link.frames import LinkPeer
from actors.live_room.client import RoomClient
from actors.live_room.kind import make_room_kind
from actors.live_room.messages import ViewersReport, Way
from actors.live_room.review import Question, Verdict
from kit.setting_sections import LimitSettings
from kit.settings import Settings
from serve_apps.hosting import KINDS
from storage.database import Database
from storage.hosts import list_live_hosts
from storage.placements import ROOM, Placement, find_placement
from storage.rooms import list_messages_after
from tests.actors.hosting.stage import (
    Heard,
    make_client_ports,
    make_speaker,
    run_client,
    run_host,
    run_host_client,
)
from tests.storage.live_rows import create_room_row, create_user_row
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, limits=LimitSettings(chat_per_10_s_max=100_000))


@pytest.fixture
async def user_id(database: Database) -> uuid.UUID:
    async with database.connection() as connection:
        return await create_user_row(connection, "ada")


async def make_rooms(database: Database, user_id: uuid.UUID, count: int) -> list[uuid.UUID]:
    async with database.connection() as connection:
        return [await create_room_row(connection, user_id) for _ in range(count)]


async def say(client: RoomClient, room_id: uuid.UUID, user_id: uuid.UUID, client_id: str) -> int:
    speaker = make_speaker(user_id)
    return (await client.send_chat(room_id, speaker, client_id, "line")).seq


async def find_hosts(database: Database, room_ids: list[uuid.UUID]) -> Counter[str]:
    async with database.connection() as connection:
        found = [await find_placement(connection, ROOM, room_id) for room_id in room_ids]
    return Counter(p.host_id if p is not None and p.is_live else "" for p in found)


class CountingStore(PostgresStore):
    """Storage that counts questions about placements."""

    asked = 0

    async def find_placement(self, key: ObjectKey) -> Placement | None:
        self.asked += 1
        return await super().find_placement(key)


async def test_a_known_placement_costs_no_query(
    settings: Settings, database: Database, user_id: uuid.UUID
) -> None:
    (room_id,) = await make_rooms(database, user_id, 1)
    store = CountingStore(database, KINDS)
    ports = replace(make_client_ports(settings, database), store=store)
    hosts = HostClient(LinkPeer("edge", "edge-0", 1), ports)
    async with run_host(settings):
        client = RoomClient(hosts)
        for number in range(50):
            assert await say(client, room_id, user_id, f"c{number}") == number + 1
        await hosts.close()
    assert store.asked == 1


async def test_rooms_are_spread_over_the_hosts(
    settings: Settings, database: Database, user_id: uuid.UUID
) -> None:
    room_ids = await make_rooms(database, user_id, 20)
    async with (
        run_host(settings, "host-0"),
        run_host(settings, "host-1"),
        run_client(settings) as client,
    ):
        await asyncio.gather(*(say(client, room_id, user_id, "c") for room_id in room_ids))
        assert await find_hosts(database, room_ids) == {"host-0": 10, "host-1": 10}


async def test_a_draining_host_hands_over_each_followed_room_and_followers_ask_nobody(
    settings: Settings, database: Database, user_id: uuid.UUID
) -> None:
    room_ids = await make_rooms(database, user_id, 12)
    heard = Heard()
    store = CountingStore(database, KINDS)
    ports = replace(make_client_ports(settings, database), store=store)
    hosts = HostClient(LinkPeer("edge", "edge-0", 1), ports, heard)
    client = RoomClient(hosts)
    async with run_host(settings, "host-0") as first:
        for room_id in room_ids:
            client.open_room(room_id)
        await asyncio.gather(*(say(client, room_id, user_id, "before") for room_id in room_ids))
        assert await find_hosts(database, room_ids) == {"host-0": 12}
        asked = store.asked
        async with run_host(settings, "host-1") as second, run_host(settings, "host-2") as third:
            saying = [
                asyncio.create_task(say(client, room_id, user_id, f"during-{number}"))
                for number in range(5)
                for room_id in room_ids
            ]
            await first.drain(60.0)
            await asyncio.gather(*saying)
            assert await find_hosts(database, room_ids) == {"host-1": 6, "host-2": 6}
            assert store.asked == asked
            await asyncio.gather(*(say(client, room_id, user_id, "after") for room_id in room_ids))
            assert second.describe()["objects"] + third.describe()["objects"] == 12
            for room_id in room_ids:
                await wait_until(lambda room_id=room_id: len(heard.seqs(room_id)) == 7)
                assert heard.seqs(room_id) == [1, 2, 3, 4, 5, 6, 7]
            await hosts.close()


async def test_a_draining_host_without_another_ends_in_time_and_is_replaced_later(
    settings: Settings, database: Database, user_id: uuid.UUID
) -> None:
    (room_id,) = await make_rooms(database, user_id, 1)
    heard = Heard()
    async with run_client(settings, heard) as client:
        async with run_host(settings, "host-0") as first:
            client.open_room(room_id)
            assert await say(client, room_id, user_id, "before") == 1
            await first.drain(5.0)
        saying = asyncio.create_task(say(client, room_id, user_id, "between"))
        async with run_host(settings, "host-1"):
            assert await saying == 2
        await wait_until(lambda: heard.seqs(room_id) == [1, 2])


async def test_an_operator_moves_a_room_while_people_write(
    settings: Settings, database: Database, user_id: uuid.UUID
) -> None:
    (room_id,) = await make_rooms(database, user_id, 1)
    heard, acknowledged, stop = Heard(), {}, False
    async with (
        run_host(settings, "host-0"),
        run_host(settings, "host-1"),
        run_client(settings, heard) as client,
        run_host_client(settings, name="api", role=API) as api,
    ):
        client.open_room(room_id)

        async def write(writer: int) -> None:
            number = 0
            while not stop:
                name = f"{writer}-{number}"
                acknowledged[name] = await say(client, room_id, user_id, name)
                number += 1

        writing = asyncio.gather(*(write(writer) for writer in range(12)))
        owners = []
        for target in ("host-1", "host-0", "host-1"):
            count = len(acknowledged)
            await wait_until(lambda count=count: len(acknowledged) > count + 24)
            await api.move_object(ObjectKey(ROOM, room_id), target)
            owners.append(await find_hosts(database, [room_id]))
        count = len(acknowledged)
        await wait_until(lambda: len(acknowledged) > count + 24)
        stop = True
        await writing
        async with database.connection() as connection:
            rows = await list_messages_after(connection, room_id, 0, 10_000)
        await wait_until(lambda: len(heard.seqs(room_id)) == len(rows))
    assert owners == [{"host-1": 1}, {"host-0": 1}, {"host-1": 1}]
    assert {row.client_id: row.seq for row in rows} == acknowledged
    assert heard.seqs(room_id) == list(range(1, len(rows) + 1))


async def test_a_move_to_a_host_that_is_away_is_refused_and_the_room_goes_on(
    settings: Settings, database: Database, user_id: uuid.UUID
) -> None:
    (room_id,) = await make_rooms(database, user_id, 1)
    async with (
        run_host(settings, "host-0"),
        run_client(settings, Heard()) as client,
        run_host_client(settings, name="api", role=API) as api,
    ):
        client.open_room(room_id)
        assert await say(client, room_id, user_id, "before") == 1
        with pytest.raises(RequestFailed) as refused:
            await api.move_object(ObjectKey(ROOM, room_id), "host-9")
        assert refused.value.refusal.code == "target_away"
        assert await say(client, room_id, user_id, "after") == 2


async def test_a_host_tells_an_operator_what_it_runs_a_page_at_a_time(
    settings: Settings, database: Database, user_id: uuid.UUID
) -> None:
    room_ids = sorted(await make_rooms(database, user_id, 7))
    async with (
        run_host(settings, "host-0") as host,
        run_client(settings, Heard()) as client,
        run_host_client(settings, name="api", role=API) as api,
    ):
        for room_id in room_ids:
            await say(client, room_id, user_id, "c")
        client.open_room(room_ids[3])
        client.report_viewers(room_ids[3], ViewersReport({Way.CHAT: 5}))
        async with database.connection() as connection:
            (entry,) = await list_live_hosts(connection)
        found: list[ObjectFacts] = []
        while True:
            after = found[-1].id if found else None
            page = await api.survey_host(entry, ROOM, after=after, limit=3)
            assert (page.host_id, page.incarnation) == ("host-0", host.incarnation)
            if not page.objects:
                break
            assert len(page.objects) <= 3
            found += page.objects
        assert [facts.id for facts in found] == room_ids
        assert [facts.head for facts in found] == [1] * 7

        async def survey_followed() -> ObjectFacts:
            page = await api.survey_host(entry, ROOM, after=room_ids[2], limit=1)
            return page.objects[0]

        async with asyncio.timeout(60):
            while (facts := await survey_followed()).shown["viewer_count"]["viewers"] != 5:
                await asyncio.sleep(0.02)
        assert (facts.followers, facts.mailbox) == (1, 0)
        assert 0 < facts.entries_per_min <= 1
        assert facts.facts == {"owner_id": str(user_id), "status": "created"}


async def test_what_nobody_wants_any_more_is_given_up_and_comes_back_when_asked(
    settings: Settings, database: Database, user_id: uuid.UUID
) -> None:
    pace = HostPace(idle_max_s=0.5)
    room_ids = await make_rooms(database, user_id, 4)
    async with run_host(settings, pace=pace) as host, run_client(settings, Heard()) as client:
        client.open_room(room_ids[0])
        for room_id in room_ids:
            assert await say(client, room_id, user_id, "before") == 1
        await wait_until(lambda: host.describe()["objects"] == 1)
        async with asyncio.timeout(60):
            while await find_hosts(database, room_ids) != {"host-0": 1, "": 3}:
                await asyncio.sleep(0.02)
        for room_id in room_ids:
            assert await say(client, room_id, user_id, "after") == 2


async def test_a_line_that_waits_for_moderation_goes_with_its_room(
    settings: Settings, database: Database, user_id: uuid.UUID
) -> None:
    """It was dropped by the former owner, and its sender waited out the whole deadline."""
    asked: list[uuid.UUID] = []

    async def look(question: Question) -> Verdict:
        asked.append(question.line_id)
        if len(asked) <= 3:
            await asyncio.get_running_loop().create_future()
        return Verdict.ALLOW

    slow = replace(settings.limits, chat_moderation_timeout_s=3600.0)
    settings = replace(settings, limits=slow)
    kinds = (make_room_kind(look),)
    (room_id,) = await make_rooms(database, user_id, 1)
    async with database.connection() as connection:
        guest_id = await create_user_row(connection, "bob")
    async with (
        run_host(settings, "host-0", kinds) as first,
        run_host(settings, "host-1", kinds),
        run_client(settings, role=API, name="api-0") as client,
    ):
        sending = [asyncio.create_task(say(client, room_id, guest_id, f"c{n}")) for n in range(3)]
        await wait_until(lambda: len(asked) == 3, 60)
        moved_from = first if first.describe()["objects"] else None
        target = "host-1" if moved_from else "host-0"
        await client.move_room(room_id, target)
        assert sorted(await asyncio.gather(*sending)) == [1, 2, 3]
    assert len(asked) == 6
