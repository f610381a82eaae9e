"""Edges without room for WebRTC sessions say 503 and when to come back; another takes them."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import aiohttp
import pytest

from kit.settings import Settings
from serve_apps.access.grants import TicketKind
from serve_apps.edge.server import EdgeServer
from storage.database import Database
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_host
from tests.media.sfu.peer import RtcPeer
from tests.serve_apps.edge.edge_stage import run_edge, use_free_ports
from tests.serve_apps.edge.relay_stage import (
    SDP,
    NotNow,
    Publisher,
    Site,
    find_url,
    read_video,
    sending,
)
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.media

Refusal = tuple[int, str | None, str]


async def offer(site: Site, kind: TicketKind, url: str, room_id: uuid.UUID) -> Refusal:
    """Post an offer; return the status, Retry-After and the code of the answer."""
    path = "whip" if kind is TicketKind.WHIP else f"whep/{room_id}"
    peer = RtcPeer(direction="sendonly" if kind is TicketKind.WHIP else "recvonly")
    address = f"{url}/{path}?ticket={site.sign(kind, url, room_id)}"
    async with site.http.post(address, data=peer.offer, headers=SDP) as answer:
        if answer.status == 201:
            return 201, None, ""
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
        return answer.status, answer.headers.get("Retry-After"), (await answer.json())["error"]


async def publish_patiently(site: Site, url: str, room_id: uuid.UUID) -> Publisher:
    """Publish as encoders do: again after a refusal, for a busy machine is late on its own."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(NotNow):
                return await site.publish(url, room_id)
            await asyncio.sleep(0.1)


async def count_refusals(site: Site, url: str, code: str) -> float:
    """Return how many sessions this process refused for a reason."""
    name = f'socialflow_media_sessions_refused_total{{reason="{code}"}} '
    async with site.http.get(f"{url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.fixture
async def site(settings: Settings, database: Database) -> AsyncIterator[Site]:
    async with run_host(settings), aiohttp.ClientSession() as http:
        lent = Site(settings, database, http)
        yield lent
        for peer in lent.peers:
            peer.close(politely=False)


def run(
    site: Site, objects: ObjectStore, slot: int = 0, **edge: int
) -> AbstractAsyncContextManager[EdgeServer]:
    """Run an edge of the site with limits of its own."""
    return run_edge(use_free_ports(site.settings, **edge), objects, slot)


async def test_who_finds_a_full_room_watches_at_another_edge(
    site: Site, objects: ObjectStore
) -> None:
    async with (
        run(site, objects, viewers_per_room_max=1) as small,
        run(site, objects, slot=1) as other,
    ):
        full, free = find_url(small), find_url(other)
        room_id = await site.create_room("ada")
        async with sending(await site.publish(full, room_id)):
            await site.watch(full, room_id)
            before = await count_refusals(site, full, "room_full")
            refused = await offer(site, TicketKind.WHEP, full, room_id)
            assert refused == (503, "5", "room_full")
            assert await count_refusals(site, full, "room_full") == before + 1
            elsewhere = await site.watch(free, room_id)
            await wait_until(lambda: len(read_video(elsewhere)) > 5)


async def test_an_edge_with_all_sessions_taken_refuses_publishers_and_viewers(
    site: Site, objects: ObjectStore
) -> None:
    async with (
        run(site, objects, media_sessions_max=1) as small,
        run(site, objects, slot=1) as other,
    ):
        full, free = find_url(small), find_url(other)
        room_id, next_id = await site.create_room("ada"), await site.create_room("bob")
        async with sending(await site.publish(full, room_id)):
            for kind, wanted in ((TicketKind.WHIP, next_id), (TicketKind.WHEP, room_id)):
                assert await offer(site, kind, full, wanted) == (503, "5", "sfu_full")
            elsewhere = await site.watch(free, room_id)
            await wait_until(lambda: len(read_video(elsewhere)) > 5)
            assert (await offer(site, TicketKind.WHIP, free, next_id))[0] == 201


async def test_an_edge_out_of_breath_takes_no_session_and_keeps_those_it_has(
    site: Site, objects: ObjectStore
) -> None:
    async with run(site, objects, loop_lag_max_ms=500) as edge:
        url, room_id = find_url(edge), await site.create_room("ada")
        publisher = await publish_patiently(site, url, room_id)
        viewer = await site.watch(url, room_id)
        async with sending(publisher):
            await wait_until(lambda: len(read_video(viewer)) > 5)
            time.sleep(1.0)
            await wait_until(lambda: edge._watch.is_breathless)
            edge._watch._late_at_s = math.inf  # for as long as two offers take here
            for kind in (TicketKind.WHIP, TicketKind.WHEP):
                refused = await offer(site, kind, url, room_id)
                assert refused == (503, "1", "edge_breathless")
            seen = len(read_video(viewer))
            await wait_until(lambda: len(read_video(viewer)) > seen + 5)
            edge._watch._late_at_s = -math.inf
            await site.watch(url, room_id)
