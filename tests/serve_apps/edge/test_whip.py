"""WHIP and WHEP on a real edge with a real room behind it: tickets, sessions, what viewers hear."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import re
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from functools import partial

import aiohttp
import imageio_ffmpeg
import orjson
import pytest
from multidict import CIMultiDictProxy

from actors.hosting.core import ObjectKey
from actors.live_room.entries import Patience
from actors.live_room.kind import ROOM_KIND, make_room
from kit.clock import SystemClock
from kit.ids import make_id
from kit.settings import Settings
from serve_apps.access.grants import TicketKind, TicketOrder, issue_ticket
from serve_apps.edge.addresses import find_route_ip
from serve_apps.edge.layers import LAYER_EXTENSION
from serve_apps.edge.server import EdgeServer
from storage.database import Database
from storage.objects import ObjectStore
from storage.placements import ROOM
from tests.actors.hosting.stage import run_host
from tests.media.sfu.packets import VP8_KEY, add_extension, make_rtp
from tests.media.sfu.peer import Credentials, RtcPeer
from tests.media.sfu.room_stage import RID_EXTENSION, describe_layers
from tests.serve_apps.edge.edge_stage import Guest, connect, invite, run_edge, use_free_ports
from tests.serve_apps.edge.films import start_film
from tests.serve_apps.edge.live_publisher import sign_publisher
from tests.storage.live_rows import create_room_row
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.media

SDP = {"Content-Type": "application/sdp"}
STUN = "stun:stun.example.org:3478"
TURN = "turn:turn.example.org:3478?transport=udp"
TURN_LINK = re.compile(
    re.escape(f'<{TURN}>; rel="ice-server"')
    + r'; username="(?P<username>[^"]+)"; credential="(?P<credential>[^"]+)"'
    + r'; credential-type="password"'
)
BEHIND_NAT = "192.0.2.7"
CANDIDATE = re.compile(r"^a=(candidate:.*?)\r?$", re.MULTILINE)
FRAGMENT = "application/trickle-ice-sdpfrag"


def describe_ice(credentials: Credentials) -> str:
    """Write a fragment with a peer's credentials and a candidate."""
    return (
        f"a=ice-ufrag:{credentials.ufrag}\r\na=ice-pwd:{credentials.password}\r\n"
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        "a=candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host\r\n"
    )


@dataclass
class Answer:
    """An HTTP answer, read whole."""

    status: int
    body: str
    headers: CIMultiDictProxy[str]


@dataclass
class Stage:
    """An edge, Ada's room, and everybody's media."""

    settings: Settings
    edge: EdgeServer
    http: aiohttp.ClientSession
    ada: Guest
    bob: Guest
    room_id: uuid.UUID
    peers: list[RtcPeer] = field(default_factory=list)

    def ticket(
        self, kind: TicketKind, *, room_id: uuid.UUID | None = None, guest: Guest | None = None
    ) -> str:
        """Sign a ticket for this edge as the API does."""
        if kind is TicketKind.WHIP:
            return sign_publisher(self.settings, self.edge.address.url, room_id or self.room_id)
        claims = {} if guest is None else {"session": str(guest.session_id)}
        subject = None if guest is None else guest.user_id
        order = TicketOrder(kind, room_id or self.room_id, self.edge.address.url, subject, claims)
        return issue_ticket(self.settings.auth, order, SystemClock().now())

    async def call(self, method: str, path: str, body: str = "", **headers: str) -> Answer:
        """Call the edge; SDP unless another type is named."""
        url = path if path.startswith("http") else self.edge.address.url + path
        async with self.http.request(method, url, data=body, headers=headers or SDP) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)

    async def publish(self) -> tuple[RtcPeer, Answer]:
        """Connect a publisher over WHIP."""
        peer = RtcPeer(direction="sendonly")
        return peer, await self._enter(peer, f"/whip?ticket={self.ticket(TicketKind.WHIP)}")

    async def watch(self, guest: Guest | None = None) -> tuple[RtcPeer, Answer]:
        """Connect a viewer over WHEP."""
        peer = RtcPeer()
        ticket = self.ticket(TicketKind.WHEP, guest=guest)
        return peer, await self._enter(peer, f"/whep/{self.room_id}?ticket={ticket}")

    async def _enter(self, peer: RtcPeer, path: str) -> Answer:
        self.peers.append(peer)
        answer = await self.call("POST", path, peer.offer)
        assert answer.status == 201, answer.body
        await peer.connect(answer.body)
        return answer


