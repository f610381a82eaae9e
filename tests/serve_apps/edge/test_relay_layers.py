"""A publisher's encodings at edges where it does not come in: there while somebody wants them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

from kit.ids import make_id
from media.sfu.rtcp import build_pli
from media.sfu.rtp import parse_rtp
from serve_apps.edge.relay_feed import Source
from tests.media.sfu.peer import RtcPeer
from tests.media.sfu.room_stage import get_steps
from tests.media.sfu.simulcast_peer import SimulcastPeer, list_encodings
from tests.serve_apps.edge.relay_edge import RelayEdge, make_keys
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.media

DEADLINE_S = 60


@dataclass
class Chain:
    """Three edges: a publisher at the first, which feeds the second, which feeds the third."""

    room_id: UUID
    edges: list[RelayEdge]
    publisher: SimulcastPeer
    peers: list[RtcPeer]

    @property
    def layers_out(self) -> list[int]:
        """How many encodings leave each edge beside the main stream."""
        return [edge.source.count_layers() for edge in self.edges]

    async def watch(self, edge: RelayEdge) -> tuple[RtcPeer, str]:
        """Connect a viewer that gets the best there is; returns it and its session."""
        peer = RtcPeer()
        self.peers.append(peer)
        await edge.feeds.bring(self.room_id)
        answer = edge.sfu.watch(str(self.room_id), peer.offer)
        await peer.connect(answer.sdp)
        await wait_until(lambda: list_encodings(peer)[-1:] == ["f"], DEADLINE_S)
        return peer, answer.session_id


@pytest.fixture(params=["unix", "tls"])
async def chain(request: pytest.FixtureRequest, home: Path) -> AsyncIterator[Chain]:
    make_keys(home)
    room_id, publisher = make_id(), SimulcastPeer()
    edges = [RelayEdge(home, f"edge-{number}", request.param) for number in range(3)]
    places = [await edge.start() for edge in edges]
    answer = edges[0].sfu.publish(str(room_id), publisher.offer)
    await publisher.connect(answer.sdp)
    for edge, place in zip(edges[1:], places, strict=False):
        edge.sources[room_id] = Source(answer.session_id, place)
        await edge.feeds.bring(room_id)
    chain = Chain(room_id, edges, publisher, [publisher])
    async with publisher.sending():
        yield chain
    for peer in chain.peers:
        peer.close(politely=False)
    for edge in reversed(edges):
        await edge.close()


def get_video_steps(viewer: RtcPeer) -> set[int]:
    fields = [parse_rtp(packet) for packet in viewer.rtp]
    return get_steps(sorted((f for f in fields if f and f.payload_type == 96), key=lambda f: f.seq))


async def test_an_encoding_goes_from_edge_to_edge_only_while_somebody_wants_it(
    chain: Chain,
) -> None:
    origin, _, far = chain.edges
    (viewer, session), (other, _) = await chain.watch(far), await chain.watch(far)
    _, at_origin = await chain.watch(origin)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await wait_until(lambda: len(far.sfu.get_layers(session).layers) == 3, DEADLINE_S)
    # The same to choose from as at the origin; nothing but the best is relayed yet.
    shown, known = far.sfu.get_layers(session), origin.sfu.get_layers(at_origin)
    assert [(fact.rid, fact.width) for fact in shown.layers] == [
        (fact.rid, fact.width) for fact in known.layers
    ]
    assert (shown.playing, chain.layers_out) == ("f", [0, 0, 0])
    far.sfu.choose_layer(session, "q")
    await wait_until(lambda: list_encodings(viewer)[-1] == "q", DEADLINE_S)
    assert (far.sfu.get_layers(session).playing, chain.layers_out) == ("q", [1, 1, 0])
    # Wishes for keyframes go all the way up, for this encoding, once a second.
    wishes = chain.publisher.count_wishes("q")
    for _ in range(20):
        viewer.send_rtcp(build_pli(viewer.ssrcs["video"]))
    await wait_until(lambda: chain.publisher.count_wishes("q") > wishes, DEADLINE_S)
    assert chain.publisher.count_wishes("q") <= 1 + loop.time() - began_s
    far.sfu.choose_layer(session, "f")
    await wait_until(lambda: list_encodings(viewer)[-1] == "f", DEADLINE_S)
    await wait_until(lambda: chain.layers_out == [0, 0, 0], DEADLINE_S)
    # Once more: what was had before leaves no hole, and whoever stayed never noticed.
    far.sfu.choose_layer(session, "q")
    await wait_until(lambda: list_encodings(viewer)[-1] == "q", DEADLINE_S)
    assert get_video_steps(viewer) == get_video_steps(other) == {1}
    assert set(list_encodings(other)) == {"f"}


async def test_a_viewer_of_a_relay_that_loses_much_gets_less(chain: Chain) -> None:
    viewer, session = await chain.watch(chain.edges[1])
    loss = RtcpReceiverInfo(viewer.ssrcs["video"], 64, 10, 1, 0, 0, 0)

    def report_loss() -> bool:
        viewer.send_rtcp(bytes(RtcpRrPacket(ssrc=1, reports=[loss])))
        return list_encodings(viewer)[-1] == "h"

    await wait_until(report_loss, DEADLINE_S)
    assert chain.edges[1].sfu.get_layers(session).pinned is None
