"""A live at edges where it does not come in: the same packets, moves of publishers, deaths."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from kit.settings import Settings
from media.sfu.rtcp import build_pli
from serve_apps.access.placing import decide_watch
from serve_apps.edge.server import EdgeServer
from storage.database import Database
from storage.edges import list_live_edges
from storage.objects import ObjectStore
from tests.actors.hosting.stage import run_host
from tests.serve_apps.edge.edge_stage import run_edge, use_free_ports
from tests.serve_apps.edge.relay_stage import (
    Site,
    find_url,
    read_clocks,
    read_sound,
    read_video,
    run_child_edge,
    sending,
)
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.media

DEADLINE_S = 60


@dataclass
class Stage:
    """A site with two edges in this process."""

    site: Site
    one: str
    two: str


@pytest.fixture
async def stage(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[Stage]:
    async with (
        run_host(settings),
        run_edge(use_free_ports(settings), objects) as one,
        run_edge(use_free_ports(settings), objects, slot=1) as two,
        aiohttp.ClientSession() as http,
    ):
        site = Site(settings, database, http)
        yield Stage(site, find_url(one), find_url(two))
        for peer in site.peers:
            peer.close(politely=False)


async def test_another_edge_shows_the_publishers_packets_unchanged(stage: Stage) -> None:
    site = stage.site
    room_id = await site.create_room("ada")
    assert await site.ask(stage.two, room_id) == 409
    publisher = await site.publish(stage.one, room_id)
    publisher.send(20, is_key=True)
    # The first viewer brings the live to this edge; what followed the keyframe comes at once.
    viewer = await site.watch(stage.two, room_id)
    await wait_until(lambda: len(read_video(viewer)) == 20, DEADLINE_S)
    publisher.send(60)
    await wait_until(lambda: len(read_video(viewer)) == 80, DEADLINE_S)
    assert read_video(viewer) == publisher.sent
    publisher.send_sound(20)
    publisher.send_report(7 << 32)
    await wait_until(lambda: len(read_sound(viewer)) == 20, DEADLINE_S)
    assert read_sound(viewer) == [b"sound" + bytes([number]) for number in range(20)]
    await wait_until(lambda: read_clocks(viewer) == {7 << 32}, DEADLINE_S)
    # The next one is served from this edge's own cache.
    late = await site.watch(stage.two, room_id)
    await wait_until(lambda: read_video(late) == publisher.sent, DEADLINE_S)
    wishes, asked_s = publisher.count_keyframe_wishes(), asyncio.get_running_loop().time()
    for _ in range(20):
        for watching in (viewer, late):
            watching.send_rtcp(build_pli(watching.ssrcs["video"]))
    await wait_until(lambda: publisher.count_keyframe_wishes() > wishes, DEADLINE_S)
    publisher.send(is_key=True)
    await wait_until(lambda: read_video(late) == publisher.sent, DEADLINE_S)
    took_s = asyncio.get_running_loop().time() - asked_s
    assert publisher.count_keyframe_wishes() <= wishes + 1 + took_s


async def test_viewers_stay_while_the_publisher_goes_from_edge_to_edge(stage: Stage) -> None:
    site = stage.site
    room_id = await site.create_room("ada")
    first = await site.publish(stage.one, room_id, b"first")
    async with sending(first):
        viewers = [await site.watch(url, room_id) for url in (stage.one, stage.two)]
        for viewer in viewers:
            await wait_until(lambda v=viewer: len(read_video(v)) > 5, DEADLINE_S)
    await site.leave(first)
    # To the edge that had it by relay, to the same again, and back.
    for name, url in ((b"second", stage.two), (b"third", stage.two), (b"fourth", stage.one)):
        publisher = await site.publish(url, room_id, name)
        async with sending(publisher):
            for viewer in viewers:
                await wait_until(
                    lambda v=viewer, n=name: sum(n in one for one in read_video(v)) > 5, DEADLINE_S
                )
    for viewer in viewers:
        viewer.close(politely=False)


async def find_edge(database: Database, origin: str, avoid: str) -> str:
    """Return where the API sends a viewer of a live that comes in at `origin`."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with database.connection() as connection:
                edges = await list_live_edges(connection)
            if edges:
                return decide_watch(edges, origin, avoid).url
            await asyncio.sleep(0.05)