@contextlib.asynccontextmanager
async def run_stage(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[Stage]:
    """Run an edge whose ports are free, with Ada's room behind it."""
    ada = await invite(database, settings, "ada")
    bob = await invite(database, settings, "bob")
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id)
    async with (
        run_host(settings),
        run_edge(settings, objects) as edge,
        aiohttp.ClientSession() as http,
    ):
        lent = Stage(settings, edge, http, ada, bob, room_id)
        yield lent
        for peer in lent.peers:
            peer.close(politely=False)


@pytest.fixture
async def stage(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[Stage]:
    async with run_stage(use_free_ports(settings), database, objects) as lent:
        yield lent


async def read_live(database: Database, room_id: uuid.UUID) -> tuple[str, dict[str, object] | None]:
    async with database.connection() as connection:
        row = await connection.fetchrow("SELECT status, origin FROM lives WHERE id = $1", room_id)
    assert row is not None
    return row["status"], row["origin"]


async def send_until_seen(publisher: RtcPeer, viewer: RtcPeer) -> None:
    """Send keyframes until the viewer got something."""
    async with asyncio.timeout(60):
        for seq in itertools.count():
            publisher.send_rtp(make_rtp(seq, 3000 * seq, VP8_KEY))
            await asyncio.sleep(0.01)
            if viewer.rtp:
                return


async def test_media_makes_the_room_live_reaches_viewers_and_its_end_is_told(
    stage: Stage, database: Database
) -> None:
    channel = f"room:{stage.room_id}"
    async with connect(stage.edge) as stranger:
        await stranger.subscribe(channel)
        publisher, entered = await stage.publish()
        await stranger.wait(lambda: (stranger.latest("state") or {}).get("status") == "live")
        status, origin = await read_live(database, stage.room_id)
        assert status == "live"
        assert origin is not None
        assert origin["edge"] == stage.edge.address.url
        viewer, _ = await stage.watch(stage.bob)
        await send_until_seen(publisher, viewer)
        assert any(packet.endswith(VP8_KEY) for packet in viewer.rtp)
        counts = {"viewers": 2, "ways": {"webrtc": 1, "hls": 0, "chat": 1}, "publishers": 1}
        await stranger.wait(lambda: stranger.latest("viewer_count") == counts)
        assert (await stage.call("DELETE", entered.headers["Location"])).status == 200
        await stranger.wait(lambda: stranger.latest("state")["status"] == "interrupted")
        assert stranger.latest("state")["reason"] == "closed"
        assert (await stage.call("DELETE", entered.headers["Location"])).status == 404


async def test_an_answer_says_where_the_session_is_and_any_page_may_read_it(stage: Stage) -> None:
    _, answer = await stage.publish()
    assert answer.headers["Content-Type"].startswith("application/sdp")
    assert answer.headers["Location"].startswith(f"{stage.edge.address.url}/sessions/")
    assert len(answer.headers["Location"].rpartition("/")[2]) >= 43
    assert answer.headers["ETag"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Location" in answer.headers["Access-Control-Expose-Headers"]
    preflight = await stage.call("OPTIONS", "/whip", Origin="null")
    assert preflight.status == 204
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert preflight.headers["Accept-Post"] == "application/sdp"


async def test_answers_name_the_ice_servers_and_the_address_that_are_configured(
    settings: Settings, database: Database, objects: ObjectStore
) -> None:
    own = use_free_ports(
        settings,
        ice_servers=(STUN, TURN),
        turn_secret="shared with coturn",
        public_ips=("127.0.0.1", BEHIND_NAT),
    )
    async with run_stage(own, database, objects) as stage:
        _, published = await stage.publish()
        _, watched = await stage.watch(stage.bob)
    for answer in (published, watched):
        servers = [line for line in answer.headers.getall("Link") if "ice-server" in line]
        assert servers[0] == f'<{STUN}>; rel="ice-server"'
        (turn,) = servers[1:]
        found = TURN_LINK.fullmatch(turn)
        assert found is not None, turn
        until_s, _, label = found["username"].partition(":")
        assert float(until_s) > SystemClock().now().timestamp()
        assert label
        assert label in answer.headers["Location"]
        digest = hmac.digest(b"shared with coturn", found["username"].encode(), hashlib.sha1)
        assert found["credential"] == base64.b64encode(digest).decode()
        assert "Link" in answer.headers["Access-Control-Expose-Headers"].split(", ")
        # What no interface here has is a candidate as it was written, and nothing else is.
        candidates = {line.split(" ")[4] for line in CANDIDATE.findall(answer.body)}
        assert candidates == {"127.0.0.1", BEHIND_NAT}
    layers = [line for line in watched.headers.getall("Link") if LAYER_EXTENSION in line]
    assert layers == [f'<{watched.headers["Location"]}/layer>; rel="{LAYER_EXTENSION}"']


def test_the_system_says_what_is_sent_from_and_where_nothing_leads() -> None:
    assert find_route_ip(("127.0.0.1", 9)) == "127.0.0.1"
    assert find_route_ip(("255.255.255.255", 9)) is None  # a broadcast, which is not allowed


async def test_candidates_are_taken_for_the_ice_session_they_name(stage: Stage) -> None:
    peer, answer = await stage.publish()
    location, etag = answer.headers["Location"], answer.headers["ETag"]
    body = describe_ice(peer.credentials)

    async def patch(body: str, where: str = location, **headers: str) -> Answer:
        return await stage.call("PATCH", where, body, **{"Content-Type": FRAGMENT, **headers})

    taken = await patch(body, **{"If-Match": etag})
    assert (taken.status, taken.body) == (204, "")
    assert "ETag" not in taken.headers
    assert (await patch("a=end-of-candidates", **{"If-Match": etag})).status == 204
    assert (await patch(body)).status == 428
    assert (await patch(body, **{"If-Match": '"another"'})).status == 412
    assert (await patch("no fragment", **{"If-Match": etag})).status == 400
    assert (await patch(body, "/sessions/none", **{"If-Match": etag})).status == 404
    wrong = await stage.call("PATCH", location, body, **{**SDP, "If-Match": etag})
    assert wrong.status == 415
    for method in ("GET", "PUT", "POST"):
        assert (await stage.call(method, location)).status == 405
    preflight = await stage.call("OPTIONS", location, Origin="null")
    assert preflight.headers["Accept-Patch"] == FRAGMENT
    assert "If-Match" in preflight.headers["Access-Control-Allow-Headers"]


async def test_ice_restarts_while_media_flows_on(stage: Stage) -> None:
    publisher, _ = await stage.publish()
    viewer, answer = await stage.watch(stage.bob)
    location = answer.headers["Location"]
    viewer.credentials.ufrag, viewer.credentials.password = "anew", "p" * 24
    restarted = await stage.call(
        "PATCH",
        location,
        describe_ice(viewer.credentials),
        **{"Content-Type": FRAGMENT, "If-Match": "*"},
    )
    assert restarted.status == 200
    assert restarted.headers["Content-Type"].startswith(FRAGMENT)
    assert restarted.headers["ETag"] not in ("", answer.headers["ETag"])
    lines = dict(line[2:].split(":", 1) for line in restarted.body.splitlines() if ":" in line)
    viewer.credentials.remote_ufrag = lines["ice-ufrag"]
    viewer.credentials.remote_password = lines["ice-pwd"]
    viewer.check()
    await send_until_seen(publisher, viewer)
    late = await stage.call(
        "PATCH",
        location,
        "a=end-of-candidates",
        **{"Content-Type": FRAGMENT, "If-Match": answer.headers["ETag"]},
    )
    assert late.status == 412


async def test_a_viewer_chooses_among_a_publishers_encodings(stage: Stage) -> None:
    publisher = RtcPeer(direction="sendonly")
    publisher.offer = publisher.offer.replace("a=mid:0\r\n", describe_layers(("q", "f")))
    entered = await stage._enter(publisher, f"/whip?ticket={stage.ticket(TicketKind.WHIP)}")
    assert "a=simulcast:recv q;f" in entered.body
    viewer, answer = await stage.watch(stage.bob)
    (link,) = [line for line in answer.headers.getall("Link") if LAYER_EXTENSION in line]
    layer = link[1 : link.index(">")]
    assert layer == answer.headers["Location"] + "/layer"
    json = {"Content-Type": "application/json"}

    numbers = itertools.count(1)

    async def send_until(is_done: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not is_done():
                seq = next(numbers)
                for ssrc, (rid, side) in enumerate({"q": 160, "f": 640}.items(), start=70):
                    size = side.to_bytes(2, "little") * 2
                    picture = b"\x10\x00\x00\x00\x9d\x01\x2a" + size + rid.encode()
                    packet = make_rtp(seq, 3000 * seq, picture, ssrc=ssrc, marker_and_type=224)
                    publisher.send_rtp(add_extension(packet, RID_EXTENSION, rid.encode()))
                await asyncio.sleep(0.02)

    await send_until(lambda: any(packet.endswith(b"f") for packet in viewer.rtp))
    shown = await stage.call("GET", layer)
    assert shown.status == 200
    fact = {"active": True, "bitrate": 0}
    seen = orjson.loads(shown.body)
    assert [one | fact for one in seen.pop("layers")] == [
        {"encodingId": "f", "width": 640, "height": 640, **fact},
        {"encodingId": "q", "width": 160, "height": 160, **fact},
    ]
    assert seen == {"playing": "f", "chosen": None}
    chosen = await stage.call("POST", layer, '{"mediaId":"0","encodingId":"q"}', **json)
    assert (chosen.status, orjson.loads(chosen.body)["chosen"]) == (200, "q")
    await send_until(lambda: viewer.rtp[-1].endswith(b"q"))
    assert orjson.loads((await stage.call("GET", layer)).body)["playing"] == "q"
    back = await stage.call("POST", layer, "{}", **json)
    assert orjson.loads(back.body)["chosen"] is None
    for body in ("", "[]", '{"encodingId":7}', '{"encodingId":"other"}', '"' + "a" * 5000):
        assert (await stage.call("POST", layer, body, **json)).status == 400
    gone = stage.edge.address.url + "/sessions/none/layer"
    assert (await stage.call("GET", gone)).status == 404
    assert (await stage.call("POST", gone, "{}", **json)).status == 404
    mine = entered.headers["Location"] + "/layer"
    assert (await stage.call("GET", mine)).status == 404
    preflight = await stage.call("OPTIONS", layer, Origin="null")
    assert preflight.headers["Accept-Post"] == "application/json"


async def test_a_ticket_opens_once(stage: Stage) -> None:
    path = f"/whip?ticket={stage.ticket(TicketKind.WHIP)}"
    assert (await stage.call("POST", path, RtcPeer(direction="sendonly").offer)).status == 201
    again = await stage.call("POST", path, RtcPeer(direction="sendonly").offer)
    assert (again.status, "ticket_used" in again.body) == (401, True)


async def test_foreign_and_missing_tickets_open_nothing(stage: Stage) -> None:
    offer = RtcPeer(direction="sendonly").offer
    elsewhere = issue_ticket(
        stage.settings.auth,
        TicketOrder(TicketKind.WHIP, stage.room_id, "http://other:1"),
        SystemClock().now(),
    )
    for ticket in ("", "x", elsewhere, stage.ticket(TicketKind.WHEP)):
        answer = await stage.call("POST", f"/whip?ticket={ticket}", offer)
        assert (answer.status, "ticket_invalid" in answer.body) == (401, True)
    other_room = stage.ticket(TicketKind.WHEP, room_id=make_id())
    answer = await stage.call("POST", f"/whep/{stage.room_id}?ticket={other_room}", offer)
    assert answer.status == 401


async def test_bad_offers_are_refused_with_their_own_codes(stage: Stage) -> None:
    for kind, body, headers, status in (
        (TicketKind.WHIP, "this is no offer", SDP, 400),
        (TicketKind.WHIP, "{}", {"Content-Type": "application/json"}, 415),
        (TicketKind.WHIP, "a" * (65 << 10), SDP, 413),
        (TicketKind.WHEP, RtcPeer().offer, SDP, 409),
    ):
        path = "/whip" if kind is TicketKind.WHIP else f"/whep/{stage.room_id}"
        answer = await stage.call("POST", f"{path}?ticket={stage.ticket(kind)}", body, **headers)
        assert answer.status == status, answer.body
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_revoked_login_stops_watching(stage: Stage, database: Database) -> None:
    await stage.publish()
    _, answer = await stage.watch(stage.bob)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE sessions SET revoked_at = now() WHERE id = $1", stage.bob.session_id
        )
    session_id = answer.headers["Location"].rpartition("/")[2]
    await wait_until(lambda: session_id not in stage.edge._sessions)
    ticket = stage.ticket(TicketKind.WHEP, guest=stage.bob)
    path = f"/whep/{stage.room_id}?ticket={ticket}"
    refused = await stage.call("POST", path, RtcPeer().offer)
    assert (refused.status, "session_revoked" in refused.body) == (401, True)


async def test_a_dead_edge_interrupts_its_broadcasts(
    settings: Settings, database: Database, objects: ObjectStore
) -> None:
    impatient = partial(make_room, patience=Patience(origin_grace_s=0.2))
    kinds = (replace(ROOM_KIND, make_core=impatient),)
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id)
    async with (
        run_host(settings, kinds=kinds),
        aiohttp.ClientSession() as http,
        run_edge(settings, objects) as edge,
    ):
        stage = Stage(settings, edge, http, ada, ada, room_id)
        publisher, _ = await stage.publish()
        await _wait_status(database, room_id, "live")
        edge._hosts._followed[ObjectKey(ROOM, room_id)].keeper.cancel()
        for link in edge._hosts._links.values():
            link._parts.writer.transport.abort()
        await _wait_status(database, room_id, "interrupted")
        publisher.close(politely=False)


async def _wait_status(database: Database, room_id: uuid.UUID, status: str) -> None:
    async with asyncio.timeout(60):
        while (await read_live(database, room_id))[0] != status:
            await asyncio.sleep(0.05)


async def test_a_draining_edge_takes_nobody(stage: Stage) -> None:
    stage.edge._sessions.is_draining = True
    path = f"/whip?ticket={stage.ticket(TicketKind.WHIP)}"
    answer = await stage.call("POST", path, RtcPeer(direction="sendonly").offer)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    with contextlib.suppress(aiohttp.ClientError):
        await stage.edge.drain(1.0)


async def test_ffmpegs_whip_muxer_publishes_and_says_goodbye(stage: Stage) -> None:
    binary = imageio_ffmpeg.get_ffmpeg_exe()  # Debian's FFmpeg has no WHIP muxer yet
    url = f"{stage.edge.address.url}/whip?ticket={stage.ticket(TicketKind.WHIP)}"
    words = "-re -f lavfi -i testsrc=size=320x180:rate=30 -re -f lavfi -i sine=frequency=440"
    words += " -c:v libx264 -profile:v baseline -preset ultrafast -tune zerolatency -g 30"
    words += " -pix_fmt yuv420p -c:a libopus -ar 48000 -ac 2 -f whip"
    async with connect(stage.edge) as stranger:
        await stranger.subscribe(f"room:{stage.room_id}")
        film = await start_film(binary, [*words.split(), url])
        try:
            await stranger.wait(lambda: (stranger.latest("state") or {}).get("status") == "live")
            viewer = RtcPeer(("H264", "opus"))
            ticket = stage.ticket(TicketKind.WHEP, guest=stage.bob)
            await stage._enter(viewer, f"/whep/{stage.room_id}?ticket={ticket}")
            await wait_until(lambda: len(viewer.rtp) > 50)
            assert viewer.undecryptable == 0
            await film.stop()
            await stranger.wait(lambda: stranger.latest("state")["status"] == "interrupted")
            assert stranger.latest("state")["reason"] == "closed", "it said goodbye"
        finally:
            await film.close()
