"""People on edges: what they are told on every device, whether they are there, who may see it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from actors.hosting.core import Core, CoreTerms, Loaded
from actors.hosting.host import Host
from actors.hosting.messages import API
from actors.live_room.kind import ROOM_KIND
from actors.user_session.client import UserClient
from actors.user_session.kind import USER_KIND, make_session
from kit.errors import Unavailable
from kit.ids import make_id
from kit.setting_sections import HostSettings
from kit.settings import Settings
from serve_apps.edge.server import EdgePace, EdgeServer
from serve_apps.edge.user_mirrors import UserMirror
from storage.cache import Cache
from storage.database import Database
from storage.objects import ObjectStore
from storage.placements import USER, find_placement
from storage.user_entries import list_entries_after, purge_entries
from tests.actors.hosting.stage import (
    PushedClock,
    run_child_host,
    run_host,
    run_host_client,
    write_settings,
)
from tests.serve_apps.edge.edge_stage import (
    Guest,
    Talker,
    connect,
    invite,
    run_edge,
    use_free_ports,
)
from tests.serve_apps.edge.test_event_streams import Reader
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.db

LONG_S = 3600.0
SAID = {"user": {"id": "1", "username": "bob", "display_name": "Bob"}}


@dataclass(frozen=True)
class Stage:
    """Ada and Bob, two edges, and a way to tell people something."""

    settings: Settings
    database: Database
    ada: Guest
    bob: Guest
    edges: tuple[EdgeServer, EdgeServer]
    people: UserClient

    @property
    def channel(self) -> str:
        return f"user:{self.ada.user_id}"

    @property
    def presence(self) -> str:
        return f"presence:{self.ada.user_id}"

    async def tell(self, number: int, event_id: uuid.UUID | None = None) -> int:
        """Notify Ada; again, by the same event, where nobody answered in time."""
        event_id = event_id or make_id()
        said = {**SAID, "text": str(number)}
        stored = None
        async with asyncio.timeout(60):
            while stored is None:
                with contextlib.suppress(Unavailable):
                    stored = await self.people.deliver(self.ada.user_id, event_id, "comment", said)
        return stored.seq

    @contextlib.asynccontextmanager
    async def visit(
        self, edge: int, guest: Guest, channel: str, since: tuple[str, int] | None = None
    ) -> AsyncIterator[Talker]:
        async with connect(self.edges[edge]) as talker:
            await talker.authenticate(guest)
            await talker.subscribe(channel, since)
            yield talker


def numbers(talker: Talker) -> list[int]:
    return [int(e["data"]["text"]) for e in talker.events if e["type"] == "notification"]


def presences(talker: Talker) -> list[str]:
    return [e["data"]["status"] for e in talker.events if e["type"] == "presence"]


@contextlib.asynccontextmanager
async def run_edges(
    settings: Settings, database: Database, objects: ObjectStore, pace: EdgePace | None = None
) -> AsyncIterator[Stage]:
    first, second = use_free_ports(settings), use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    bob = await invite(database, settings, "bob")
    async with (
        run_edge(first, objects, 0, pace=pace) as edge,
        run_edge(second, objects, 1, pace=pace) as other,
        run_host_client(settings, name="runner", role=API) as hosts,
    ):
        yield Stage(settings, database, ada, bob, (edge, other), UserClient(hosts))


@pytest.fixture
async def stage(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[Stage]:
    async with run_host(settings), run_edges(settings, database, objects) as lent:
        yield lent


@dataclass(frozen=True)
class Timed:
    """A stage whose host has a clock of the test's: nobody is away or offline before it says so."""

    stage: Stage
    host: Host
    clock: PushedClock

    async def wait_for_sockets(self, count: int) -> None:
        """Wait until the host knows Ada to have so many sockets."""

        def is_known() -> bool:
            found = [
                core for core in self.host.list_cores(USER) if core.id == self.stage.ada.user_id
            ]
            return [core.audience for core in found] == [count]

        await wait_until(is_known)


