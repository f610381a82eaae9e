"""Whose subscription ends loses every way to watch that is open, and nobody else does."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
import msgspec
import pytest

from actors.hosting.messages import API
from kit.clock import Clock, SystemClock
from kit.settings import Settings
from serve_apps.api.app import build_app
from serve_apps.edge.server import EdgeServer
from serve_apps.http.state import ApiPorts
from serve_apps.subscriptions.jobs import expire_subscription
from serve_apps.subscriptions.service import ExpireJob
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_client, run_host
from tests.media.sfu.peer import RtcPeer
from tests.serve_apps.api_client import Person, make_client, make_job_ports, register
from tests.serve_apps.edge.edge_stage import Guest, Talker, connect, run_edge, use_free_ports
from tests.serve_apps.edge.live_publisher import publish
from tests.serve_apps.edge.playback_client import Player
from tests.serve_apps.edge.playback_world import World, add_video

pytestmark = pytest.mark.media

LOADED_S = 60.0
OPEN = {"hls": 200, "video": 200, "keys": 422, "whep": True, "socket": True}
"""A request for no key is malformed to whoever might have one."""
SHUT = {"hls": 403, "video": 403, "keys": 403, "whep": False, "socket": False}


@pytest.fixture
def clock() -> Clock:
    """Lend the real time: edges check what the API signs."""
    return SystemClock()


@dataclass
class Watcher:
    """A subscriber who watches the live in every way, and a protected video."""

    edge: EdgeServer
    http: aiohttp.ClientSession
    talker: Talker
    live: str
    video: str
    whep: str

    async def look(self) -> dict[str, int | bool]:
        """Say what is open, by the addresses that the API gave once."""
        answers = {
            "hls": self.http.get(self.live),
            "video": self.http.get(self.video),
            "keys": self.http.post(self.video.replace("master.m3u8", "keys"), json={"kids": []}),
        }
        found: dict[str, int | bool] = {}
        for way, asked in answers.items():
            async with asked as answer:
                found[way] = answer.status
        found |= {"whep": self.whep in self.edge._sessions, "socket": not self.talker.errors}
        return found


@dataclass
class Stage:
    """Ada's live and video for subscribers; Bob and Cyd subscribe and watch."""

    ports: ApiPorts
    ada: Person
    bob: Person
    watchers: dict[str, Watcher]

    async def await_shut(self, name: str) -> None:
        """Wait until somebody has no way left."""
        async with asyncio.timeout(LOADED_S):
            while (await self.watchers[name].look()) != SHUT:
                await self.run_job()
                await asyncio.sleep(0.02)

    async def end_in(self, seconds: float) -> None:
        """Let Bob's subscription end so soon."""
        until = SystemClock().now() + timedelta(seconds=seconds)
        body = {"until": until.isoformat()}
        assert (await self.ada.call("PUT", "/v1/subscribers/bob", json=body)).is_success

    async def run_job(self) -> None:
        """Do what the runner does at a subscription's end, and finds undone before it."""
        over = ExpireJob(uuid.UUID(self.ada.id), uuid.UUID(self.bob.id))
        await expire_subscription(make_job_ports(self.ports), msgspec.json.encode(over))


async def find_edge(person: Person, method: str, path: str) -> str:
    """Return where the API sends somebody; it is asked again until the live is on air."""
    async with asyncio.timeout(LOADED_S):
        while (answer := await person.call(method, path)).status_code != 307:
            assert answer.status_code in (409, 503), answer.text
            await asyncio.sleep(0.05)
    return answer.headers["Location"]


async def watch(
    stack: contextlib.AsyncExitStack, edge: EdgeServer, person: Person, live_id: str, video_id: str
) -> Watcher:
    """Open every way as a page does: with what the API says."""
    http = await stack.enter_async_context(aiohttp.ClientSession())
    talker = await stack.enter_async_context(connect(edge))
    await talker.authenticate(Guest(uuid.UUID(person.id), uuid.uuid4(), person.access_token))
    assert "error" not in await talker.subscribe(f"room:{live_id}")
    viewer = RtcPeer(("H264", "opus"))
    stack.callback(viewer.close, politely=False)
    entry = await find_edge(person, "POST", f"/whep/{live_id}")
    sdp = {"Content-Type": "application/sdp"}
    async with http.post(entry, data=viewer.offer, headers=sdp) as entered:
        assert entered.status == 201
        await viewer.connect(await entered.text())
        whep = entered.headers["Location"].rpartition("/")[2]
    live = await find_edge(person, "GET", f"/live/{live_id}/index.m3u8")
    video = (await person.get(f"/v1/videos/{video_id}"))["playback"]["hls"]
    return Watcher(edge, http, talker, live, video, whep)


async def add_protected_video(ports: ApiPorts, own: Settings, owner: Person) -> str:
    """Write the owner's video for subscribers."""
    async with aiohttp.ClientSession() as http:
        world = World(Player("", http), own, ports.database, ports.objects, SystemClock())  # type: ignore[arg-type]  # nobody moves this clock
        video_id = await add_video(world, visibility="subscribers", is_protected=True)
    async with ports.database.transaction() as connection:
        await connection.execute("UPDATE videos SET owner_id = $1", uuid.UUID(owner.id))
    return str(video_id)


@pytest.fixture
async def stage(ports: ApiPorts, settings: Settings, objects: ObjectStore) -> AsyncIterator[Stage]:
    own = use_free_ports(settings)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(run_host(own))
        edge = await enter(run_edge(own, objects))
        rooms = await enter(run_client(own, name="api", role=API))
        lent_ports = dataclasses.replace(ports, rooms=rooms)
        client = await enter(make_client(build_app(lent_ports)))
        people = {name: await register(client, name) for name in ("ada", "bob", "cyd")}
        ada = people.pop("ada")
        for name in people:
            await ada.call("PUT", f"/v1/subscribers/{name}", json={})
        plan = {"title": "T", "visibility": "subscribers"}
        live = await ada.post("/v1/live", plan, status=201)
        live_id, key = live["id"], live["stream_key"]
        video_id = await add_protected_video(lent_ports, own, ada)
        await enter(publish(own, edge, uuid.UUID(live_id), stream_key=key))
        watchers = {
            name: await watch(stack, edge, person, live_id, video_id)
            for name, person in people.items()
        }
        async with asyncio.timeout(LOADED_S):
            for watcher in watchers.values():
                while (await watcher.look()) != OPEN:
                    await asyncio.sleep(0.05)
        yield Stage(lent_ports, ada, people["bob"], watchers)


async def test_an_owner_who_ends_a_subscription_cuts_every_way_and_the_others_watch_on(
    stage: Stage,
) -> None:
    assert (await stage.ada.call("DELETE", "/v1/subscribers/bob")).is_success
    await stage.await_shut("bob")
    assert await stage.watchers["cyd"].look() == OPEN


async def test_a_subscription_that_runs_out_while_somebody_watches_cuts_every_way(
    stage: Stage,
) -> None:
    await stage.end_in(3600)
    assert await stage.watchers["bob"].look() == OPEN, "a nearer end is no end"
    await stage.end_in(2)
    await stage.await_shut("bob")
    assert await stage.watchers["cyd"].look() == OPEN
