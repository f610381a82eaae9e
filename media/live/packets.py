"""Packets of a forwarded track to whole frames: order, H.264 (RFC 6184) and Opus (RFC 7587).

`source.py` owns one of each per track. What is missing is waited for as long as it may be repeated;
then the picture it belonged to goes, with all that follow it up to the next keyframe. Pure state:
time comes in, nothing is decoded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from media.h264_bits import ParameterSetMalformed
from media.live.h264 import (
    NAL_DELIMITER,
    NAL_FILLER,
    NAL_IDR,
    NAL_PPS,
    NAL_SPS,
    build_format,
    join_nals,
    nal_type,
)
from media.live.samples import AudioFormat, VideoFormat

WAIT_S = 0.25
"""A repeat by a publisher nearby, asked for at once, comes within so long."""
WAITING_MAX = 1024
"""Packets behind a hole: beyond that it is given up."""
PICTURE_BYTES_MAX = 4 << 20
NALS_MAX = 1024
STAP_A = 24
FU_A = 28
OPUS_RATE_HZ = 48_000
OPUS_FRAME_TICKS = 960
OPUS_PACKET_TICKS_MAX = 5760
OPUS_SILENCE = b"\xf8\xff\xfe"
"""20 ms of stereo silence (full-band CELT), as libopus sends it for DTX."""
OPUS_HEAD = b"OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00"
"""RFC 7845 §5.1: version 1, two channels, nothing to skip, 48,000 Hz, no gain, family 0."""
OPUS_FORMAT = AudioFormat("opus", OPUS_RATE_HZ, 2, OPUS_HEAD, OPUS_SILENCE, OPUS_FRAME_TICKS)


class Packet(Protocol):
    """A packet as the forwarding plane rewrites it; `media.sfu.track.TrackPacket` is one."""

    @property
    def index(self) -> int:
        """Its place; never wraps, and the next publisher's follows without a hole."""
        ...

    @property
    def marker(self) -> int:
        """Not zero: the last one of its picture."""
        ...

    @property
    def timestamp(self) -> int:
        """Thirty-two bits in the track's clock."""
        ...

    @property
    def payload(self) -> bytes:
        """Without header, extensions and padding."""
        ...


GetWait = Callable[[int], float]
"""Given a missing packet's index: how many seconds after it was missed it may still come."""


def wait_briefly(_index: int) -> float:
    """Wait for any packet as long as a repeat from nearby takes."""
    return WAIT_S


class PacketOrder:
    """Gives packets back in order; says what is lost once `get_wait_s` does not wait for it."""

    def __init__(self, get_wait_s: GetWait = wait_briefly) -> None:
        self.lost = 0
        self.came_s = 0.0
        """When the packet that was given back last came, a repeated one in its first place."""
        self._get_wait_s = get_wait_s
        self._waiting: dict[int, tuple[Packet, float]] = {}
        """By index, with when each came; in the order of arrival."""
        self._next: int | None = None
        self._is_over = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, packet: Packet, now_s: float) -> None:
        """Take a packet as it came; what comes after it was given up is dropped."""
        if self._next is None:
            self._next = packet.index
        if packet.index >= self._next:
            self._waiting.setdefault(packet.index, (packet, now_s))

    def finish(self) -> None:
        """Nothing more comes: what is missing is lost."""
        self._is_over = True

    def measure_hole_s(self, now_s: float) -> float:
        """Return for how long the next packet has been missing; 0.0 while none is."""
        is_hole = bool(self._waiting) and self._next not in self._waiting
        return now_s - self._find_oldest_s() if is_hole else 0.0

    def take(self, now_s: float, until_s: float = math.inf) -> Iterator[Packet | None]:
        """Yield what is in order and came by `until_s`; None in the place of lost packets."""
        while self._waiting:
            assert self._next is not None, "a waiting packet has set the first index"
            found = self._waiting.get(self._next)
            if found is None:
                if not self._is_lost(self._next, now_s):
                    return
                following = min(self._waiting)
                self.lost += following - self._next
                self._next = following
                yield None
                continue
            # What follows a packet was sent after it, and may have come before it was repeated.
            came_s = self._find_oldest_s()
            if came_s > until_s:
                return
            del self._waiting[self._next]
            self._next += 1
            self.came_s = came_s
            yield found[0]

    def _is_lost(self, index: int, now_s: float) -> bool:
        if self._is_over:
            return True
        missing_s = now_s - self._find_oldest_s()
        return len(self._waiting) >= WAITING_MAX or missing_s >= self._get_wait_s(index)

    def _find_oldest_s(self) -> float:
        """Return when the first of those that wait came; all of them lie behind a hole."""
        return next(iter(self._waiting.values()))[1]


@dataclass(frozen=True, slots=True)
class Picture:
    """A whole access unit; `timestamp` as in its packets."""

    format: VideoFormat
    data: bytes
    timestamp: int
    is_key: bool


