"""What a follower and its host make of each other when an object is opened again on one link."""

from __future__ import annotations

import dataclasses
import random
import uuid
from typing import Any

import pytest

from actors.hosting.client import HostClient
from actors.hosting.core import ObjectKey
from actors.hosting.messages import Close, EntryLine, Open, Opened
from actors.hosting.ports import ClientPorts
from actors.link.frames import LinkPeer
from actors.live_room.client import RoomClient
from actors.live_room.messages import PublisherUp
from kit.clock import SystemClock
from kit.setting_sections import HostSettings
from kit.settings import Settings
from storage.database import Database
from storage.placements import ROOM, Placement, find_placement
from tests.actors.hosting.stage import (
    Heard,
    PushedClock,
    make_speaker,
    run_client,
    run_host,
    run_host_client,
)
from tests.actors.hosting.test_storage_away import cable
from tests.storage.gate import Gate
from tests.storage.live_rows import create_room_row, create_user_row
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db

__all__ = ["cable"]
KEY = ObjectKey(ROOM, uuid.UUID(int=1))


class ScriptedLink:
    """A link to a host that a test plays."""

    def __init__(self, peer: LinkPeer) -> None:
        self.peer = peer
        self.is_open = True
        self.sent: list[Any] = []

    def send(self, message: Any) -> None:
        self.sent.append(message)

    def end(self, reason: str) -> None:
        self.is_open = False

    async def close(self) -> None:
        self.is_open = False


class ScriptedSite:
    """Storage that knows one owner, and the way to it."""

    def __init__(self) -> None:
        self.link: ScriptedLink | None = None

    async def find_placement(self, key: ObjectKey) -> Placement:
        return Placement(key.id, "host-0", 1, "here", "address", True, 1)

    async def open(self, _address: str, ends: Any, _accepted: Any, owner: Any) -> ScriptedLink:
        self.link = ScriptedLink(ends[1])
        owner.on_link_open(self.link)
        return self.link


async def test_an_answer_to_an_earlier_opening_is_not_taken_for_this_ones() -> None:
    """Entries between the two were neither in this opening's answer nor told afterwards."""
    site: Any = ScriptedSite()
    heard = Heard()
    ports = ClientPorts((), site, site, SystemClock(), "here", random.Random(1))
    client = HostClient(LinkPeer("edge", "edge-0", 1), ports, heard)
    client.follow(KEY)
    await wait_until(lambda: site.link is not None and len(site.link.sent) == 1)
    client.unfollow(KEY)
    client.follow(KEY)
    await wait_until(lambda: len(site.link.sent) == 3)
    first, goodbye, second = site.link.sent
    assert (type(first), type(goodbye), type(second)) == (Open, Close, Open)

    def say(number: int, head: int) -> Opened:
        return Opened(number, KEY, "epoch", head, {}, [], is_complete=True)

    client.on_link_messages(site.link, [say(first.number, 1)])
    assert heard.opened == []
    client.on_link_messages(site.link, [say(second.number, 2)])
    assert [opened.head for opened in heard.opened] == [2]
    followed = client.find_followed(KEY)
    assert followed is not None
    assert followed.take_fresh([EntryLine(2, "state", b""), EntryLine(3, "state", b"")]) == [
        EntryLine(3, "state", b"")
    ]
    await client.close()


async def test_what_a_follower_said_before_it_opened_again_does_not_stand(
    settings: Settings, database: Database
) -> None:
    """Its publisher left while the room was not open here: it was shown for ever."""
    async with database.connection() as connection:
        room_id = await create_room_row(connection, await create_user_row(connection, "ada"))
    heard = Heard()
    async with run_host(settings), run_host_client(settings, heard) as hosts:
        client = RoomClient(hosts)
        client.open_room(room_id)
        client.report_publisher(room_id, PublisherUp("s1", {}))
        await wait_until(lambda: heard.statuses(room_id) == ["live"])
        followed = hosts.find_followed(ObjectKey(ROOM, room_id))
        assert followed is not None
        assert followed.link is not None
        followed.lose_link(followed.link)  # as an opening does that nobody answered in time
        client.report_publisher_lost(room_id, "s1", "left")
        await wait_until(lambda: heard.statuses(room_id) == ["live", "interrupted"], 60)


async def test_followers_leave_a_host_that_is_cut_off_from_storage_alone(
    settings: Settings, database: Database, cable: Gate, user_id: uuid.UUID
) -> None:
    """The next owner's lines were stored, and whoever followed the former one saw none of them."""
    leases = HostSettings(lease_ttl_s=3600.0, renew_every_s=0.2)
    settings, clock = dataclasses.replace(settings, hosts=leases), PushedClock()
    cut_off = dataclasses.replace(
        settings, database=dataclasses.replace(settings.database, url=cable.dsn, wait_s=2.0)
    )
    async with database.connection() as connection:
        room_id = await create_room_row(connection, user_id)
    heard = Heard()
    async with run_host(cut_off, "host-0", clock=clock), run_client(settings, heard) as client:
        client.open_room(room_id)
        await wait_until(lambda: len(heard.opened) == 1)
        async with run_host(settings, "host-1"):
            await cable.shut()
            clock.advance(leases.lease_ttl_s)
            async with database.connection() as connection:
                # An hour later, of which host-1 missed no renewal.
                await connection.execute(
                    "UPDATE hosts SET steady_since = steady_since - interval '1 hour',"
                    " expires_at = expires_at - interval '1 hour' * (id = 'host-0')::int"
                )
            await wait_until(lambda: len(heard.opened) == 2, 60)
            async with database.connection() as connection:
                placement = await find_placement(connection, ROOM, room_id)
            assert placement is not None
            assert placement.host_id == "host-1"
            await client.send_chat(room_id, make_speaker(user_id), "c1", "line")
            await wait_until(lambda: heard.seqs(room_id) == [1], 60)


@pytest.fixture
async def user_id(database: Database) -> uuid.UUID:
    async with database.connection() as connection:
        return await create_user_row(connection, "ada")
