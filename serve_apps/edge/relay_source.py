"""The lives of this edge for other edges of the installation: who gets which, by what link.

`relays.py` owns it. A link proves that an edge of this installation asks; the publisher's session,
which it must name, that it means the live as it stands. An edge feeds a few others, and names
them to whoever comes next: they pass the live on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from actors.hosting.messages import EDGE
from actors.link.frames import LinkLost, LinkPeer
from actors.link.link import Link
from actors.link.server import LinkServer
from actors.link.transport import LinkTransport
from kit.errors import AppError
from kit.logs import get_log
from kit.metrics import RELAYS
from media.relay.messages import (
    KeyframeWanted,
    LayersWanted,
    RelayElsewhere,
    RelayEnded,
    RelayPlace,
    RelayUnwanted,
    RelayWanted,
    ToSource,
)
from media.relay.outward import RelayOut
from media.sfu.layer_taps import LayerListener
from media.sfu.sdp import OfferedCodec
from media.sfu.taps import RoomListener

OUTS_PER_ROOM_MAX = 4
OUTS_MAX = 400

log = get_log("edge.relays")


class SourcePlane(Protocol):
    """What relays use of `media.sfu.server.Sfu`."""

    def add_listener(self, room_id: str, listener: RoomListener) -> bool:
        """Tell a listener what the room takes from its publishers."""
        ...

    def remove_listener(self, room_id: str, listener: RoomListener) -> None:
        """Tell a listener nothing more."""
        ...

    def add_layer_listener(self, room_id: str, listener: LayerListener) -> None:
        """Tell a listener which encodings the publisher sends, and those that it wants."""
        ...

    def remove_layer_listener(self, room_id: str, listener: LayerListener) -> None:
        """Tell a listener nothing more of encodings."""
        ...

    def want_layers(self, room_id: str, listener: LayerListener, rids: Iterable[str]) -> None:
        """Give a listener these encodings alone."""
        ...

    def list_rids(self, room_id: str) -> tuple[str, ...]:
        """Return the encodings that a room's publisher announced, if several."""
        ...

    def request_keyframe(self, room_id: str, layer: str = "") -> None:
        """Want a keyframe of an encoding, or of the main stream, from a room's publisher."""
        ...

    def get_codecs(self, room_id: str) -> Mapping[str, OfferedCodec]:
        """Return what a room's publisher sends, by kind."""
        ...

    def check_watchable(self, room_id: str) -> None:
        """Raise why WebRTC cannot carry it."""
        ...


