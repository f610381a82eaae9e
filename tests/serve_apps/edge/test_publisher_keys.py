"""A stream key that is replaced while its publisher is on the way in, by WHIP and by RTMP."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from kit.clock import SystemClock
from kit.ids import make_id
from kit.settings import Settings
from media.live.samples import VideoFormat, VideoSample
from media.rtmp.server import Applicant
from serve_apps.access.grants import TicketKind, TicketOrder, issue_ticket
from serve_apps.edge.rtmp import RtmpIngest, RtmpPorts, RtmpPublication
from serve_apps.edge.server import EdgeServer
from storage.database import Connection, Database, DatabaseBusy
from storage.lives import find_live, replace_stream_key
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_host
from tests.media.live.configurations import AVC
from tests.media.sfu.packets import VP8_KEY, make_rtp
from tests.media.sfu.peer import RtcPeer
from tests.serve_apps.edge.edge_stage import invite, run_edge, use_free_ports
from tests.serve_apps.edge.live_publisher import sign_publisher
from tests.storage.live_rows import create_room_row
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.media

SDP = {"Content-Type": "application/sdp"}
OLD, NEW = "live_old", "live_new"
DEADLINE_S = 60.0


class FailingDatabase(Database):
    """A pool that can be told to lend nothing."""

    is_away = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        if self.is_away:
            raise DatabaseBusy(retry_after_s=2)
        async with super().connection() as connection:
            yield connection


@dataclass
class Stage:
    """An edge and a live with a key."""

    settings: Settings
    database: Database
    edge: EdgeServer
    http: aiohttp.ClientSession
    room_id: uuid.UUID
    peers: list[RtcPeer] = field(default_factory=list)

    def sign(self, key: str = OLD, room_id: uuid.UUID | None = None) -> str:
        """Sign a publisher's ticket as the API does."""
        return sign_publisher(self.settings, self.edge.address.url, room_id or self.room_id, key)

    async def offer(self, peer: RtcPeer, ticket: str, path: str = "/whip") -> tuple[int, str]:
        """Post a peer's offer; returns the status and what was said."""
        self.peers.append(peer)
        url = f"{self.edge.address.url}{path}?ticket={ticket}"
        async with self.http.post(url, data=peer.offer, headers=SDP) as answer:
            return answer.status, await answer.text()

    async def publish(self, key: str = OLD) -> RtcPeer:
        """Connect a publisher, and wait until the live is on air."""
        peer = RtcPeer(direction="sendonly")
        status, answer = await self.offer(peer, self.sign(key))
        assert status == 201, answer
        await peer.connect(answer)
        async with asyncio.timeout(DEADLINE_S):
            while await self.read_status() != "live":
                await asyncio.sleep(0.05)
        return peer

    async def watch(self) -> RtcPeer:
        """Connect a viewer."""
        peer, order = RtcPeer(), TicketOrder(TicketKind.WHEP, self.room_id, self.edge.address.url)
        ticket = issue_ticket(self.settings.auth, order, SystemClock().now())
        status, answer = await self.offer(peer, ticket, f"/whep/{self.room_id}")
        assert status == 201, answer
        await peer.connect(answer)
        return peer

    async def replace_key(self) -> None:
        """Replace the key as the API does; no room is told, for it knows of nobody."""
        async with self.database.connection() as connection:
            await replace_stream_key(connection, self.room_id, NEW)

    async def read_status(self) -> str:
        async with self.database.connection() as connection:
            live = await find_live(connection, self.room_id)
        assert live is not None
        return live.status

    async def admit(self, told: list[str]) -> RtmpPublication:
        """Let an RTMP publisher in, who has sent no picture yet; `told` is why it is cut."""
        ports = RtmpPorts(self.database, self.edge._sessions, SystemClock())
        applicant = Applicant("live", OLD, "test", "127.0.0.1", told.append)
        return await RtmpIngest(ports).admit(applicant)


@pytest.fixture
async def stage(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[Stage]:
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id, stream_key=OLD)
    async with (
        run_host(settings),
        run_edge(settings, objects, database_type=FailingDatabase) as edge,
        aiohttp.ClientSession() as http,
    ):
        lent = Stage(settings, database, edge, http, room_id)
        yield lent
        for peer in lent.peers:
            peer.close(politely=False)


