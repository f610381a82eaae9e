"""WHIP and WHEP on a real edge port: tickets, offers, sessions, and what browsers need to read."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict

from kit.clock import ManualClock, SystemClock
from kit.ids import make_id
from kit.settings import AuthSettings, Settings
from media.scenes.render import SCENES, render_scene
from media.sfu.options import SfuOptions
from media.sfu.server import Sfu
from media.whip.film import Film, encode_for_loop, read_film
from media.whip.publisher import FilmPublisher
from serve_apps.access.grants import TicketBook, TicketKind, TicketOrder, issue_ticket
from serve_apps.edge.webrtc import OFFER_BYTES_MAX, WebRtcPorts, add_webrtc_routes

pytestmark = pytest.mark.media

SDP = {"Content-Type": "application/sdp"}


class Heard:
    """What the SFU told."""

    def __init__(self) -> None:
        self.facts: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()

    def on_publisher_connected(self, *fact: str) -> None:
        self.facts.put_nowait(("publisher connected", *fact))

    def on_publisher_lost(self, *fact: str) -> None:
        self.facts.put_nowait(("publisher lost", *fact))

    def on_viewer_connected(self, *fact: str) -> None:
        self.facts.put_nowait(("viewer connected", *fact))

    def on_viewer_left(self, *fact: str) -> None:
        self.facts.put_nowait(("viewer left", *fact))


@dataclass
class Edge:
    """One edge's WebRTC side on free ports."""

    url: str
    auth: AuthSettings
    clock: ManualClock
    heard: Heard
    session: aiohttp.ClientSession
    is_admitting: bool = True

    def ticket(self, kind: TicketKind, room: UUID, edge: str | None = None) -> str:
        return issue_ticket(self.auth, TicketOrder(kind, room, edge or self.url), self.clock.now())

    async def post(
        self, path: str, body: str | bytes, headers: dict[str, str] | None = None
    ) -> tuple[int, str, CIMultiDict[str]]:
        sent = SDP if headers is None else headers
        async with self.session.post(self.url + path, data=body, headers=sent) as answer:
            return answer.status, await answer.text(), answer.headers.copy()


@pytest.fixture
async def edge(auth_settings: AuthSettings) -> AsyncIterator[Edge]:
    heard = Heard()
    options = SfuOptions(bind_host="127.0.0.1", port=0)
    sfu = Sfu(options, SystemClock(), heard)
    await sfu.start()
    app = web.Application()
    runner = web.AppRunner(app)
    lent: list[Edge] = []
    async with aiohttp.ClientSession() as session:
        clock = ManualClock()
        # The port is known only after binding, and the routes need the address: bind first.
        site_socket = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, "127.0.0.1", 0
        )
        port = site_socket.sockets[0].getsockname()[1]
        site_socket.close()
        await site_socket.wait_closed()
        lent.append(Edge(f"http://127.0.0.1:{port}", auth_settings, clock, heard, session))
        ports = WebRtcPorts(
            Settings(auth=auth_settings),
            lent[0].url,
            sfu,
            TicketBook(),
            clock,
            lambda: lent[0].is_admitting,
        )
        add_webrtc_routes(app, ports)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield lent[0]
    await runner.cleanup()
    await sfu.close()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    folder: Path = tmp_path_factory.mktemp("film")
    source = render_scene(replace(SCENES[2], duration_s=2), folder)
    return read_film(encode_for_loop(source, folder / "loop.mkv", height=180))


