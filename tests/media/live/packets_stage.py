"""A publisher's packets by hand: parameter sets of x264, slices of any size, sound, a clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from media.live.packets import OPUS_SILENCE, WAIT_S
from media.live.samples import AudioSample, VideoSample
from media.live.source import RtpSource

SPS_320 = bytes.fromhex("6742c00dd901419f9e10000003001000000303c0f142a480")
SPS_854 = bytes.fromhex("674d401feca06c1ef37080000003008000001e078c18cb")
SPS_1920 = bytes.fromhex("67640028acd940780227e584000003000400000300f03c60c658")
PPS = bytes.fromhex("68cb83cb20")
FRAME_TICKS = 3000
FRAGMENT_BYTES = 1000


class Packet(NamedTuple):
    """What the forwarding plane hands on."""

    index: int
    marker: int
    timestamp: int
    payload: bytes


def cut_nal(nal: bytes) -> list[bytes]:
    """One NAL unit as payloads: alone, or in fragments (FU-A)."""
    if len(nal) <= FRAGMENT_BYTES:
        return [nal]
    pieces = [nal[at : at + FRAGMENT_BYTES] for at in range(1, len(nal), FRAGMENT_BYTES)]
    kind = nal[0] & 0x1F
    return [
        bytes((28, kind | (0x80 if n == 0 else 0) | (0x40 if n == len(pieces) - 1 else 0))) + piece
        for n, piece in enumerate(pieces)
    ]


def join_aggregate(*nals: bytes) -> bytes:
    """NAL units as one STAP-A payload."""
    return b"\x78" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)


@dataclass
class Camera:
    """Makes the packets of one picture track, 30 pictures a second."""

    sps: bytes = SPS_320
    index: int = 500
    timestamp: int = 0xFFFFF000
    """The wrap comes with the second picture."""

    def shoot(self, *, is_key: bool = False, size: int = 100) -> list[Packet]:
        """The packets of the next picture."""
        nal = bytes((0x65 if is_key else 0x41,)) + bytes(size - 1)
        payloads = [*([join_aggregate(self.sps, PPS)] if is_key else []), *cut_nal(nal)]
        packets = [
            Packet(self.index + n, int(n == len(payloads) - 1), self.timestamp, payload)
            for n, payload in enumerate(payloads)
        ]
        self.index += len(payloads)
        self.timestamp = (self.timestamp + FRAME_TICKS) & 0xFFFFFFFF
        return packets


@dataclass
class Microphone:
    """Makes the packets of one sound track, 20 ms each."""

    index: int = 9000
    timestamp: int = 77

    def record(self) -> list[Packet]:
        """The next packet."""
        packet = Packet(self.index, 0, self.timestamp, OPUS_SILENCE)
        self.index += 1
        self.timestamp += 960
        return [packet]


@dataclass
class Reel:
    """Keeps what the source makes."""

    video: list[VideoSample] = field(default_factory=list)
    audio: list[AudioSample] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    """In the order of both."""

    def add_video(self, sample: VideoSample) -> None:
        self.video.append(sample)
        self.kinds.append("video")

    def add_audio(self, sample: AudioSample) -> None:
        self.audio.append(sample)
        self.kinds.append("audio")


@dataclass
class Desk:
    """A source, what it makes, and how often it asked for a keyframe."""

    reel: Reel = field(default_factory=Reel)
    asked: list[float] = field(default_factory=list)
    now_s: float = 100.0
    wait_s: float = WAIT_S
    """So long a missing packet of the picture may still come."""

    def __post_init__(self) -> None:
        self.source = RtpSource(
            self.reel, lambda: self.asked.append(self.now_s), lambda _index: self.wait_s
        )

    def show(self, packets: list[Packet], *, after_s: float = 0.0) -> None:
        self.now_s += after_s
        self.source.add_packets("video", packets, self.now_s)

    def hear(self, packets: list[Packet], *, after_s: float = 0.0) -> None:
        self.now_s += after_s
        self.source.add_packets("audio", packets, self.now_s)


def iterate_nals(data: bytes) -> Iterator[bytes]:
    """The NAL units of a sample."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size
    assert at == len(data)