async def send_until(peer: RtcPeer, viewer: RtcPeer, name: bytes) -> None:
    """Send pictures of a publisher until the viewer got one."""
    async with asyncio.timeout(DEADLINE_S):
        for seq in itertools.count():
            peer.send_rtp(make_rtp(seq, 3000 * seq, VP8_KEY + name))
            await asyncio.sleep(0.01)
            if any(packet.endswith(name) for packet in viewer.rtp):
                return


async def test_a_ticket_opens_its_live_by_the_key_that_it_names_alone(stage: Stage) -> None:
    order = TicketOrder(TicketKind.WHIP, stage.room_id, stage.edge.address.url)
    unmarked = issue_ticket(stage.settings.auth, order, SystemClock().now())
    for ticket in (stage.sign(NEW), stage.sign(OLD, make_id()), unmarked):
        status, said = await stage.offer(RtcPeer(direction="sendonly"), ticket)
        assert (status, "stream_key_invalid" in said) == (401, True)
    status, _ = await stage.offer(RtcPeer(direction="sendonly"), stage.sign(OLD))
    assert status == 201


async def test_nobody_publishes_while_nobody_can_tell_whether_the_key_is_valid(
    stage: Stage,
) -> None:
    database = stage.edge._ports.database
    assert isinstance(database, FailingDatabase)
    database.is_away = True
    status, said = await stage.offer(RtcPeer(direction="sendonly"), stage.sign())
    assert (status, "database_busy" in said) == (503, True)


async def test_a_publisher_whose_key_is_replaced_while_it_connects_replaces_nobody(
    stage: Stage,
) -> None:
    valid = await stage.publish()
    viewer = await stage.watch()
    late = RtcPeer(direction="sendonly")
    status, answer = await stage.offer(late, stage.sign())
    assert status == 201
    await stage.replace_key()
    await late.connect(answer)
    late.send_rtp(make_rtp(0, 0, VP8_KEY + b"late"))
    await wait_until(lambda: late.dtls.is_closed, DEADLINE_S)
    await send_until(valid, viewer, b"valid")
    assert not any(packet.endswith(b"late") for packet in viewer.rtp)
    assert len(stage.edge._sessions) == 2


async def test_a_publisher_whose_place_was_taken_hears_so_when_it_says_goodbye(
    stage: Stage,
) -> None:
    async def say_goodbye(session_id: str) -> tuple[int, str]:
        address = f"{stage.edge.address.url}/sessions/{session_id}"
        async with stage.http.delete(address) as answer:
            return answer.status, (await answer.json(content_type=None) or {}).get("error", "")

    sessions = stage.edge._sessions
    await stage.publish()
    (taken,) = sessions.list_publishers()
    await stage.publish()
    await wait_until(lambda: taken not in sessions, DEADLINE_S)
    assert await say_goodbye(taken) == (410, "publisher_replaced")
    (present,) = sessions.list_publishers()
    assert await say_goodbye(present) == (200, "")
    async with asyncio.timeout(DEADLINE_S):
        while await stage.read_status() != "interrupted":
            await asyncio.sleep(0.05)
    for session_id in (taken, present, "unknown"):
        assert await say_goodbye(session_id) == (404, "session_not_found")


@pytest.mark.parametrize("has_other", [True, False], ids=["live", "off-air"])
async def test_an_rtmp_publisher_whose_key_is_replaced_before_it_begins_is_cut(
    stage: Stage, has_other: bool
) -> None:
    told: list[str] = []
    if has_other:
        valid, viewer = await stage.publish(), await stage.watch()
    publication = await stage.admit(told)
    await stage.replace_key()
    form = VideoFormat(320, 180, AVC)
    for number in range(10):
        ticks = 3000 * number
        publication.add_video(VideoSample(form, b"\0\0\0\1\x65", ticks, ticks, number == 0))
    await wait_until(lambda: bool(told), DEADLINE_S)
    publication.end("cut")
    assert told == ["This live was ended."]
    if has_other:
        await send_until(valid, viewer, b"valid")
    assert await stage.read_status() == ("live" if has_other else "created")


async def test_an_rtmp_publisher_whose_key_is_valid_begins_with_its_first_picture(
    stage: Stage,
) -> None:
    told: list[str] = []
    publication = await stage.admit(told)
    form = VideoFormat(320, 180, AVC)
    for number in range(10):
        ticks = 3000 * number
        publication.add_video(VideoSample(form, b"\0\0\0\1\x65", ticks, ticks, number == 0))
    async with asyncio.timeout(DEADLINE_S):
        while await stage.read_status() != "live":
            await asyncio.sleep(0.05)
    assert told == []
    publication.end("left")
