"""Relays over real links: who may have a live, and how it reaches more edges than one feeds."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from kit.ids import make_id
from media.relay.messages import RelayEnded, RelayPlace, RelayWanted
from media.sfu.sdp import OfferedCodec
from serve_apps.edge.relay_feed import Source
from serve_apps.edge.relay_source import OUTS_PER_ROOM_MAX
from tests.media.sfu.impaired_link import HERE, PERFECT, Conditions, ImpairedLink
from tests.media.sfu.packets import VP8_DELTA, VP8_KEY, make_rtp
from tests.media.sfu.peer import RtcPeer
from tests.media.sfu.playing_peer import PlayingPeer, RepeatingPublisher
from tests.serve_apps.edge.relay_edge import RelayEdge, make_keys
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.media

DEADLINE_S = 60
FRAMES = 90
BAD = Conditions(loss=0.05, delay_s=0.01, jitter_s=0.05)
VP8 = {"video": OfferedCodec(96, "VP8", 90000, None, (), frozenset())}


@pytest.fixture(params=["unix", "tls"])
def way(request: pytest.FixtureRequest, home: Path) -> str:
    """Lend both ways between edges: within a machine, and from one to another."""
    make_keys(home)
    return str(request.param)


def count_packets(edge: RelayEdge) -> int:
    return sum(room.packets_in for room in edge.sfu.stats().rooms)


async def test_a_live_reaches_more_edges_than_one_edge_feeds(home: Path, way: str) -> None:
    room_id = make_id()
    edges = [RelayEdge(home, f"edge-{number}", way) for number in range(7)]
    places = [await edge.start() for edge in edges]
    origin, others = edges[0], edges[1:]
    session = origin.sfu.publish_local(str(room_id), VP8)
    sent = 0

    def send(count: int) -> int:
        nonlocal sent
        for _ in range(count):
            start = VP8_DELTA if sent else VP8_KEY
            origin.sfu.feed(session, [make_rtp(sent, sent * 3000, start, marker_and_type=0xE0)])
            sent += 1
        return sent

    send(5)
    for edge in others:
        edge.sources[room_id] = Source(session.session_id, places[0])
        await edge.feeds.bring(room_id)
    assert len(origin.source) == OUTS_PER_ROOM_MAX
    assert sum(len(edge.source) for edge in others) == len(others) - OUTS_PER_ROOM_MAX
    send(20)
    await wait_until(lambda: {count_packets(edge) for edge in others} == {25}, DEADLINE_S)
    # An edge in the middle goes: those behind it have the live from elsewhere.
    middle = next(edge for edge in others if len(edge.source))
    await middle.close()
    rest = [edge for edge in others if edge is not middle]
    for edge in rest:
        await edge.feeds.bring(room_id)
    before = [count_packets(edge) for edge in rest]
    send(10)
    await wait_until(
        lambda: all(
            count_packets(edge) >= had + 10 for edge, had in zip(rest, before, strict=True)
        ),
        DEADLINE_S,
    )
    for edge in (*rest, origin):
        await edge.close()


async def test_a_publisher_that_only_tries_here_keeps_nobody_from_the_live(home: Path) -> None:
    room_id = make_id()
    origin, other = RelayEdge(home, "edge-0", "unix"), RelayEdge(home, "edge-1", "unix")
    place, _ = await origin.start(), await other.start()
    session = origin.sfu.publish_local(str(room_id), VP8)
    other.sfu.publish(str(room_id), RtcPeer(direction="sendonly").offer)
    other.sources[room_id] = Source(session.session_id, place)
    await other.feeds.bring(room_id)
    await wait_until(lambda: len(other.feeds) == 1, DEADLINE_S)
    assert other.sfu.get_publisher_id(str(room_id)) is not None
    for edge in (other, origin):
        await edge.close()


async def test_an_edge_out_of_reach_keeps_nobody_from_the_others(home: Path) -> None:
    room_id = make_id()
    edges = [RelayEdge(home, f"edge-{number}", "unix") for number in range(6)]
    places = [await edge.start() for edge in edges]
    origin, far, *others = edges
    far.feeds.use(far.me, RelayPlace(far.me.name, far.me.incarnation, "unix:/nowhere"))
    session = origin.sfu.publish_local(str(room_id), VP8)
    for edge in (far, *others):
        edge.sources[room_id] = Source(session.session_id, places[0])
        await edge.feeds.bring(room_id)
    assert len(origin.source) == OUTS_PER_ROOM_MAX
    assert len(others[-1].feeds) == 1
    for edge in (far, *others, origin):
        await edge.close()


async def test_what_is_lost_on_the_way_to_one_edge_and_from_another_is_repaired(home: Path) -> None:
    make_keys(home)
    room_id = make_id()
    origin, other = RelayEdge(home, "edge-0", "tls"), RelayEdge(home, "edge-1", "tls")
    place, _ = await origin.start(), await other.start()
    to_origin = ImpairedLink((HERE, origin.sfu.port), seed=1)
    from_other = ImpairedLink((HERE, other.sfu.port), seed=2)
    publisher, viewer = RepeatingPublisher(), PlayingPeer()
    for link in (to_origin, from_other):
        await link.start()
    answer = origin.sfu.publish(str(room_id), publisher.offer)
    publisher.has_rtx = "rtx/90000" in answer.sdp
    await publisher.connect(to_origin.redirect(answer.sdp))
    other.sources[room_id] = Source(answer.session_id, place)
    await other.feeds.bring(room_id)
    watched = other.sfu.watch(str(room_id), viewer.offer)
    await viewer.connect(from_other.redirect(watched.sdp))
    async with publisher.sending(), viewer.playing():
        await wait_until(lambda: len(viewer.played) > 5, DEADLINE_S)
        for link in (to_origin, from_other):
            link.up.conditions = link.down.conditions = BAD
        until = publisher.frames + FRAMES
        await wait_until(lambda: publisher.frames >= until, DEADLINE_S)
        for link in (to_origin, from_other):
            link.up.conditions = link.down.conditions = PERFECT
        await wait_until(lambda: len(viewer.played) >= publisher.frames - 1, DEADLINE_S)
    assert viewer.played == [3000 * number for number in range(len(viewer.played))]
    assert viewer.given_up == 0
    print(f"lost: {to_origin.up.lost} to one edge, {from_other.down.lost} from the other")
    assert min(to_origin.up.lost, from_other.down.lost) > 10
    for one in (publisher, viewer, to_origin, from_other):
        one.close()
    for edge in (other, origin):
        await edge.close()


async def test_only_who_names_the_present_publisher_is_given_its_packets(
    home: Path, way: str
) -> None:
    room_id = make_id()
    origin, other = RelayEdge(home, "edge-0", way), RelayEdge(home, "edge-1", way)
    place, mine = await origin.start(), await other.start()
    origin.sfu.publish_local(str(room_id), VP8)
    heard: asyncio.Queue[object] = asyncio.Queue()
    link = await other.transport.open(
        place.address, (other.me, origin.me), RelayEnded, QueueOwner(heard)
    )
    for wanted in (
        RelayWanted(room_id, "another session", mine),
        RelayWanted(make_id(), "", RelayPlace("edge-1", 1, "")),
    ):
        link.send(wanted)
        assert await asyncio.wait_for(heard.get(), DEADLINE_S) == RelayEnded(wanted.room_id)
    assert len(origin.source) == 0
    # A host's or anybody's other messages end the link.
    link.send(RelayEnded(uuid.UUID(int=0)))
    await wait_until(lambda: not link.is_open, DEADLINE_S)
    await other.close()
    await origin.close()


class QueueOwner:
    """Puts what a link brings into a queue."""

    def __init__(self, heard: asyncio.Queue[object]) -> None:
        self._heard = heard

    def on_link_open(self, link: object) -> None:
        """Nothing to do."""

    def on_link_messages(self, link: object, messages: list[object]) -> None:
        for message in messages:
            self._heard.put_nowait(message)

    def on_link_lost(self, link: object, reason: str) -> None:
        """Nothing to do."""