@dataclass(slots=True)
class _Open:
    """The picture whose packets are coming."""

    timestamp: int
    nals: list[bytes] = field(default_factory=list)
    fragments: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    is_broken: bool = False


class PictureAssembler:
    """Packets in order to pictures that can be decoded one after the other."""

    def __init__(self) -> None:
        self.needs_key = True
        """Nothing can be shown before a keyframe comes."""
        self.dropped = 0
        self._open: _Open | None = None
        self._sps: bytes = b""
        self._pictures: tuple[bytes, ...] = ()
        self._format: VideoFormat | None = None
        self._format_of: tuple[bytes, tuple[bytes, ...]] | None = None

    def lose(self) -> None:
        """Packets are lost: the open picture, and what builds upon it, cannot be shown."""
        self.needs_key = True
        if self._open is not None:
            self._open.is_broken = True

    def add(self, packet: Packet) -> Iterator[Picture]:
        """Take the next packet; yields what it completes."""
        if self._open is not None and packet.timestamp != self._open.timestamp:
            yield from self._close(self._open)
        if not packet.payload:  # Padding alone keeps its place in the sequence.
            return
        if self._open is None:
            self._open = _Open(packet.timestamp)
        self._unpack(self._open, packet.payload)
        if packet.marker:
            yield from self._close(self._open)

    def _unpack(self, picture: _Open, payload: bytes) -> None:
        picture.size_bytes += len(payload)
        if picture.size_bytes > PICTURE_BYTES_MAX or len(picture.nals) > NALS_MAX:
            picture.is_broken = True
            picture.nals.clear()
            picture.fragments.clear()
            return
        kind = nal_type(payload)
        if kind == FU_A:
            self._unpack_fragment(picture, payload)
        elif kind == STAP_A:
            picture.is_broken |= not _unpack_aggregate(picture.nals, payload)
        elif 0 < kind < STAP_A:
            picture.nals.append(payload)
        else:
            picture.is_broken = True

    def _unpack_fragment(self, picture: _Open, payload: bytes) -> None:
        """FU-A, §5.8: the header's first bits say whether it starts or ends the NAL unit."""
        if len(payload) < 3:
            picture.is_broken = True
            return
        header = payload[1]
        if header & 0x80:
            picture.is_broken |= bool(picture.fragments)
            picture.fragments = [bytes((payload[0] & 0xE0 | header & 0x1F,))]
        elif not picture.fragments:
            picture.is_broken = True
            return
        picture.fragments.append(payload[2:])
        if header & 0x40:
            picture.nals.append(b"".join(picture.fragments))
            picture.fragments = []

    def _close(self, picture: _Open) -> Iterator[Picture]:
        self._open = None
        if picture.is_broken or picture.fragments:
            self.dropped += 1
            self.needs_key = True
            return
        slices = self._take_parameters(picture.nals)
        is_key = any(nal_type(nal) == NAL_IDR for nal in slices)
        if not slices:
            return
        if is_key:
            self._choose_format()
            self.needs_key = self._format is None
        if self.needs_key or self._format is None:
            self.dropped += 1
            return
        yield Picture(self._format, join_nals(slices), picture.timestamp, is_key)

    def _take_parameters(self, nals: Sequence[bytes]) -> list[bytes]:
        """Keep the parameter sets; return what goes into the sample."""
        pictures = tuple(nal for nal in nals if nal_type(nal) == NAL_PPS)
        for nal in nals:
            if nal_type(nal) == NAL_SPS:
                self._sps = nal
        if pictures:
            self._pictures = pictures
        unwanted = (NAL_SPS, NAL_PPS, NAL_DELIMITER, NAL_FILLER)
        return [nal for nal in nals if nal_type(nal) not in unwanted]

    def _choose_format(self) -> None:
        """Build the format anew when the parameter sets are other ones than before."""
        wanted = (self._sps, self._pictures)
        if wanted == self._format_of:
            return
        self._format_of = wanted
        try:
            self._format = build_format(*wanted)
        except ParameterSetMalformed:
            self._format = None


def _unpack_aggregate(nals: list[bytes], payload: bytes) -> bool:
    """STAP-A, §5.7.1: sizes and NAL units; False when a size points beyond the packet."""
    at = 1
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        nal = payload[at + 2 : at + 2 + size]
        if not size or len(nal) != size:
            return False
        nals.append(nal)
        at += 2 + size
    return True


def read_opus_ticks(payload: bytes) -> int:
    """Return how long an Opus packet is, in 1/48,000 s; 0 when it is none (RFC 6716 §3.1)."""
    if not payload:
        return 0
    config, code = payload[0] >> 3, payload[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        frame = (480, 960)[config & 1]
    else:
        frame = (120, 240, 480, 960)[config & 3]
    if code < 3:
        return frame * (1 if code == 0 else 2)
    ticks = frame * (payload[1] & 0x3F) if len(payload) > 1 else 0
    return ticks if ticks <= OPUS_PACKET_TICKS_MAX else 0
