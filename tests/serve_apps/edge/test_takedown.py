"""Lives that are taken down, and publishers whose key is void: who loses what, at both edges."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from actors.hosting.messages import API
from kit.clock import Clock, SystemClock
from kit.settings import Settings
from serve_apps.api.app import build_app
from serve_apps.edge.server import EdgeServer
from serve_apps.http.state import ApiPorts
from storage.database import Database
from storage.lives import replace_stream_key
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_client, run_host
from tests.media.sfu.peer import RtcPeer
from tests.serve_apps.api_client import Person, make_client
from tests.serve_apps.edge.cut_scene import (
    SDP,
    CutScene,
    Viewer,
    make_moderator,
    time_losses,
)
from tests.serve_apps.edge.edge_stage import run_edge, use_free_ports
from tests.serve_apps.edge.films import publish_film
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.media

LOADED_S = 60.0


@pytest.fixture
def clock() -> Clock:
    """Lend the real time: edges check what the API signs."""
    return SystemClock()


@dataclasses.dataclass(frozen=True)
class Stage:
    """The scene, and its edges from within."""

    scene: CutScene
    edges: tuple[EdgeServer, EdgeServer]


@pytest.fixture
async def stage(
    ports: ApiPorts, settings: Settings, objects: ObjectStore, ada: Person, bob: Person
) -> AsyncIterator[Stage]:
    own = use_free_ports(settings)
    own = dataclasses.replace(own, limits=dataclasses.replace(own.limits, rates_enabled=False))
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(run_host(own))
        edges = (await enter(run_edge(own, objects)), await enter(run_edge(own, objects, slot=1)))
        rooms = await enter(run_client(own, name="api", role=API))
        app = build_app(dataclasses.replace(ports, settings=own, rooms=rooms))
        client = await enter(make_client(app))
        scene = CutScene(
            client=client,
            http=await enter(aiohttp.ClientSession()),
            owner=dataclasses.replace(ada, client=client),
            moderator=await make_moderator(ports.database, client, bob),
            edges=(edges[0].address.url, edges[1].address.url),
            stack=await enter(contextlib.AsyncExitStack()),
        )
        yield Stage(scene, edges)
        await scene.stack.aclose()
        await scene.close_films()


async def check_health(scene: CutScene, live_id: str, viewer: Viewer) -> None:
    """The owner sees what comes in, who watches how, and what a player says of it."""
    report = {"room": live_id, "way": "hls", "span_ms": 10_000, "stalled_ms": 900}
    elsewhere = {**report, "room": "00000000-0000-0000-0000-000000000001"}

    def is_whole(health: dict[str, Any]) -> bool:
        return bool(
            health["ingest"]
            and health["ingest"]["bitrate_bps"] > 0
            and health["quality"]["players"].get("hls")
            and health["ways"] == {"webrtc": 1, "hls": 1, "chat": 0}
            and health["visitors"] >= 1
        )

    async with asyncio.timeout(LOADED_S):
        while not is_whole(health := await scene.owner.get(f"/v1/live/{live_id}/health")):
            # A player asks and reports again and again: who no longer does has left.
            async with scene.http.get(viewer.playlist) as answer:
                await answer.read()
            for said in (report, elsewhere):
                await viewer.talker.say(type="watch_report", **said)
            await asyncio.sleep(0.5)
    assert health["quality"]["suffering"] == 1.0
    assert not viewer.talker.errors


async def test_a_takedown_cuts_every_way_at_both_edges_and_the_publisher_too(stage: Stage) -> None:
    scene = stage.scene
    live = await scene.announce()
    lose_publisher = await scene.publish_whip(live)
    viewers = [await scene.watch(live, edge) for edge in scene.edges[:1]]
    await check_health(scene, live["id"], viewers[0])
    viewers.append(await scene.watch(live, scene.edges[1]))
    path = f"/v1/live/{live['id']}/takedown"
    reason = {"reason": "Shows a film of others."}
    assert (await scene.owner.call("POST", path, json=reason)).status_code == 403
    assert (await scene.moderator.call("POST", path, json={"reason": " "})).status_code == 422
    for viewer in viewers:
        assert not viewer.peer.dtls.is_closed
    taken = await time_losses(
        scene.moderator.post(path, reason, status=204),
        {
            "publisher": lose_publisher,
            **{
                f"{way} at edge {slot}": lose
                for slot, viewer in enumerate(viewers)
                for way, lose in (
                    ("WebRTC", viewer.lose_webrtc),
                    ("HLS", viewer.lose_hls),
                    ("chat", viewer.lose_chat),
                )
            },
        },
    )
    print("\n" + "\n".join(f"{name}: {took_s:.2f} s" for name, took_s in taken.items()))
    await wait_until(lambda: not any(len(edge._sessions) for edge in stage.edges), LOADED_S)
    for call in ("", "/messages", "/calendar.ics"):
        assert (await scene.client.get(f"/v1/live/{live['id']}{call}")).status_code == 404
    assert (await scene.moderator.call("POST", path, json=reason)).status_code == 404
    film = await publish_film(f"{live['ingest']['rtmp']}/{live['stream_key']}")
    assert f"A moderator took this live down: {reason['reason']}" in await film.end()


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("way", ["whip", "rtmp"])
async def test_a_key_that_is_replaced_or_revoked_cuts_its_publisher_and_no_viewer(
    stage: Stage, way: str, method: str
) -> None:
    scene = stage.scene
    live = await scene.announce()
    lose_publisher = await scene.publish(way, live)
    viewers = [await scene.watch(live, edge) for edge in scene.edges]
    cut = scene.owner.call(method, f"/v1/live/{live['id']}/key")
    taken = await time_losses(cut, {way: lose_publisher})
    print(f"\n{method}: {way} was cut after {taken[way]:.2f} s")
    await scene.await_status(live, "interrupted")
    headers = {"Authorization": f"Bearer {live['stream_key']}", **SDP}
    assert (await scene.client.post("/whip", headers=headers)).status_code == 401
    for viewer in viewers:
        assert not viewer.peer.dtls.is_closed
        assert not viewer.talker.errors


@pytest.mark.parametrize("way", ["whip", "rtmp"])
async def test_a_publisher_with_a_void_key_is_cut_where_the_rooms_word_was_lost(
    stage: Stage, database: Database, way: str
) -> None:
    scene = stage.scene
    live = await scene.announce()
    lose_publisher = await scene.publish(way, live)

    async def replace_key() -> None:
        """Replace the key, and tell no room."""
        async with database.connection() as connection:
            await replace_stream_key(connection, uuid.UUID(live["id"]), "sk_another")

    taken = await time_losses(replace_key(), {way: lose_publisher})
    print(f"\n{way} was cut after {taken[way]:.2f} s")
    await scene.await_status(live, "interrupted")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_an_address_from_before_a_key_was_replaced_or_revoked_opens_nothing(
    stage: Stage, method: str
) -> None:
    scene = stage.scene
    live, other = await scene.announce(), await scene.announce()
    addresses = [
        await scene.find_edge(
            "POST", "/whip", headers={"Authorization": f"Bearer {each['stream_key']}", **SDP}
        )
        for each in (live, other)
    ]
    changed = await scene.owner.call(method, f"/v1/live/{live['id']}/key")
    offer = RtcPeer(direction="sendonly").offer
    async with scene.http.post(addresses[0], data=offer, headers=SDP) as answer:
        said = await answer.json()
    assert (answer.status, said["error"]) == (401, "stream_key_invalid")
    assert "copy it anew" in said["message"]
    async with scene.http.post(addresses[1], data=offer, headers=SDP) as answer:
        assert answer.status == 201
    if method == "POST":
        await scene.publish_whip({**live, "stream_key": changed.json()["stream_key"]})