@pytest.fixture
async def timed(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[Timed]:
    settings = replace(settings, hosts=HostSettings(lease_ttl_s=10 * LONG_S))
    session = partial(make_session, offline_after_s=LONG_S, away_after_s=2 * LONG_S)
    kinds, clock = (ROOM_KIND, replace(USER_KIND, make_core=session)), PushedClock()
    pace = EdgePace(activity_every_s=0.1)
    async with (
        run_host(settings, kinds=kinds, clock=clock) as host,
        run_edges(settings, database, objects, pace) as lent,
    ):
        yield Timed(lent, host, clock)


async def set_audience(stage: Stage, audience: str) -> None:
    async with stage.database.connection() as connection:
        await connection.execute(
            "UPDATE users SET presence_audience = $2 WHERE id = $1", stage.ada.user_id, audience
        )


async def test_what_somebody_is_told_reaches_every_device_once_and_in_order(stage: Stage) -> None:
    event_id = make_id()
    async with (
        stage.visit(0, stage.ada, stage.channel) as phone,
        stage.visit(1, stage.ada, stage.channel) as laptop,
    ):
        assert await stage.tell(0, event_id) == 1
        for number in range(1, 20):
            assert await stage.tell(number) == number + 1
        assert await stage.tell(0, event_id) == 1
        for device in (phone, laptop):
            await device.wait(lambda device=device: len(numbers(device)) == 20)
            assert numbers(device) == list(range(20))
            assert device.offsets(stage.channel) == list(range(1, 21))
    async with stage.database.connection() as connection:
        rows = await list_entries_after(connection, stage.ada.user_id, 0, 100)
    assert [int(row.body["data"]["text"]) for row in rows] == list(range(20))


async def test_who_comes_back_hears_exactly_what_was_missed_also_elsewhere(stage: Stage) -> None:
    async with connect(stage.edges[0]) as phone:
        await phone.authenticate(stage.ada)
        position = await phone.subscribe(stage.channel)
        assert position["offset"] == 0
        await stage.tell(1)
        await phone.wait(lambda: numbers(phone) == [1])
    for number in range(2, 6):
        await stage.tell(number)
    async with connect(stage.edges[1]) as phone:
        await phone.authenticate(stage.ada)
        answer = await phone.subscribe(stage.channel, (position["epoch"], 1))
        assert (answer["recovered"], answer["offset"]) == (True, 1)
        await phone.wait(lambda: len(numbers(phone)) == 4)
        assert phone.offsets(stage.channel) == [2, 3, 4, 5]


async def test_without_a_socket_a_stream_tells_the_same_and_resumes(stage: Stage) -> None:
    headers = {"Authorization": f"Bearer {stage.ada.token}"}

    @contextlib.asynccontextmanager
    async def read(edge: int, last_id: str = "") -> AsyncIterator[Reader]:
        url = f"{stage.edges[edge].address.url}/events?channels={stage.channel}"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=headers | {"Last-Event-ID": last_id}) as answer,
        ):
            yield Reader(answer)

    async with read(0) as phone:
        await phone.read(lambda: phone.messages, 60.0)
        await stage.tell(1)
        await phone.read(lambda: phone.offsets == [1], 60.0)
    await stage.tell(2)
    async with read(1, phone.last_id) as phone:
        await phone.read(lambda: phone.offsets == [2], 60.0)


async def test_what_was_purged_is_not_passed_over_in_silence(stage: Stage) -> None:
    for number in range(1, 7):
        await stage.tell(number)
    async with run_host(stage.settings, "host-1", history_max=2):
        async with stage.database.connection() as connection:
            await purge_entries(connection, keep_s=1e6, keep_max=3, limit=100)
            placement = await find_placement(connection, USER, stage.ada.user_id)
            assert placement is not None
            await connection.execute("UPDATE hosts SET state = 'fenced' WHERE id = 'host-0'")
        async with stage.visit(0, stage.ada, stage.channel) as phone:
            assert len(phone.answers) == 2
            epoch = phone.answers[-1][stage.channel]["epoch"]
        async with stage.visit(0, stage.ada, stage.channel, (epoch, 3)) as phone:
            await phone.wait(lambda: numbers(phone) == [4, 5, 6])
        async with connect(stage.edges[0]) as phone:
            await phone.authenticate(stage.ada)
            await phone.subscribe(stage.channel, (epoch, 1))
            await phone.wait(lambda: any(e["type"] == "reload" for e in phone.events))
            await stage.tell(7)
            await phone.wait(lambda: numbers(phone) == [7])


