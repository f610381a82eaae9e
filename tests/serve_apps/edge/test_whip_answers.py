"""The WHIP and WHEP addresses over HTTP alone: what they refuse, and what they do not wait for."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request

from kit.clock import SystemClock
from kit.errors import AppError, NotFound
from kit.ids import make_id
from kit.setting_sections import AuthSettings
from media.sfu.layer_access import LayerChoice
from media.sfu.options import SessionAnswer
from serve_apps.access.grants import TicketBook, TicketKind, TicketOrder, issue_ticket
from serve_apps.access.tokens import SessionRevoked
from serve_apps.edge import bodies
from serve_apps.edge.ice_servers import IceServers
from serve_apps.edge.layers import LayerRoutes
from serve_apps.edge.media_sessions import MediaSessions
from serve_apps.edge.publisher_checks import PublisherChecks
from serve_apps.edge.whip import WhipPorts, add_whip_routes
from storage.database import Database, PoolOptions

pytestmark = pytest.mark.media

EDGE = "http://edge"
SDP = {"Content-Type": "application/sdp"}
ROOM_ID, LOGIN = make_id(), make_id()
NOBODY = Database("", PoolOptions(1))
"""Nobody publishes here."""


class Admitting(MediaSessions):
    """Takes every offer, and remembers what was chosen."""

    def __init__(self) -> None:
        super().__init__({}, lambda: False)
        self.watching = 0
        self.chosen: list[str | None] = []

    def check_room_left(self) -> None:
        """There is room."""

    def watch(
        self,
        room_id: uuid.UUID,
        *,
        user_id: uuid.UUID | None,
        login: uuid.UUID | None,
        offer: str,
    ) -> SessionAnswer:
        assert (room_id, user_id, login, offer) == (ROOM_ID, None, LOGIN, "offer")
        self.watching += 1
        return SessionAnswer("session", "answer", '"tag"')

    def choose_layer(self, session_id: str, rid: str | None) -> LayerChoice:
        assert session_id == "session"
        self.chosen.append(rid)
        return LayerChoice((), None, rid)


@dataclass
class Scene:
    """The addresses on a port of their own; a live that comes here calls `arrival`."""

    auth: AuthSettings
    sessions: Admitting = field(default_factory=Admitting)
    revoked: set[uuid.UUID] = field(default_factory=set)
    hidden: bool = False
    arrival: str = ""
    port: int = 0

    async def bring(self, _room_id: uuid.UUID) -> None:
        if self.arrival == "revoked":
            self.revoked.add(LOGIN)
        self.hidden = self.arrival == "hidden"

    async def check_viewer(self, _room_id: uuid.UUID, _user_id: uuid.UUID | None) -> None:
        if self.hidden:
            raise NotFound

    async def watch(self) -> tuple[int, str]:
        """Ask to watch; return the status and the answer."""
        claims = {"session": str(LOGIN)}
        order = TicketOrder(TicketKind.WHEP, ROOM_ID, EDGE, claims=claims)
        ticket = issue_ticket(self.auth, order, SystemClock().now())
        url = f"http://127.0.0.1:{self.port}/whep/{ROOM_ID}?ticket={ticket}"
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, data="offer", headers=SDP) as answer,
        ):
            return answer.status, await answer.text()


@pytest.fixture
async def scene(auth_settings: AuthSettings) -> AsyncIterator[Scene]:
    lent = Scene(auth_settings)
    app = web.Application()
    ports = WhipPorts(
        auth=auth_settings,
        clock=SystemClock(),
        edge_url=EDGE,
        tickets=TicketBook(),
        sessions=lent.sessions,
        is_revoked=lambda login: login in lent.revoked,
        ice_servers=IceServers((), ""),
        publishers=PublisherChecks(lent.sessions, NOBODY),
        check_viewer=lent.check_viewer,
        bring=lent.bring,
    )
    add_whip_routes(app, ports)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    lent.port = runner.addresses[0][1]
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        yield lent


@pytest.mark.parametrize(
    ("arrival", "refusal"), [("hidden", NotFound), ("revoked", SessionRevoked), ("", None)]
)
async def test_who_loses_the_right_while_the_live_comes_here_does_not_watch(
    scene: Scene, arrival: str, refusal: type[AppError] | None
) -> None:
    """Nobody ends whose session is not there yet, and bringing a live here may take seconds."""
    scene.arrival = arrival
    status, body = await scene.watch()
    assert status == (201 if refusal is None else refusal.status)
    assert refusal is None or refusal.code in body
    assert scene.sessions.watching == (refusal is None)


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("/whip", "POST, OPTIONS"),
        (f"/whep/{ROOM_ID}", "POST, OPTIONS"),
        ("/sessions/session", "DELETE, PATCH, OPTIONS"),
        ("/sessions/session/layer", "GET, POST, OPTIONS"),
    ],
)
async def test_a_refused_method_is_told_what_is_taken(scene: Scene, path: str, taken: str) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.put(f"http://127.0.0.1:{scene.port}{path}") as answer,
    ):
        assert (answer.status, answer.headers["Allow"]) == (405, taken)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "head",
    [
        "POST /whip HTTP/1.1\r\nContent-Type: application/sdp",
        f"POST /whep/{ROOM_ID} HTTP/1.1\r\nContent-Type: application/sdp",
        "PATCH /sessions/session HTTP/1.1\r\nContent-Type: application/trickle-ice-sdpfrag",
        "POST /sessions/session/layer HTTP/1.1\r\nContent-Type: application/json",
    ],
)
async def test_a_body_that_does_not_come_is_not_waited_for_without_end(
    scene: Scene, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_TIMEOUT_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
    writer.write(f"{head}\r\nHost: edge\r\nContent-Length: 100\r\n\r\nv=0".encode())
    async with asyncio.timeout(60):
        assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 408 Request Timeout\r\n"
    writer.close()


async def test_a_choice_that_comes_in_pieces_is_read_whole() -> None:
    sessions = Admitting()
    protocol = BaseProtocol(asyncio.get_running_loop())
    protocol.connection_made(asyncio.Transport())
    body = StreamReader(protocol, 1 << 16)
    place = {"session_id": "session"}
    request = make_mocked_request("POST", "/", match_info=place, payload=body)
    choosing = asyncio.create_task(LayerRoutes(sessions).choose(request))
    for piece in (b'{"encod', b'ingId":', b'"q"}'):
        body.feed_data(piece)
        for _ in range(5):
            await asyncio.sleep(0)
    body.feed_eof()
    assert (await choosing).status == 200
    assert sessions.chosen == ["q"]