async def test_a_publisher_enters_flows_and_leaves_by_its_session_address(edge: Edge, film: Film):
    room = make_id()
    publisher = FilmPublisher(film)
    try:
        offer = await publisher.create_offer()
        ticket = edge.ticket(TicketKind.WHIP, room)
        status, answer, headers = await edge.post(f"/whip?ticket={ticket}", offer)
        assert status == 201, answer
        assert headers["Content-Type"].startswith("application/sdp")
        assert headers["Location"].startswith(edge.url + "/sessions/")
        assert headers["ETag"]
        assert "Location" in headers["Access-Control-Expose-Headers"]
        await publisher.accept(answer)
        async with asyncio.timeout(10):
            fact = await edge.heard.facts.get()
        assert fact[:2] == ("publisher connected", str(room))
        async with edge.session.delete(headers["Location"]) as gone:
            assert gone.status == 200
        async with asyncio.timeout(10):
            fact = await edge.heard.facts.get()
        assert (fact[0], fact[1], fact[3]) == ("publisher lost", str(room), "closed")
        async with edge.session.delete(headers["Location"]) as gone:
            assert gone.status == 404
    finally:
        await publisher.close()


async def test_a_ticket_opens_once(edge: Edge, film: Film):
    ticket = edge.ticket(TicketKind.WHIP, make_id())
    publisher = FilmPublisher(film)
    offer = await publisher.create_offer()
    await publisher.close()
    assert (await edge.post(f"/whip?ticket={ticket}", offer))[0] == 201
    status, body, _ = await edge.post(f"/whip?ticket={ticket}", offer)
    assert (status, "ticket_used" in body) == (401, True)


async def test_tickets_for_elsewhere_late_foreign_or_missing_open_nothing(edge: Edge):
    room = make_id()
    late = edge.ticket(TicketKind.WHIP, room)
    edge.clock.advance(31)
    other_edge = edge.ticket(TicketKind.WHIP, room, "http://other:1")
    watching = edge.ticket(TicketKind.WHEP, room)
    for ticket, code in [
        (late, "ticket_expired"),
        (other_edge, "ticket_invalid"),
        (watching, "ticket_invalid"),
        ("", "ticket_invalid"),
    ]:
        status, body, _ = await edge.post(f"/whip?ticket={ticket}", "v=0\r\n")
        assert (status, code in body) == (401, True), body


async def test_a_ticket_for_one_room_does_not_open_another(edge: Edge):
    ticket = edge.ticket(TicketKind.WHEP, make_id())
    status, body, _ = await edge.post(f"/whep/{make_id()}?ticket={ticket}", "v=0\r\n")
    assert (status, "ticket_invalid" in body) == (401, True)


async def test_a_malformed_offer_is_400(edge: Edge):
    ticket = edge.ticket(TicketKind.WHIP, make_id())
    status, body, _ = await edge.post(f"/whip?ticket={ticket}", "this is no offer")
    assert (status, "offer_malformed" in body) == (400, True)


async def test_another_content_type_is_415_and_a_huge_body_413(edge: Edge):
    ticket = edge.ticket(TicketKind.WHIP, make_id())
    status, _, _ = await edge.post(f"/whip?ticket={ticket}", "{}", {"Content-Type": "text/plain"})
    assert status == 415
    ticket = edge.ticket(TicketKind.WHIP, make_id())
    status, _, _ = await edge.post(f"/whip?ticket={ticket}", b"a" * (OFFER_BYTES_MAX + 1))
    assert status == 413


async def test_watching_a_room_nobody_publishes_in_is_409(edge: Edge):
    room = make_id()
    ticket = edge.ticket(TicketKind.WHEP, room)
    status, body, headers = await edge.post(f"/whep/{room}?ticket={ticket}", "v=0\r\n")
    assert (status, "room_not_live" in body) == (409, True)
    assert headers["Access-Control-Allow-Origin"] == "*"


async def test_a_draining_edge_takes_nobody(edge: Edge):
    edge.is_admitting = False
    ticket = edge.ticket(TicketKind.WHIP, make_id())
    status, body, headers = await edge.post(f"/whip?ticket={ticket}", "v=0\r\n")
    assert (status, "edge_draining" in body, headers["Retry-After"]) == (503, True, "1")


async def test_a_preflight_from_a_redirected_page_is_allowed(edge: Edge):
    asked = {"Origin": "null", "Access-Control-Request-Method": "POST"}
    async with edge.session.options(edge.url + "/whip", headers=asked) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert "Content-Type" in answer.headers["Access-Control-Allow-Headers"]