async def test_hints_share_the_persons_channel_and_are_not_numbered(
    stage: Stage, cache: Cache
) -> None:
    async with stage.visit(0, stage.ada, stage.channel) as phone:
        await stage.tell(1)
        await phone.wait(lambda: numbers(phone) == [1])
        while phone.latest("feed_hint") is None:
            await cache.publish(stage.channel, "feed_hint", {"post_id": "1", "author_id": "2"})
            await asyncio.sleep(0.05)
        assert phone.offsets(stage.channel) == [1]


async def test_presence_is_seen_on_another_edge_and_outlives_a_reload(timed: Timed) -> None:
    stage, seen = timed.stage, ["offline", "online"]
    async with stage.visit(1, stage.bob, stage.presence) as bob:
        await timed.wait_for_sockets(0)
        timed.clock.advance(LONG_S)
        await bob.wait(lambda: presences(bob) == ["offline"])
        async with stage.visit(0, stage.ada, stage.channel):
            await bob.wait(lambda: presences(bob) == seen)
        await timed.wait_for_sockets(0)
        async with stage.visit(0, stage.ada, stage.channel):
            await timed.wait_for_sockets(1)
            async with stage.visit(1, stage.bob, stage.presence) as late:
                await late.wait(lambda: presences(late) == ["online"])
            timed.clock.advance(2 * LONG_S)  # longer than the grace: away, and never seen going
            await bob.wait(lambda: presences(bob) == [*seen, "away"])
        await timed.wait_for_sockets(0)
        timed.clock.advance(LONG_S)
        await bob.wait(lambda: presences(bob) == [*seen, "away", "offline"])


async def test_somebody_who_does_nothing_is_away_and_comes_back(timed: Timed) -> None:
    stage = timed.stage
    async with (
        stage.visit(1, stage.bob, stage.presence) as bob,
        stage.visit(0, stage.ada, stage.channel) as ada,
    ):
        await bob.wait(lambda: presences(bob)[-1:] == ["online"])
        timed.clock.advance(2 * LONG_S)
        await bob.wait(lambda: presences(bob)[-1:] == ["away"])
        await ada.ask(type="ping")
        await ada.say(type="active")
        await bob.wait(lambda: presences(bob)[-2:] == ["away", "online"])


async def test_who_left_every_page_is_away_until_one_is_come_back_to(stage: Stage) -> None:
    async with (
        stage.visit(1, stage.bob, stage.presence) as bob,
        stage.visit(0, stage.ada, stage.channel) as phone,
        stage.visit(0, stage.ada, stage.channel) as laptop,
    ):
        await bob.wait(lambda: presences(bob)[-1:] == ["online"])
        await phone.say(type="away")
        await phone.ask(type="ping")
        await laptop.say(type="away")
        await bob.wait(lambda: presences(bob)[-1:] == ["away"])
        await laptop.say(type="subscribe", channels=[stage.presence])
        await laptop.wait(lambda: presences(laptop) == ["away"])
        await phone.say(type="active")
        await bob.wait(lambda: presences(bob)[-2:] == ["away", "online"])
        await phone.socket.close()
        await bob.wait(lambda: presences(bob)[-2:] == ["online", "away"])


@pytest.mark.parametrize(
    ("audience", "stranger", "bob", "ada"),
    [
        ("everyone", True, True, True),
        ("followers", False, False, True),
        ("nobody", False, False, True),
    ],
)
async def test_presence_is_for_whom_the_person_chose(
    stage: Stage, audience: str, *, stranger: bool, bob: bool, ada: bool
) -> None:
    await set_audience(stage, audience)
    seen: list[bool] = []
    for guest in (None, stage.bob, stage.ada):
        async with connect(stage.edges[0]) as talker:
            if guest is not None:
                await talker.authenticate(guest)
            answer = await talker.subscribe(stage.presence)
            seen.append("recovered" in answer)
            assert "recovered" in answer or answer["error"] == "not_found"
    assert seen == [stranger, bob, ada]


