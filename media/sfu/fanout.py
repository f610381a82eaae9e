"""Viewers who get the same bytes before encryption, so that those bytes are made once.

Owned by `room`. Packets depend on the packet and the group alone, never on the moment: what
is sent again is byte-identical to what was sent before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from media.sfu.packets_out import OutPacket
from media.sfu.rtp import NUMBERED_HEADER_BYTES, build_numbered_rtp, build_rtp
from media.sfu.session import ViewerSession
from media.sfu.srtp import PLAINTEXT_BYTES_MAX
from media.sfu.track import TIMESTAMP_MASK, SourceTrack, TrackPacket
from media.sfu.vp8 import NO_SHIFT, Vp8Shift, shift_numbers

SAFE_SEQ_FIRST = 0x4000
SAFE_SEQ_END = 0xC000
SEQ_SHIFT = 0x8000
NUMBERED_PAYLOAD_BYTES_MAX = PLAINTEXT_BYTES_MAX - NUMBERED_HEADER_BYTES


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """How one kind looks in a group: payload type, SSRC, and what is added to every index.

    The rest differs only for viewers who were switched between layers: `layer` is the source's name
    (empty: the room's main track), `clock_shift` and `vp8` let it continue what they got before.
    They begin with the source's packet `first`: what comes late from before it has numbers that
    another source's packets had.
    `transport_seq` is the header extension that repeats the sequence number for all who take one:
    video alone is measured, so its own number is as good as one over several streams, the bytes
    are still the same for the whole group, and a repeat's are those of the first time.
    """

    payload_type: int
    ssrc: int
    shift: int
    layer: str = ""
    clock_shift: int = 0
    vp8: Vp8Shift = NO_SHIFT
    transport_seq: int = 0
    first: int = 0


GroupKey = tuple[tuple[str, StreamFormat], ...]


def decide_shift(next_index: int) -> int:
    """Return 0 or 0x8000, so that a viewer who starts now is far from a sequence wrap.

    Both ends of a fresh SRTP stream assume rollover counter 0 (RFC 3711 §3.3.1). A receiver that
    lost everything before the first wrap would stay one rollover behind for ever, and a late
    packet from before the start could look like one from after the wrap. Starting at least 16,384
    packets from either end of the sequence space makes both impossible in practice.
    """
    seq = next_index & 0xFFFF
    return 0 if SAFE_SEQ_FIRST <= seq < SAFE_SEQ_END else SEQ_SHIFT


def make_group_key(
    payload_types: Mapping[str, int], tracks: Mapping[str, SourceTrack], transport_seq: int = 0
) -> GroupKey:
    """Return the key of the group that a viewer who connects now belongs to."""
    return tuple(
        (
            kind,
            StreamFormat(
                number,
                tracks[kind].ssrc,
                decide_shift(tracks[kind].next_index),
                transport_seq=transport_seq if kind == "video" else 0,
            ),
        )
        for kind, number in sorted(payload_types.items())
    )


def build_packets(fmt: StreamFormat, packets: Iterable[TrackPacket]) -> list[OutPacket]:
    """Write packets as RTP in one format."""
    number, ssrc, shift, clock = fmt.payload_type, fmt.ssrc, fmt.shift, fmt.clock_shift
    built = []
    for packet in packets:
        index = packet.index + shift
        seq = index & 0xFFFF
        timestamp = (packet.timestamp + clock) & TIMESTAMP_MASK
        payload = packet.payload
        if fmt.transport_seq and len(payload) <= NUMBERED_PAYLOAD_BYTES_MAX:
            header = build_numbered_rtp(
                (packet.marker | number, seq, timestamp, ssrc), fmt.transport_seq
            )
        else:
            header = build_rtp(packet.marker | number, seq, timestamp, ssrc)
        if fmt.vp8 is not NO_SHIFT:
            payload = shift_numbers(payload, fmt.vp8)
        built.append(OutPacket(header, payload, index, ssrc))
    return built


class FanoutGroup:
    """The members of one key, and who of them gets each kind at present."""

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.formats = dict(key)
        self.layer = self.formats["video"].layer if "video" in self.formats else ""
        self._members: dict[str, ViewerSession] = {}
        self._receiving: dict[str, dict[str, ViewerSession]] = {kind: {} for kind, _ in key}
        self._targets: dict[str, tuple[ViewerSession, ...]] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, viewer: ViewerSession) -> bool:
        return viewer.session_id in self._members

    def add(self, viewer: ViewerSession) -> None:
        """Take a member in; it gets nothing until started."""
        self._members[viewer.session_id] = viewer

    def remove(self, viewer: ViewerSession) -> None:
        """Let a member go."""
        self._members.pop(viewer.session_id, None)
        for kind in self.formats:
            self.stop(viewer, kind)

    def start(self, viewer: ViewerSession, kind: str, first_index: int) -> None:
        """Send a kind to a member from `first_index` on."""
        viewer.first_index[kind] = first_index
        self._receiving[kind][viewer.session_id] = viewer
        self._targets.pop(kind, None)

    def stop(self, viewer: ViewerSession, kind: str) -> None:
        """Send no more of a kind until the member is started again."""
        if self._receiving.get(kind, {}).pop(viewer.session_id, None) is not None:
            self._targets.pop(kind, None)

    def list_waiting(self, kind: str) -> list[ViewerSession]:
        """Return the members who should get a kind and do not yet."""
        receiving = self._receiving.get(kind)
        if receiving is None or len(receiving) == len(self._members):
            return []
        return [v for session_id, v in self._members.items() if session_id not in receiving]

    def get_targets(self, kind: str) -> tuple[ViewerSession, ...]:
        """Return who gets a kind now; the tuple is never changed, only replaced."""
        targets = self._targets.get(kind)
        if targets is None:
            targets = tuple(self._receiving.get(kind, {}).values())
            self._targets[kind] = targets
        return targets

    def build_packets(self, kind: str, packets: Iterable[TrackPacket]) -> list[OutPacket]:
        """Write the packets as RTP for this group, but for those from before its format began."""
        fmt = self.formats[kind]
        if fmt.first:
            packets = [packet for packet in packets if packet.index >= fmt.first]
        return build_packets(fmt, packets)

    def get_index(self, track: SourceTrack, seq: int) -> int:
        """Return the track's index for a sequence number that a member names."""
        return track.get_index((seq - self.formats[track.kind].shift) & 0xFFFF)
