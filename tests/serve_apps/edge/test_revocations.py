"""A login that ends at the API takes its sockets with it, on every edge, at once."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

import storage.database
from kit.clock import Clock, SystemClock
from kit.settings import Settings
from serve_apps.access.identity import Role
from serve_apps.admin.service import change_role
from serve_apps.edge.server import EdgeServer
from serve_apps.http.state import ApiPorts
from storage.database import Database
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_host
from tests.serve_apps.api_client import PASSWORD, Person, register
from tests.serve_apps.edge.edge_stage import Talker, connect, run_edge, use_free_ports

pytestmark = pytest.mark.db

LOADED_S = 60.0
Edges = tuple[EdgeServer, EdgeServer]


@pytest.fixture
def clock() -> Clock:
    """Lend the real time: edges check the tokens that the API gives out."""
    return SystemClock()


@pytest.fixture
async def edges(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[Edges]:
    first, second = use_free_ports(settings), use_free_ports(settings)
    async with (
        run_host(settings),
        run_edge(first, objects, 0) as edge,
        run_edge(second, objects, 1) as other,
    ):
        yield edge, other


@pytest.fixture
async def admin(client: httpx.AsyncClient, ports: ApiPorts) -> Person:
    """Lend an administrator."""
    person = await register(client, "root")
    async with ports.database.transaction() as connection:
        await change_role(connection, None, "root", Role.ADMIN, ports.clock.now())
    return await log_in(client, person)


async def log_in(client: httpx.AsyncClient, person: Person) -> Person:
    """Log in once more, as on another device."""
    answer = await client.post(
        "/v1/auth/login", json={"login": person.username, "password": PASSWORD}
    )
    body: dict[str, Any] = answer.json()
    return Person(client, person.id, person.username, body["access_token"], body["refresh_token"])


@contextlib.asynccontextmanager
async def visit_both(edges: Edges, person: Person) -> AsyncIterator[list[Talker]]:
    """Follow the person's own channel on both edges, under one login."""
    async with contextlib.AsyncExitStack() as stack:
        talkers = [await stack.enter_async_context(connect(edge)) for edge in edges]
        for talker in talkers:
            await talker.present(person.access_token)
            await talker.subscribe(f"user:{person.id}")
        yield talkers


async def end(why: str, phone: Person, laptop: Person, admin: Person) -> None:
    """End what `why` ends, at the API."""
    if why == "logout":
        await phone.post("/v1/auth/logout", status=204)
    elif why == "elsewhere":
        sessions = (await laptop.get("/v1/sessions"))["items"]
        (other,) = (session["id"] for session in sessions if not session["is_current"])
        assert (await laptop.call("DELETE", f"/v1/sessions/{other}")).status_code == 204
    elif why == "password":
        words = {"current_password": PASSWORD, "new_password": PASSWORD + " two"}
        await laptop.post("/v1/me/password", words, status=204)
    else:
        answer = await admin.call(
            "PUT", f"/v1/admin/users/{phone.username}/ban", json={"reason": "Sells fake tickets."}
        )
        assert answer.status_code == 200


@pytest.fixture
def unpolled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let edges that start now hear of what ends by its notice alone, which comes at once."""
    monkeypatch.setattr(storage.database, "FOLLOW_EVERY_S", 3600.0)


@pytest.mark.usefixtures("unpolled")
@pytest.mark.parametrize("why", ["logout", "elsewhere", "password", "ban"])
async def test_a_login_that_ends_closes_its_sockets_on_both_edges_at_once(
    client: httpx.AsyncClient, admin: Person, edges: Edges, why: str
) -> None:
    phone = await register(client, "ada")
    laptop = await log_in(client, phone)
    async with visit_both(edges, phone) as phones, visit_both(edges, laptop) as laptops:
        await end(why, phone, laptop, admin)
        await wait_closed(phones)
        if why == "ban":
            await wait_closed(laptops)
        for talker in laptops:
            assert talker.socket.closed is (why == "ban")


async def wait_closed(talkers: list[Talker]) -> None:
    """Wait until these sockets were told that their login is over."""
    for talker in talkers:
        await talker.wait(lambda talker=talker: talker.socket.closed, LOADED_S)
        assert talker.socket.close_code == 4501


async def test_a_notice_that_is_lost_is_made_up_for(
    client: httpx.AsyncClient, edges: Edges, database: Database
) -> None:
    """Rows alone, without any notice, close the sockets too."""
    phone = await register(client, "ada")
    async with visit_both(edges, phone) as phones:
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE sessions SET revoked_at = clock_timestamp(), revoked_why = 'test'"
            )
        await wait_closed(phones)