async def test_who_hides_is_not_shown_to_those_any_more_who_see_them(stage: Stage) -> None:
    async with (
        stage.visit(0, stage.ada, stage.channel) as ada,
        stage.visit(1, stage.bob, stage.presence) as bob,
    ):
        await ada.subscribe(stage.presence)
        await bob.wait(lambda: presences(bob) == ["online"])
        await set_audience(stage, "nobody")
        await bob.wait(lambda: any(e.get("channel") == stage.presence for e in bob.errors), 60.0)
        await ada.say(type="away")
        await ada.wait(lambda: presences(ada)[-1:] == ["away"])
        await bob.ask(type="ping")
        assert presences(bob) == ["online"]
        assert not ada.errors


async def test_a_follower_sees_the_presence_that_is_for_followers(stage: Stage) -> None:
    await set_audience(stage, "followers")
    async with stage.database.connection() as connection:
        await connection.execute(
            "INSERT INTO follows (follower_id, followee_id, created_at) VALUES ($1, $2, now())",
            stage.bob.user_id,
            stage.ada.user_id,
        )
    async with (
        stage.visit(0, stage.ada, stage.channel),
        stage.visit(1, stage.bob, stage.presence) as bob,
    ):
        await bob.wait(lambda: presences(bob)[-1:] == ["online"])


def break_session(_loaded: Loaded, _terms: CoreTerms) -> Core:
    raise ValueError("this session cannot be made")


async def test_whoever_follows_what_is_broken_hears_it_at_once(
    settings: Settings, database: Database, objects: ObjectStore
) -> None:
    """They waited as long as a channel may take to open: three seconds, and thirty for a person."""
    kinds = (ROOM_KIND, replace(USER_KIND, make_core=break_session))
    async with (
        run_host(settings, kinds=kinds),
        run_edges(settings, database, objects) as stage,
        connect(stage.edges[0]) as ada,
    ):
        await ada.authenticate(stage.ada)
        began_s = asyncio.get_running_loop().time()
        answer = await ada.ask(type="subscribe", channels=[stage.channel])
        assert answer["error"] == "channel_not_reached"
        assert asyncio.get_running_loop().time() - began_s < UserMirror.OPEN_TIMEOUT_S / 2


async def test_nobody_else_follows_a_persons_own_channel(stage: Stage) -> None:
    async with connect(stage.edges[0]) as talker:
        assert (await talker.subscribe(stage.channel))["error"] == "not_authenticated"
        await talker.authenticate(stage.bob)
        assert (await talker.subscribe(stage.channel))["error"] == "permission_denied"


async def test_a_session_whose_host_is_killed_goes_on_without_loss_and_nobody_seems_gone(
    settings: Settings, database: Database, objects: ObjectStore, tmp_path: Path
) -> None:
    file = write_settings(settings, tmp_path / "settings.toml")
    async with (
        run_child_host(file, "host-0") as first,
        run_child_host(file, "host-1") as second,
        run_edges(settings, database, objects) as stage,
        stage.visit(0, stage.ada, stage.channel) as phone,
        stage.visit(1, stage.bob, stage.presence) as bob,
    ):
        await bob.wait(lambda: presences(bob)[-1:] == ["online"])
        async with database.connection() as connection:
            placement = await find_placement(connection, USER, stage.ada.user_id)
        assert placement is not None
        owner = first if placement.host_id == "host-0" else second
        telling = [asyncio.create_task(stage.tell(number)) for number in range(40)]
        await asyncio.wait(telling, return_when=asyncio.FIRST_COMPLETED)
        await owner.kill()
        seqs = await asyncio.gather(*telling)
        seqs += [await stage.tell(number) for number in range(40, 50)]
        await phone.wait(lambda: len(numbers(phone)) >= 50)
        assert sorted(seqs) == list(range(1, 51))
        assert phone.offsets(stage.channel) == list(range(1, 51))
        assert sorted(numbers(phone)) == list(range(50))
        assert "offline" not in presences(bob)[presences(bob).index("online") :]
