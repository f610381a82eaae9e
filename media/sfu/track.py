"""One forwarded track: a steady sequence of packets out of one publisher after another.

Owned by `room`, fed by its publisher. Each source packet is rewritten once, here: a running
index replaces its sequence number, its timestamp continues the last publisher's, extensions and
padding go. A ring keeps what may be asked for again, and where the last keyframe began.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from media.sfu import vp8
from media.sfu.keyframes import is_keyframe_start
from media.sfu.link_estimate import Passage
from media.sfu.options import Kind
from media.sfu.reception import MissingPackets, Reception
from media.sfu.rtp import RtpFields, signed_distance

RING_PACKETS = 2048
JUMP_PACKETS_MAX = 3000
KEYFRAME_RUN_PACKETS_MAX = 1536
KEYFRAME_RUN_BYTES_MAX = 1_500_000
KEYFRAME_RUN_AGE_MAX_S = 4.0
SOURCE_SILENCE_S = 0.5
NUMBERS_WITHIN = 32
VIDEO_HZ = 90_000
CLOCK_RATES = {"audio": 48_000, "video": VIDEO_HZ}
TIMESTAMP_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class TrackPacket:
    """A rewritten packet; `index` never wraps, its low 16 bits are the sequence number."""

    index: int
    marker: int
    timestamp: int
    payload: bytes
    is_keyframe: bool


class SourceTrack:
    """Turns what publishers send into one track with one SSRC.

    Video begins with a keyframe after every change of publisher, so that indexes run on without
    a hole from the last packet of one to the keyframe of the next.
    """

    def __init__(self, kind: Kind, ssrc: int, first_index: int) -> None:
        self.kind = kind
        self.ssrc = ssrc
        self.clock_rate = CLOCK_RATES[kind]
        self.codec = ""
        self.source_ssrc: int | None = None
        self.heard_at_s = float("-inf")
        """When the present source sent anything last, be it of no use before its keyframe."""
        self.next_index = first_index
        self.keyframe_index: int | None = None
        self.missing = MissingPackets()
        self.repeats_apart = False
        """Repeats come in another stream: what comes late in this one is none."""
        self.reception: Reception | None = None
        self.timestamp_offset = 0
        self.clock_shift = 0
        self.packets_in = 0
        self.bytes_in = 0
        self.packets_dropped = 0
        self._ring: list[TrackPacket | None] = [None] * RING_PACKETS
        self._forwarded_s = [0.0] * RING_PACKETS
        self._source_first_index = first_index
        self._source_seq = 0
        self._is_started = False
        self._probation_seq: int | None = None
        self._frame_timestamp = -1
        self._frame_first_index = first_index
        self._timestamp = 0
        self._packet_at_s: float | None = None
        self._run_bytes = 0
        self._run_timestamp = 0
        self._vp8_shift = vp8.NO_SHIFT

    @property
    def newest_timestamp(self) -> int:
        """The newest packet's timestamp."""
        return self._timestamp

    @property
    def packet_at_s(self) -> float | None:
        """When the last packet came; None before the first."""
        return self._packet_at_s

    @property
    def is_awaiting_source(self) -> bool:
        """True until the present publisher's first usable packet has come."""
        return not self._is_started

    def begin_source(self, codec: str) -> None:
        """Expect a new publisher: any SSRC will do, and video waits for a keyframe."""
        self.codec = codec
        self.source_ssrc = None
        self._is_started = False
        self._probation_seq = None
        self.keyframe_index = None
        self.reception = None
        self.missing.clear()

    def apply(self, fields: RtpFields, now_s: float) -> TrackPacket | None:
        """Rewrite one source packet and keep it; None for strays, repeats and what comes early.

        Packets that only pad keep their place, empty: a hole would be asked for again and again.
        """
        advance = self._measure_advance(fields, now_s)
        index = 0 if advance is None else self.next_index - 1 + advance
        if advance is None or not self._is_new(index):
            self.packets_dropped += 1
            return None
        timestamp = (fields.timestamp + self.timestamp_offset) & TIMESTAMP_MASK
        payload = fields.payload
        is_keyframe = is_keyframe_start(self.codec, payload)
        if self._vp8_shift is not vp8.NO_SHIFT:
            payload = vp8.shift_numbers(payload, self._vp8_shift)
        packet = TrackPacket(index, fields.marker, timestamp, payload, is_keyframe)
        self._count(fields, advance, now_s)
        self._advance(index, advance, fields, now_s)
        self._ring[index % RING_PACKETS] = packet
        self._note_frame(packet, is_newest=advance > 0)
        return packet

    def lacks(self, seq: int) -> bool:
        """Tell whether the present publisher's packet with this number would be new."""
        is_near = abs(signed_distance(seq, self._source_seq)) <= JUMP_PACKETS_MAX
        return self._is_started and is_near and self._is_new(self.get_source_index(seq))

    def find_packet(self, index: int) -> TrackPacket | None:
        """Return the packet with this index while the ring still holds it."""
        packet = self._ring[index % RING_PACKETS]
        return packet if packet is not None and packet.index == index else None

    def note_forwarded(self, packets: Iterable[TrackPacket], now_s: float) -> None:
        """Remember when packets left, for viewers who tell when they arrived."""
        for packet in packets:
            self._forwarded_s[packet.index % RING_PACKETS] = now_s

    def list_passages(self, first: int, arrivals: Iterable[float | None]) -> list[Passage]:
        """Return the ways of the packets from `first` on that the ring still holds."""
        passages = []
        for index, arrived_s in enumerate(arrivals, first):
            at = index % RING_PACKETS
            packet = self._ring[at]
            if packet is not None and packet.index == index:
                passages.append((self._forwarded_s[at], arrived_s, len(packet.payload)))
        return passages

    def take_hole(self) -> bool:
        """Tell whether a packet was given up since the last call that no keyframe makes up for."""
        index = self.missing.take_given_up()
        return index is not None and index > (self.keyframe_index or 0)

    def get_index(self, seq: int) -> int:
        """Return the newest index at or below the present one that `seq` can mean."""
        newest = self.next_index - 1
        return newest - ((newest - seq) & 0xFFFF)

    def list_keyframe_run(self) -> list[TrackPacket]:
        """Return what a decoder that starts now needs, or nothing when that is too much.

        Too much in packets, bytes or time: an encoder that answers a wish for a keyframe serves a
        newcomer sooner than a long past does, and one with a fixed interval of 2 s fits in.
        """
        start = self.keyframe_index
        if start is None or self.next_index - start > KEYFRAME_RUN_PACKETS_MAX:
            return []
        age = (self._timestamp - self._run_timestamp) & TIMESTAMP_MASK
        if self._run_bytes > KEYFRAME_RUN_BYTES_MAX or age > KEYFRAME_RUN_AGE_MAX_S * VIDEO_HZ:
            return []
        found = [self.find_packet(index) for index in range(start, self.next_index)]
        return [packet for packet in found if packet is not None]

    def find_newest_numbers(self) -> vp8.Vp8Numbers | None:
        """Return what VP8's newest picture is numbered; None when nothing recent says."""
        for index in range(self.next_index - 1, self.next_index - 1 - NUMBERS_WITHIN, -1):
            packet = self.find_packet(index)
            numbers = None if packet is None else vp8.read_numbers(packet.payload)
            if numbers is not None:
                return numbers
        return None

    def get_source_seq(self, index: int) -> int:
        """Return the publisher's sequence number for one of our indexes."""
        return (self._source_seq - (self.next_index - 1 - index)) & 0xFFFF

    def get_source_index(self, seq: int) -> int:
        """Return our index for one of the publisher's sequence numbers."""
        return self.next_index - 1 + signed_distance(seq, self._source_seq)

    def _measure_advance(self, fields: RtpFields, now_s: float) -> int | None:
        """Return how far after our newest packet this one lies; None when it is not ours."""
        if not self._accept_source(fields.ssrc, now_s):
            return None
        self.heard_at_s = now_s
        if self._is_started:
            advance = signed_distance(fields.seq, self._source_seq)
            if abs(advance) <= JUMP_PACKETS_MAX:
                return advance
            if not self._accept_jump(fields.seq):
                return None
        if self.kind == "video" and not is_keyframe_start(self.codec, fields.payload):
            return None
        self._start_source(fields, now_s)
        return 1

    def _accept_source(self, ssrc: int, now_s: float) -> bool:
        """Keep to one SSRC; another may follow only after the first fell silent."""
        if ssrc == self.source_ssrc:
            return True
        is_silent = self._packet_at_s is None or now_s - self._packet_at_s > SOURCE_SILENCE_S
        if self.source_ssrc is not None:
            if not is_silent:
                return False
            self.begin_source(self.codec)
        self.source_ssrc = ssrc
        return True

    def _accept_jump(self, seq: int) -> bool:
        """Believe a far-off sequence number once its successor follows (RFC 3550 A.1)."""
        if seq != self._probation_seq:
            self._probation_seq = (seq + 1) & 0xFFFF
            return False
        ssrc = self.source_ssrc
        self.begin_source(self.codec)
        self.source_ssrc = ssrc
        return True

    def _start_source(self, fields: RtpFields, now_s: float) -> None:
        """Let the new source continue where the last one ended, in sequence and in time."""
        if self._packet_at_s is not None:
            elapsed = max(1, round((now_s - self._packet_at_s) * self.clock_rate))
            target = self._timestamp + elapsed
            self.timestamp_offset = (target - fields.timestamp) & TIMESTAMP_MASK
        if self.codec == "VP8":
            first = vp8.read_numbers(fields.payload)
            self._vp8_shift = vp8.decide_shift_after(self.find_newest_numbers(), first)
        else:
            self._vp8_shift = vp8.NO_SHIFT
        self._is_started = True
        self._source_first_index = self.next_index
        self._source_seq = (fields.seq - 1) & 0xFFFF
        self._frame_timestamp = -1
        self.reception = Reception(fields.seq, self.clock_rate)

    def _is_new(self, index: int) -> bool:
        """Tell a late packet from a repeated one, or from one before this source began."""
        if index >= self.next_index:
            return True
        if index < self._source_first_index or index < self.next_index - RING_PACKETS:
            return False
        return self.find_packet(index) is None

    def _advance(self, index: int, advance: int, fields: RtpFields, now_s: float) -> None:
        if advance > 0:
            if advance > 1:
                self.missing.add_gap(self.next_index, index)
            self.next_index = index + 1
            self._source_seq = fields.seq
        else:
            is_late = self.repeats_apart and not fields.is_repeat
            self.missing.discard(index, now_s, is_late=is_late)

    def _count(self, fields: RtpFields, advance: int, now_s: float) -> None:
        assert self.reception is not None, "a started source has reception statistics"
        # The packet that starts a source is already the base that Reception counts from.
        step = 0 if self.next_index == self._source_first_index else advance
        if fields.is_repeat:
            self.reception.apply_repeat(step)
        else:
            self.reception.apply_packet(step, fields.timestamp, now_s)
        self.packets_in += 1
        self.bytes_in += len(fields.payload)
        self._packet_at_s = now_s

    def _note_frame(self, packet: TrackPacket, *, is_newest: bool) -> None:
        """Remember where the frame, and the keyframe, began: SEI may precede the SPS."""
        if is_newest:
            self._timestamp = packet.timestamp
            if packet.timestamp != self._frame_timestamp:
                self._frame_timestamp = packet.timestamp
                self._frame_first_index = packet.index
        elif packet.timestamp == self._frame_timestamp:
            self._frame_first_index = min(self._frame_first_index, packet.index)
        if packet.is_keyframe:
            is_this_frame = packet.timestamp == self._frame_timestamp
            first = self._frame_first_index if is_this_frame else packet.index
            if first != self.keyframe_index:
                self.keyframe_index, self._run_timestamp = first, packet.timestamp
                self._run_bytes = 0
        self._run_bytes += len(packet.payload)
