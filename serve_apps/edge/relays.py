"""Lives between edges: this edge's own to others, others' to the viewers here.

The edge starts it; `whip.py` has a live brought before it answers a viewer. The forwarding plane
tells `media_sessions.py`, and that tells here, whose packets a room takes.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from actors.hosting.messages import EDGE
from actors.link.frames import LinkPeer
from actors.link.transport import LinkTransport
from kit.clock import Clock
from media.relay.messages import RelayPlace
from media.sfu.server import Sfu
from serve_apps.edge.relay_feed import FeedPorts, Source
from serve_apps.edge.relay_feeds import RelayFeeds
from serve_apps.edge.relay_source import RelaySource
from storage.database import LOST_CONNECTION, Database, DatabaseBusy
from storage.live_segments import find_origin

ON_AIR = "live"


@dataclass(frozen=True)
class RelayPorts:
    """What relays work on."""

    plane: Sfu
    database: Database
    clock: Clock
    transport: LinkTransport


class Relays:
    """Both directions of one edge."""

    def __init__(self, ports: RelayPorts, me: LinkPeer) -> None:
        self._ports = ports
        self._me = me
        self._source = RelaySource(ports.plane, self._find_publisher)
        self._feeds = RelayFeeds(
            FeedPorts(
                plane=ports.plane,
                clock=ports.clock,
                find_source=self._find_source,
                count_outs=self._source.count,
                end_outs=self._source.end,
                begin_outs=self._source.begin,
            ),
            ports.transport,
        )

    async def start(self) -> str:
        """Listen for other edges; returns the address that they are told. Raises OSError."""
        place = await self._source.start(self._ports.transport, self._me)
        self._feeds.use(self._me, place)
        return place.address

    async def close(self) -> None:
        """End everything."""
        await self._feeds.close()
        await self._source.close()

    def describe(self) -> dict[str, int]:
        """Return how many lives go out and come in, for operators."""
        return {
            "relays_out": len(self._source),
            "relay_layers_out": self._source.count_layers(),
            "relays_in": len(self._feeds),
        }

    async def bring(self, room_id: uuid.UUID) -> None:
        """Return once a live's packets are at this edge.

        Raises RoomNotLive, why WebRTC cannot show it, or SfuFull.
        """
        await self._feeds.bring(room_id)

    def note_publisher(self, room_id: str, session_id: str) -> None:
        """A publisher's media comes in at this edge."""
        self._feeds.note_publisher(room_id)
        self._source.begin(room_id, session_id)

    def note_lost(self, room_id: str, reason: str) -> None:
        """A publisher of this edge is gone; of one that takes its place we hear next."""
        if reason != "replaced":
            self._source.end(room_id)
            self._feeds.note_lost(room_id)

    def _find_publisher(self, room_id: str) -> str | None:
        relayed = self._feeds.find_publisher(room_id)
        return relayed or self._ports.plane.get_publisher_id(room_id)

    async def _find_source(self, room_id: uuid.UUID) -> Source | None:
        """Read where a live comes in; None when nobody sends. Raises SourceAway, DatabaseBusy."""
        try:
            async with self._ports.database.connection() as connection:
                live = await find_origin(connection, room_id)
        except LOST_CONNECTION as error:
            raise DatabaseBusy(retry_after_s=1) from error
        if live is None or live.status != ON_AIR or live.origin is None:
            return None
        source = _read_source(live.origin)
        return (
            None if source is None or source.place.incarnation == self._me.incarnation else source
        )


def make_edge_peer(slot: int, incarnation: int) -> LinkPeer:
    """Return what an edge calls itself on links."""
    return LinkPeer(EDGE, f"edge-{slot}", incarnation)


def _read_source(origin: Mapping[str, str | int]) -> Source | None:
    address = str(origin.get("relay", ""))
    if not address:
        return None
    peer = make_edge_peer(int(origin["slot"]), int(origin["incarnation"]))
    return Source(str(origin["session"]), RelayPlace(peer.name, peer.incarnation, address))
