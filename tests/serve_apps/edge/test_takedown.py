"""A live from its owner's eyes until it is taken down: gone for everybody at once."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import httpx
import pytest

from actors.hosting.messages import API
from kit.clock import Clock, SystemClock
from kit.settings import Settings
from serve_apps.access.grants import TicketKind, TicketOrder, issue_ticket
from serve_apps.access.identity import Role
from serve_apps.admin.service import change_role
from serve_apps.api.app import build_app
from serve_apps.edge.server import EdgeServer
from serve_apps.http.state import ApiPorts
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_client, run_host
from tests.media.sfu.peer import RtcPeer
from tests.serve_apps.api_client import PASSWORD, Person, make_client
from tests.serve_apps.edge.edge_stage import Talker, connect, run_edge, use_free_ports
from tests.serve_apps.edge.live_publisher import publish

pytestmark = pytest.mark.media

LOADED_S = 60.0
WITHIN_S = 6.0
"""A second, and what a machine with other things to do takes longer."""


@pytest.fixture
def clock() -> Clock:
    """Lend the real time: edges check what the API signs."""
    return SystemClock()


@dataclass
class Stage:
    """A live on air, its owner, a moderator, and somebody who watches in every way."""

    client: httpx.AsyncClient
    settings: Settings
    edge: EdgeServer
    owner: Person
    moderator: Person
    live_id: uuid.UUID
    http: aiohttp.ClientSession
    talker: Talker
    whep_session: str

    async def fetch(self) -> int:
        """Ask for the HLS playlist as a player does."""
        url = f"{self.edge.address.url}/live/{self.live_id}/source/index.m3u8"
        async with self.http.get(url) as answer:
            return answer.status

    async def await_cut(self, began_s: float) -> float:
        """Wait until no way is left open; returns how long that took."""
        async with asyncio.timeout(LOADED_S):
            while (
                await self.fetch() == 200
                or self.whep_session in self.edge._sessions
                or not self.talker.errors
            ):
                await asyncio.sleep(0.02)
        return time.monotonic() - began_s


@pytest.fixture
async def stage(
    ports: ApiPorts, settings: Settings, objects: ObjectStore, ada: Person, bob: Person
) -> AsyncIterator[Stage]:
    own = use_free_ports(settings)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(run_host(own))
        edge = await enter(run_edge(own, objects))
        rooms = await enter(run_client(own, name="api", role=API))
        client = await enter(make_client(build_app(dataclasses.replace(ports, rooms=rooms))))
        async with ports.database.transaction() as connection:
            await change_role(connection, None, "bob", Role.MODERATOR, ports.clock.now())
        answer = await client.post("/v1/auth/login", json={"login": "bob", "password": PASSWORD})
        tokens = answer.json()
        moderator = Person(client, bob.id, "bob", tokens["access_token"], tokens["refresh_token"])
        owner = dataclasses.replace(ada, client=client)
        live = await owner.post("/v1/live", {"title": "T"}, status=201)
        live_id = uuid.UUID(live["id"])
        await enter(publish(own, edge, live_id))
        http = await enter(aiohttp.ClientSession())
        talker = await enter(connect(edge))
        await talker.subscribe(f"room:{live_id}")
        order = TicketOrder(TicketKind.WHEP, live_id, edge.address.url)
        ticket = issue_ticket(own.auth, order, SystemClock().now())
        viewer = RtcPeer(("H264", "opus"))
        async with http.post(
            f"{edge.address.url}/whep/{live_id}?ticket={ticket}",
            data=viewer.offer,
            headers={"Content-Type": "application/sdp"},
        ) as entered:
            assert entered.status == 201
            await viewer.connect(await entered.text())
            whep = entered.headers["Location"].rpartition("/")[2]
        lent = Stage(client, own, edge, owner, moderator, live_id, http, talker, whep)
        async with asyncio.timeout(LOADED_S):
            while await lent.fetch() != 200:
                await asyncio.sleep(0.05)
        yield lent
        viewer.close(politely=False)


async def check_health(stage: Stage) -> None:
    """The owner sees what comes in, who watches how, and what a player says of it."""
    report = {"room": str(stage.live_id), "way": "hls", "span_ms": 10_000, "stalled_ms": 900}
    await stage.talker.say(type="watch_report", **report)
    elsewhere = {**report, "room": str(uuid.UUID(int=1))}
    await stage.talker.say(type="watch_report", **elsewhere)
    async with asyncio.timeout(LOADED_S):
        while True:
            health = await stage.owner.get(f"/v1/live/{stage.live_id}/health")
            if health["ingest"] and health["quality"]["players"].get("hls"):
                break
            await asyncio.sleep(0.1)
    assert health["quality"]["suffering"] == 1.0
    assert health["ways"] == {"webrtc": 1, "hls": 1, "chat": 0}
    assert health["ingest"]["bitrate_bps"] > 0
    assert health["visitors"] >= 1
    assert not stage.talker.errors


async def test_a_takedown_cuts_every_way_within_a_second_and_the_publisher_too(
    stage: Stage,
) -> None:
    await check_health(stage)
    path = f"/v1/live/{stage.live_id}/takedown"
    reason = {"reason": "Shows a film of others."}
    assert (await stage.owner.call("POST", path, json=reason)).status_code == 403
    assert (await stage.moderator.call("POST", path, json={"reason": " "})).status_code == 422
    began_s = time.monotonic()
    await stage.moderator.post(path, reason, status=204)
    took_s = await stage.await_cut(began_s)
    assert took_s < WITHIN_S
    async with asyncio.timeout(LOADED_S):
        while len(stage.edge._sessions):
            await asyncio.sleep(0.02)
    for call in ("", "/messages", "/calendar.ics"):
        assert (await stage.client.get(f"/v1/live/{stage.live_id}{call}")).status_code == 404
    assert (await stage.moderator.call("POST", path, json=reason)).status_code == 404