class LinkPipe:
    """A link as a relay sees it: what is sent after its end is lost."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def queued_bytes(self) -> int:
        """What waits in the link."""
        return self._link.queued_bytes

    def send(self, message: Any) -> None:
        """Queue a message."""
        try:
            self._link.send(message)
        except LinkLost:
            return  # its owner hears of it, and ends what went over it


@dataclass(frozen=True)
class _Out:
    """One live on one link."""

    relay: RelayOut
    link: Link
    place: RelayPlace


class RelaySource:
    """All relays that leave this edge; the owner of the links that other edges open to it."""

    def __init__(self, plane: SourcePlane, find_publisher: Callable[[str], str | None]) -> None:
        self._plane = plane
        self._find_publisher = find_publisher
        """Names the session at the origin whose packets a room has now."""
        self._server: LinkServer | None = None
        self._outs: dict[str, list[_Out]] = {}

    async def start(self, transport: LinkTransport, me: LinkPeer) -> RelayPlace:
        """Listen; raises OSError, SocketPathTooLong."""
        self._server = await transport.listen(me, {EDGE: ToSource}, self)
        return RelayPlace(me.name, me.incarnation, self._server.address)

    async def close(self) -> None:
        """End every relay and link."""
        for room_id in list(self._outs):
            self.end(room_id)
        if self._server is not None:
            await self._server.close()

    def begin(self, room_id: str, publisher: str) -> None:
        """Another publisher's packets follow in a room."""
        codecs, rids = self._plane.get_codecs(room_id), self._plane.list_rids(room_id)
        for out in self._outs.get(room_id, ()):
            out.relay.begin(publisher, codecs, rids)

    def end(self, room_id: str) -> None:
        """A room has no publisher any more."""
        for out in self._outs.get(room_id, [])[:]:
            out.relay.end()
            self._remove(room_id, out)

    def count(self, room_id: str) -> int:
        """Return how many edges have a room from here."""
        return len(self._outs.get(room_id, ()))

    def count_layers(self) -> int:
        """Return how many encodings leave this edge beside the main streams."""
        return sum(len(out.relay.wanted) for outs in self._outs.values() for out in outs)

    def __len__(self) -> int:
        return sum(map(len, self._outs.values()))

    # actors.link.link.LinkOwner

    def on_link_open(self, link: Link) -> None:
        """Another edge is here."""
        log.info("relay.edge_linked", peer=link.peer.name, incarnation=link.peer.incarnation)

    def on_link_messages(self, link: Link, messages: list[Any]) -> None:
        """Do what another edge wants."""
        for message in messages:
            if isinstance(message, RelayWanted):
                self._admit(link, message)
            elif isinstance(message, KeyframeWanted):
                self._plane.request_keyframe(str(message.room_id), message.rid)
            elif isinstance(message, LayersWanted):
                self._give_layers(link, message)
            else:
                assert isinstance(message, RelayUnwanted), "the link takes no other types"
                self._forget(link, str(message.room_id))

    def on_link_lost(self, link: Link, reason: str) -> None:
        """An edge is gone, and what it was fed."""
        for room_id in list(self._outs):
            self._forget(link, room_id)
        if self._server is not None:
            self._server.forget(link)
        log.info("relay.edge_lost", peer=link.peer.name, reason=reason)

    # Within

    def _admit(self, link: Link, wanted: RelayWanted) -> None:
        """Begin a relay, or say why not."""
        pipe, room_id = LinkPipe(link), str(wanted.room_id)
        self._forget(link, room_id)
        publisher = self._find_publisher(room_id)
        if publisher is None or publisher != wanted.publisher:
            pipe.send(RelayEnded(wanted.room_id))
            return
        try:
            self._plane.check_watchable(room_id)
        except AppError as error:
            pipe.send(RelayEnded(wanted.room_id, error.code))
            return
        others = self._outs.get(room_id, [])
        if len(others) >= OUTS_PER_ROOM_MAX or len(self) >= OUTS_MAX:
            pipe.send(RelayElsewhere(wanted.room_id, [out.place for out in others]))
            return
        plane = self._plane
        relay = RelayOut(wanted.room_id, pipe, lambda rid: plane.request_keyframe(room_id, rid))
        relay.begin(publisher, plane.get_codecs(room_id), plane.list_rids(room_id))
        self._outs.setdefault(room_id, []).append(_Out(relay, link, wanted.place))
        RELAYS.labels("out").inc()
        plane.add_listener(room_id, relay)
        plane.add_layer_listener(room_id, relay)
        log.info("relay.out_begun", room_id=room_id, peer=link.peer.name)

    def _give_layers(self, link: Link, wanted: LayersWanted) -> None:
        """Relay what is wanted beside the main stream; nothing to who means another publisher."""
        room_id = str(wanted.room_id)
        for out in self._outs.get(room_id, ()):
            if out.link is link and out.relay.publisher == wanted.publisher:
                self._plane.want_layers(room_id, out.relay, out.relay.want_layers(wanted.rids))

    def _forget(self, link: Link, room_id: str) -> None:
        """End what a link had of a room."""
        for out in self._outs.get(room_id, [])[:]:
            if out.link is link:
                self._remove(room_id, out)

    def _remove(self, room_id: str, out: _Out) -> None:
        self._plane.remove_listener(room_id, out.relay)
        self._plane.remove_layer_listener(room_id, out.relay)
        outs = self._outs[room_id]
        outs.remove(out)
        if not outs:
            del self._outs[room_id]
        RELAYS.labels("out").dec()
        counts, place = out.relay.counts, out.place.name
        log.info(
            "relay.out_ended",
            room_id=room_id,
            peer=place,
            packets=counts.packets,
            dropped=counts.dropped,
        )
