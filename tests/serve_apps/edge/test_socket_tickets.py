"""Tickets of `join` at the socket: whom they speak for, once, here, for seconds, no more."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
import pytest
from fastapi import FastAPI

from kit.clock import SystemClock
from kit.settings import Settings
from serve_apps.access.grants import TicketKind, TicketOrder, issue_ticket
from serve_apps.edge.server import EdgeServer
from storage.database import Database
from storage.edges import list_live_edges
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_host
from tests.serve_apps.api_client import make_client
from tests.serve_apps.edge.edge_stage import Guest, connect, invite, run_edge, use_free_ports
from tests.storage.live_rows import create_room_row

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Stage:
    """An edge with a room of Ada's, and Bob who joins."""

    settings: Settings
    edge: EdgeServer
    ada: Guest
    bob: Guest
    room_id: uuid.UUID

    def order(
        self, kind: TicketKind = TicketKind.SOCKET, guest: Guest | None = None
    ) -> TicketOrder:
        """Order what `join` would for this guest, Bob unless another is named."""
        guest = guest or self.bob
        claims = {"session": str(guest.session_id)}
        return TicketOrder(kind, self.room_id, self.edge.address.url, guest.user_id, claims)

    def sign(self, order: TicketOrder, age_s: float = 0) -> str:
        """Sign a ticket as the API did `age_s` seconds ago."""
        moment = SystemClock().now() - timedelta(seconds=age_s)
        return issue_ticket(self.settings.auth, order, moment)


