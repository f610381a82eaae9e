"""Live video through bad networks, on real sockets."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator

import pytest

from media.sfu.rtp import signed_distance
from tests.media.sfu.impaired_link import HERE, Conditions, ImpairedLink
from tests.media.sfu.playing_peer import PlayingPeer, RepeatingPublisher
from tests.media.sfu.stage import Stage, start_stage, wait_until

pytestmark = pytest.mark.media

FRAMES = 120
"""So many pictures pass while a network is bad: four seconds."""
KEYFRAMES_MAX = 4
BAD = Conditions(loss=0.05, delay_s=0.01, jitter_s=0.05)
PUBLISHER, VIEWER = 0, 1
SHUFFLED = Conditions(delay_s=0.01, reordering=0.2, duplication=0.2)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = await start_stage()
    yield stage
    await stage.close()


Links = tuple[ImpairedLink, ImpairedLink]


@pytest.fixture
async def links(stage: Stage) -> AsyncIterator[Links]:
    """Lend the publisher's link and the viewer's."""
    port = (HERE, stage.sfu.port)
    lent = ImpairedLink(port, seed=1), ImpairedLink(port, seed=2)
    for link in lent:
        await link.start()
    yield lent
    for link in lent:
        link.close()


async def connect(stage: Stage, links: Links) -> tuple[RepeatingPublisher, PlayingPeer]:
    """Connect a publisher and a viewer, each over its link."""
    publisher, viewer = RepeatingPublisher(), PlayingPeer()
    for link, peer, take in zip(
        links, (publisher, viewer), (stage.sfu.publish, stage.sfu.watch), strict=True
    ):
        stage.peers.append(peer)
        answer = take("r", peer.offer)
        publisher.has_rtx = publisher.has_rtx or (peer is publisher and "rtx/90000" in answer.sdp)
        await peer.connect(link.redirect(answer.sdp))
    return publisher, viewer


async def test_what_a_bad_network_loses_is_repaired_before_anybody_sees_it(
    stage: Stage, links: Links
) -> None:
    publisher, viewer = await connect(stage, links)
    async with publisher.sending(), viewer.playing():
        await wait_until(lambda: len(viewer.played_at_s) > 5)
        for link in links:
            link.up.conditions = link.down.conditions = BAD
        until = publisher.frames + FRAMES
        await wait_until(lambda: publisher.frames >= until)
        for link in links:
            link.up.conditions = link.down.conditions = Conditions()
        await wait_until(lambda: len(viewer.played_at_s) >= publisher.frames - 1)
    (room,) = stage.sfu.stats().rooms
    lost = [link.down.lost for link in links]
    print(
        f"longest without a picture {viewer.longest_gap_s:.2f} s, {viewer.repeats} repeats, "
        f"{room.nacks_out} asked of the publisher, {room.plis_out} keyframes, lost {lost}"
    )
    assert viewer.given_up == 0
    assert viewer.repeats > 20
    assert room.nacks_out > 20
    assert room.plis_out <= KEYFRAMES_MAX


def has_overtaking(seqs: list[int]) -> bool:
    """Tell whether a number came after one that follows it."""
    return any(signed_distance(b, a) < 0 for a, b in itertools.pairwise(seqs))


@pytest.mark.parametrize("at", [PUBLISHER, VIEWER], ids=["publisher", "viewer"])
async def test_what_is_overtaken_or_doubled_on_its_way_is_played_once_and_in_order(
    stage: Stage, links: Links, at: int
) -> None:
    publisher, viewer = await connect(stage, links)
    async with publisher.sending(), viewer.playing():
        await wait_until(lambda: len(viewer.played_at_s) > 5)
        for way in (links[at].up, links[at].down):
            way.conditions = SHUFFLED
        until = publisher.frames + FRAMES
        await wait_until(lambda: publisher.frames >= until)
        for way in (links[at].up, links[at].down):
            way.conditions = Conditions()
        await wait_until(lambda: len(viewer.played_at_s) >= publisher.frames - 1)
        # Nothing was lost: what counted as such was on its way.
        await wait_until(lambda: stage.sfu.stats().rooms[0].packets_lost == 0)
    (room,) = stage.sfu.stats().rooms
    print(f"longest without a picture {viewer.longest_gap_s:.2f} s, {viewer.repeats} repeats")
    assert viewer.played == sorted(set(viewer.played))
    assert viewer.given_up == 0
    # A viewer's second copies are refused as replays; a publisher's are gone before.
    assert (viewer.undecryptable > 0) == (at == VIEWER)
    assert room.plis_out <= 1  # before the first picture
    facts = [fact for fact in stage.facts if fact.kind == "video"]
    for direction in ("in", "out"):
        seqs = [fact.seq for fact in facts if fact.direction == direction]
        assert len(seqs) == len(set(seqs)), "what comes twice counts once"
        assert has_overtaking(seqs) == (at == PUBLISHER)


async def test_real_datagrams_go_both_ways_each_as_its_direction_decides() -> None:
    loop = asyncio.get_running_loop()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        for one in (server, peer):
            one.bind((HERE, 0))
            one.setblocking(False)
        port = server.getsockname()[1]
        link = ImpairedLink((HERE, port), seed=1)
        await link.start()
        answer = link.redirect(f"a=candidate:1 1 udp 1 {HERE} {port} typ host")
        front = (HERE, int(answer.split()[5]))
        data, seen = b"", ("", 0)
        async with asyncio.timeout(60):
            while not data:  # the first ones open the way
                await loop.sock_sendto(peer, b"hello", front)
                await asyncio.sleep(0.01)
                try:
                    data, seen = server.recvfrom(100)
                except BlockingIOError:
                    continue
            link.up.conditions = Conditions(duplication=1.0)
            await loop.sock_sendto(peer, b"up", front)
            while data == b"hello":
                data = await loop.sock_recv(server, 100)
            assert (data, await loop.sock_recv(server, 100)) == (b"up", b"up")
            link.down.conditions = Conditions(loss=1.0)
            await loop.sock_sendto(server, b"lost", seen)
            await wait_until(lambda: link.down.lost == 1)
            link.down.conditions = Conditions(delay_s=0.1)
            sent_s = loop.time()
            await loop.sock_sendto(server, b"down", seen)
            assert await loop.sock_recv(peer, 100) == b"down"
        assert loop.time() - sent_s >= 0.1
        link.close()