async def test_an_edge_that_is_added_during_a_live_takes_its_viewers_and_goes_without_it(
    settings: Settings, database: Database, objects: ObjectStore
) -> None:
    async with (
        run_host(settings),
        run_edge(use_free_ports(settings), objects) as old,
        aiohttp.ClientSession() as http,
    ):
        site, one = Site(settings, database, http), find_url(old)
        room_id = await site.create_room("ada")
        publisher = await site.publish(one, room_id)
        async with sending(publisher):
            stays, moves = await site.watch(one, room_id), await site.watch(one, room_id)
            await wait_until(lambda: len(read_video(moves)) > 5, DEADLINE_S)
            assert await find_edge(database, one, avoid=one) == one, "there is no other yet"
            async with run_edge(use_free_ports(settings), objects, slot=1) as new:
                two = find_url(new)
                async with asyncio.timeout(DEADLINE_S):
                    while await find_edge(database, one, avoid=one) != two:
                        await asyncio.sleep(0.05)
                moves.close()
                moved, joined = await site.watch(two, room_id), await site.watch(two, room_id)
                for viewer in (moved, joined):
                    await wait_until(lambda v=viewer: len(read_video(v)) > 20, DEADLINE_S)
                await wait_until(lambda: count_relays(new)[1] == 1, DEADLINE_S)
                await wait_until(lambda: count_relays(old)[0] == 1, DEADLINE_S)
                await new.drain(0.0)
            await wait_until(lambda: moved.dtls.is_closed and joined.dtls.is_closed, DEADLINE_S)
            async with asyncio.timeout(DEADLINE_S):
                while await find_edge(database, one, avoid=two) != one:
                    await asyncio.sleep(0.05)
            back = await site.watch(one, room_id)
            await wait_until(lambda: len(read_video(back)) > 5, DEADLINE_S)
            await wait_until(lambda: old.describe()["relays_out"] == 0, DEADLINE_S)
        for viewer in (stays, moved, joined, back):
            assert is_run_of(read_video(viewer), publisher.sent)
        for peer in site.peers:
            peer.close(politely=False)


def count_relays(edge: EdgeServer) -> tuple[int, int]:
    """Return how many lives go out to other edges and come in from them."""
    facts = edge.describe()
    return facts["relays_out"], facts["relays_in"]


def is_run_of(part: list[bytes], whole: list[bytes]) -> bool:
    """Tell whether a viewer got everything from its first picture to its last one, in order."""
    begins = whole.index(part[0])
    return part == whole[begins : begins + len(part)]


async def test_an_edge_that_dies_takes_neither_lives_nor_viewers_with_it(
    settings: Settings, database: Database, objects: ObjectStore, tmp_path: Path
) -> None:
    async with (
        run_host(settings),
        run_edge(use_free_ports(settings), objects) as edge,
        run_child_edge(settings, tmp_path, slot=1) as child,
        aiohttp.ClientSession() as http,
    ):
        site, here, there = Site(settings, database, http), find_url(edge), child.url
        ours, theirs = await site.create_room("ada"), await site.create_room("bob")
        near, far = await site.publish(here, ours), await site.publish(there, theirs, b"before")
        async with sending(near):
            async with sending(far):
                of_ours, of_theirs = await site.watch(there, ours), await site.watch(here, theirs)
                await wait_until(lambda: len(read_video(of_ours)) > 5, DEADLINE_S)
                await wait_until(lambda: len(read_video(of_theirs)) > 5, DEADLINE_S)
                await wait_until(lambda: count_relays(edge) == (1, 1), DEADLINE_S)
                await child.kill()
            loop = asyncio.get_running_loop()
            killed_s = loop.time()
            await wait_until(lambda: edge.describe()["relays_in"] == 0, DEADLINE_S)
            await wait_until(lambda: edge.describe()["relays_out"] == 0, DEADLINE_S)
            # The origin of one live died: its publisher comes back, and its viewers never left.
            again = await site.publish(here, theirs, b"after")
            async with sending(again):
                await wait_until(lambda: b"after" in b"".join(read_video(of_theirs)), DEADLINE_S)
                # The other live's viewer was at the edge that died, and joins again elsewhere.
                anew = await site.watch(here, ours)
                await wait_until(lambda: len(read_video(anew)) > 5, DEADLINE_S)
            print(f"both lives play {loop.time() - killed_s:.2f} s after the kill")
        counted = await site.read_relay_metrics(here)
        assert counted['relay_packets_total{direction="in"}'] > 5
        assert counted['relay_packets_total{direction="out"}'] > 5
        for peer in site.peers:
            peer.close(politely=False)
