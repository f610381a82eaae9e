"""`RelayOut`: one live to one other edge, one copy of each packet, however many watch there.

Made by the edge that has the live; a listener of its room. Sends in the batches that packets come
in. A link that does not take them fast enough loses pictures up to the next keyframe, not time.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kit.metrics import RELAY_BYTES, RELAY_PACKETS, RELAY_PACKETS_DROPPED
from media.relay.messages import RelayBegun, RelayEnded, RelayPackets, RelayReport
from media.sfu.options import Kind
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
        self, room_id: uuid.UUID, pipe: Pipe, request_keyframe: Callable[[], None]
    ) -> None:
        self.room_id = room_id
        self.counts = RelayCounts()
        self._pipe = pipe
        self._request_keyframe = request_keyframe
        self._payload_types: dict[str, int] = {}
        self._is_choked = False
        self._awaits_keyframe = False

    def begin(self, publisher: str, codecs: Mapping[str, OfferedCodec]) -> None:
        """Say whose packets follow."""
        self._payload_types = {kind: codec.payload_type for kind, codec in codecs.items()}
        self._pipe.send(RelayBegun(self.room_id, publisher, dict(codecs)))

    def end(self, code: str = "") -> None:
        """Say that nothing follows."""
        self._pipe.send(RelayEnded(self.room_id, code))

    # media.sfu.taps.RoomListener

    def add_packets(self, kind: Kind, packets: Sequence[TrackPacket], _now_s: float) -> None:
        """Send a batch, as far as the link keeps up."""
        if kind not in self._payload_types:
            return
        wanted = self._select(kind, packets)
        dropped = len(packets) - len(wanted)
        if dropped:
            self.counts.dropped += dropped
            RELAY_PACKETS_DROPPED.inc(dropped)
        built = [self._build(kind, packet) for packet in wanted]
        for message in _cut(built):
            self._pipe.send(RelayPackets(self.room_id, kind, message))
        size_bytes = sum(map(len, built))
        self.counts.packets += len(built)
        self.counts.bytes += size_bytes
        RELAY_PACKETS.labels("out").inc(len(built))
        RELAY_BYTES.labels("out").inc(size_bytes)

    def apply_report(self, kind: Kind, ntp_timestamp: int, timestamp: int) -> None:
        """Send the publisher's clock."""
        self._pipe.send(RelayReport(self.room_id, kind, ntp_timestamp, timestamp))

    # Within

    def _select(self, kind: Kind, packets: Sequence[TrackPacket]) -> Sequence[TrackPacket]:
        """Return what may leave now: nothing while choked, then video from a keyframe on."""
        self._note_queue()
        if self._is_choked:
            return ()
        if kind != "video" or not self._awaits_keyframe:
            return packets
        for at, packet in enumerate(packets):
            if packet.is_keyframe:
                self._awaits_keyframe = False
                return packets[at:]
        self._request_keyframe()
        return ()

    def _note_queue(self) -> None:
        queued_bytes = self._pipe.queued_bytes
        if queued_bytes > QUEUED_BYTES_MAX:
            self._is_choked = self._awaits_keyframe = True
        elif queued_bytes < QUEUED_BYTES_LOW:
            self._is_choked = False

    def _build(self, kind: Kind, packet: TrackPacket) -> bytes:
        number = packet.marker | self._payload_types[kind]
        header = build_rtp(number, packet.index & 0xFFFF, packet.timestamp, STREAM_SSRCS[kind])
        return header + packet.payload


def _cut(packets: list[bytes]) -> Iterator[list[bytes]]:
    """Yield packets in messages that a frame of the link holds."""
    for at in range(0, len(packets), MESSAGE_PACKETS_MAX):
        yield packets[at : at + MESSAGE_PACKETS_MAX]