@pytest.fixture
async def stage(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[Stage]:
    settings = use_free_ports(settings)
    ada = await invite(database, settings, "ada")
    bob = await invite(database, settings, "bob")
    async with database.connection() as connection:
        room_id = await create_room_row(connection, ada.user_id)
    async with run_host(settings), run_edge(settings, objects) as edge:
        await wait_for_beat(database)
        yield Stage(settings, edge, ada, bob, room_id)


async def wait_for_beat(database: Database) -> None:
    """Return once the edge has said that it takes clients."""
    async with asyncio.timeout(60), database.connection() as connection:
        while not await list_live_edges(connection):
            await asyncio.sleep(0.02)


async def join(app: FastAPI, stage: Stage, guest: Guest | None) -> str:
    """Join over the API; the edge of the answer is the stage's."""
    headers = {} if guest is None else {"Authorization": f"Bearer {guest.token}"}
    async with make_client(app) as client:
        answer = await client.post(f"/v1/live/{stage.room_id}/join", headers=headers)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["chat"]["socket"] == stage.edge.address.url.replace("http", "ws", 1) + "/ws"
    return str(body["ticket"])


@pytest.fixture
def running(app: FastAPI) -> FastAPI:
    """Lend the API with a clock that moves: the edge compares its tickets with real time."""
    app.state.ports = dataclasses.replace(app.state.ports, clock=SystemClock())
    return app


async def test_the_ticket_of_join_speaks_for_whoever_joined(running: FastAPI, stage: Stage) -> None:
    ticket = await join(running, stage, stage.bob)
    async with connect(stage.edge) as talker:
        answer = await talker.present(ticket)
        assert answer["type"] == "authenticated"
        assert answer["user"] == {
            "id": str(stage.bob.user_id),
            "username": "bob",
            "display_name": "Bob",
            "role": "user",
        }
        await talker.subscribe(f"room:{stage.room_id}")
        assert (await talker.chat(stage.room_id, "c1"))["offset"] == 1


async def test_the_ticket_of_a_stranger_leaves_the_socket_anonymous(
    running: FastAPI, stage: Stage
) -> None:
    ticket = await join(running, stage, None)
    async with connect(stage.edge) as talker:
        assert await talker.present(ticket) == {"type": "authenticated", "user": None}
        assert (await talker.subscribe(f"room:{stage.room_id}"))["offset"] == 0
        await talker.say(type="chat_send", room=str(stage.room_id), client_id="x", text="hi")
        await talker.wait(lambda: bool(talker.errors))
        assert talker.errors[0]["error"] == "not_authenticated"
        assert (await talker.authenticate(stage.bob))["user"]["username"] == "bob"
        assert (await talker.present(await join(running, stage, None)))["error"] == (
            "already_authenticated"
        )


async def test_a_ticket_counts_once_also_for_strangers(running: FastAPI, stage: Stage) -> None:
    for guest in (stage.bob, None):
        ticket = await join(running, stage, guest)
        async with connect(stage.edge) as first, connect(stage.edge) as second:
            assert (await first.present(ticket))["type"] == "authenticated"
            assert (await second.present(ticket))["error"] == "ticket_used"


async def test_a_late_ticket_is_refused(stage: Stage) -> None:
    life_s = stage.settings.auth.ticket_ttl_s
    async with connect(stage.edge) as talker:
        assert (await talker.present(stage.sign(stage.order(), life_s + 1)))["error"] == (
            "ticket_expired"
        )
        assert (await talker.present(stage.sign(stage.order(), life_s - 10)))["type"] == (
            "authenticated"
        )


async def test_tickets_of_another_kind_edge_or_form_open_no_socket(stage: Stage) -> None:
    order = stage.order()
    elsewhere = dataclasses.replace(order, edge="http://127.0.0.1:1")
    sessionless = dataclasses.replace(order, claims={})
    foreign = [stage.sign(stage.order(kind)) for kind in TicketKind if kind is not order.kind]
    refused = [
        *foreign,
        stage.sign(elsewhere),
        stage.sign(sessionless),
        stage.sign(order)[:-1],
        stage.sign(order) + ".",
        "",
    ]
    async with connect(stage.edge) as talker:
        for text in refused:
            assert (await talker.present(text))["error"] == "token_invalid"


async def test_a_socket_ticket_is_no_access_token_and_opens_no_media(
    running: FastAPI, stage: Stage
) -> None:
    ticket = stage.sign(stage.order())
    async with make_client(running) as client:
        headers = {"Authorization": f"Bearer {ticket}"}
        answer = await client.get("/v1/me", headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "token_invalid")
    async with aiohttp.ClientSession() as session:
        for path in ("/whip", f"/whep/{stage.room_id}"):
            for token in (ticket, stage.bob.token):
                async with session.post(
                    f"{stage.edge.address.url}{path}",
                    params={"ticket": token},
                    headers={"Content-Type": "application/sdp"},
                    data="v=0",
                ) as refused:
                    assert (refused.status, (await refused.json())["error"]) == (
                        401,
                        "ticket_invalid",
                    )
        async with session.post(
            f"{stage.edge.address.url}/uploads",
            headers={"Authorization": f"Bearer {ticket}", "Tus-Resumable": "1.0.0"},
        ) as refused:
            assert refused.status == 401


async def test_a_revoked_login_ends_tickets_and_the_sockets_they_opened(
    stage: Stage, database: Database
) -> None:
    late = stage.sign(stage.order())
    async with connect(stage.edge) as talker:
        assert (await talker.present(stage.sign(stage.order())))["type"] == "authenticated"
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE sessions SET revoked_at = now() WHERE id = $1", stage.bob.session_id
            )
        await talker.wait(lambda: talker.socket.closed)
        assert talker.socket.close_code == 4501
    async with connect(stage.edge) as talker:
        assert (await talker.present(late))["error"] == "session_revoked"


async def test_a_ticket_of_somebody_else_does_not_change_who_a_socket_is(stage: Stage) -> None:
    async with connect(stage.edge) as talker:
        assert (await talker.present(stage.sign(stage.order())))["user"]["username"] == "bob"
        other = stage.sign(stage.order(guest=stage.ada))
        assert (await talker.present(other))["error"] == "already_authenticated"
