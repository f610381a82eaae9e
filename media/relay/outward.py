"""`RelayOut`: one live to one other edge, one copy of each packet, however many watch there.

Made by the edge that has the live; a listener of its room. Sends in the batches that packets come
in. A link that does not take them fast enough loses pictures up to the next keyframe, not time.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kit.metrics import RELAY_BYTES, RELAY_PACKETS, RELAY_PACKETS_DROPPED
from media.relay.messages import (
    RelayBegun,
    RelayEnded,
    RelayLayerPackets,
    RelayLayers,
    RelayPackets,
    RelayReport,
)
from media.sfu.layer_selector import LayerFact
from media.sfu.options import Kind
from media.sfu.relayed_layers import FIRST_SSRC, MAIN
from media.sfu.rtp import build_rtp
from media.sfu.sdp import OfferedCodec
from media.sfu.track import TrackPacket

QUEUED_BYTES_MAX = 1 << 20
"""About three seconds of a live: what waits longer is of no use to anybody."""
QUEUED_BYTES_LOW = QUEUED_BYTES_MAX // 4
MESSAGE_PACKETS_MAX = 64
STREAM_SSRCS = {"audio": 1, "video": 2}
"""Within a relay alone: every room gives its tracks SSRCs of its own."""


class Pipe(Protocol):
    """The way to the other edge; what is sent when it is gone is lost."""

    @property
    def queued_bytes(self) -> int:
        """What was sent and did not leave yet."""
        ...

    def send(self, message: Any) -> None:
        """Queue a message."""
        ...


@dataclass(slots=True)
class RelayCounts:
    """What went through one relay."""

    packets: int = 0
    bytes: int = 0
    dropped: int = 0


class RelayOut:
    """A room's packets on their way to one other edge."""

    def __init__(
        self, room_id: uuid.UUID, pipe: Pipe, request_keyframe: Callable[[str], None]
    ) -> None:
        self.room_id = room_id
        self.publisher = ""
        self.counts = RelayCounts()
        self._pipe = pipe
        self._request_keyframe = request_keyframe
        self._payload_types: dict[str, int] = {}
        self._rids: tuple[str, ...] = ()
        self.wanted: set[str] = set()
        """The encodings that are sent beside the main stream."""
        self._told: tuple[str, list[LayerFact]] | None = None
        self._is_choked = False
        self._starting: set[str] = set()
        """Encodings of which nothing was sent since they were wanted."""
        self._awaiting: set[str] = set()
        """Encodings, and the main stream, that go on with a keyframe alone."""

    def begin(
        self, publisher: str, codecs: Mapping[str, OfferedCodec], rids: Sequence[str] = ()
    ) -> None:
        """Say whose packets follow, and which encodings may be wanted besides."""
        self.publisher, self._rids, self._told = publisher, tuple(rids), None
        self._payload_types = {kind: codec.payload_type for kind, codec in codecs.items()}
        self.want_layers(())
        self._pipe.send(RelayBegun(self.room_id, publisher, dict(codecs), list(rids)))

    def want_layers(self, rids: Iterable[str]) -> list[str]:
        """Send these encodings from their next keyframe on, and no others; returns those known."""
        wanted = {rid for rid in rids if rid in self._rids}
        begun = wanted - self.wanted
        self._starting = self._starting & wanted | begun
        self._awaiting = self._awaiting & (wanted | {MAIN}) | begun
        self.wanted = wanted
        return sorted(wanted)

    def end(self, code: str = "") -> None:
        """Say that nothing follows."""
        self._pipe.send(RelayEnded(self.room_id, code))

    # media.sfu.taps.RoomListener

    def add_packets(self, kind: Kind, packets: Sequence[TrackPacket], _now_s: float) -> None:
        """Send a batch, as far as the link keeps up."""
        if kind in self._payload_types:
            selected = self._select(packets, MAIN if kind == "video" else None)
            for part in self._build(kind, STREAM_SSRCS[kind], selected):
                self._pipe.send(RelayPackets(self.room_id, kind, part))

    def apply_report(self, kind: Kind, ntp_timestamp: int, timestamp: int) -> None:
        """Send the publisher's clock."""
        self._pipe.send(RelayReport(self.room_id, kind, ntp_timestamp, timestamp))

    # media.sfu.layer_taps.LayerListener

    def add_layer_packets(self, rid: str, packets: Sequence[TrackPacket], clock_shift: int) -> None:
        """Send a batch of an encoding that is wanted there."""
        if rid not in self.wanted:
            return
        selected = self._select(packets, rid)
        for part in self._build("video", FIRST_SSRC + self._rids.index(rid), selected):
            is_first = rid in self._starting
            self._starting.discard(rid)
            message = RelayLayerPackets(self.room_id, rid, clock_shift, is_first, part)
            self._pipe.send(message)

    def apply_layers(self, main_rid: str, facts: Sequence[LayerFact]) -> None:
        """Send what the encodings are, when that changed."""
        told = (main_rid, list(facts))
        if told != self._told:
            self._told = told
            self._pipe.send(RelayLayers(self.room_id, *told))

    # Within

    def _select(self, packets: Sequence[TrackPacket], rid: str | None) -> Sequence[TrackPacket]:
        """Return what may leave now of an encoding, the main stream, or (None) of sound."""
        self._note_queue()
        selected = () if self._is_choked else self._skip_to_keyframe(packets, rid)
        dropped = len(packets) - len(selected)
        if dropped and rid not in self._starting:
            self.counts.dropped += dropped
            RELAY_PACKETS_DROPPED.inc(dropped)
        return selected

    def _skip_to_keyframe(
        self, packets: Sequence[TrackPacket], rid: str | None
    ) -> Sequence[TrackPacket]:
        if rid is None or rid not in self._awaiting:
            return packets
        for at, packet in enumerate(packets):
            if packet.is_keyframe:
                self._awaiting.discard(rid)
                return packets[at:]
        self._request_keyframe(rid)
        return ()

    def _note_queue(self) -> None:
        queued_bytes = self._pipe.queued_bytes
        if queued_bytes > QUEUED_BYTES_MAX:
            self._is_choked = True
            self._awaiting = {MAIN, *self.wanted}
        elif queued_bytes < QUEUED_BYTES_LOW:
            self._is_choked = False

    def _build(
        self, kind: Kind, ssrc: int, packets: Sequence[TrackPacket]
    ) -> Iterator[list[bytes]]:
        """Write packets as RTP and yield them by the message, counted."""
        number = self._payload_types[kind]
        built = [
            build_rtp(packet.marker | number, packet.index & 0xFFFF, packet.timestamp, ssrc)
            + packet.payload
            for packet in packets
        ]
        size_bytes = sum(map(len, built))
        self.counts.packets += len(built)
        self.counts.bytes += size_bytes
        RELAY_PACKETS.labels("out").inc(len(built))
        RELAY_BYTES.labels("out").inc(size_bytes)
        return _cut(built)


def _cut(packets: list[bytes]) -> Iterator[list[bytes]]:
    """Yield packets in messages that a frame of the link holds."""
    for at in range(0, len(packets), MESSAGE_PACKETS_MAX):
        yield packets[at : at + MESSAGE_PACKETS_MAX]
