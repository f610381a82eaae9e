"""Frames of an RTMP publisher as RTP packets for the forwarding plane (RFC 6184, RFC 7587;
HEVC and AV1 by `hevc_rtp.py`, `av1_rtp.py`).

Pure state: one writer per track. WebRTC has no decode times, so pictures out of order cannot go
this way; `PictureOrder` notices them.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator, Sequence

from media.live.formats import list_sets
from media.live.h264 import NAL_DELIMITER, NAL_FILLER, NAL_PPS, NAL_SPS, nal_type
from media.live.samples import VideoSample
from media.rtmp.av1_rtp import list_av1_payloads
from media.rtmp.frames import split_nals
from media.rtmp.hevc_rtp import list_hevc_payloads
from media.sfu.rtp import MARKER, build_rtp

PAYLOAD_BYTES_MAX = 1180
STAP_A, FU_A = 24, 28
_FU_HEADER_BYTES = 2


class TrackWriter:
    """Numbers the packets of one track."""

    def __init__(self, payload_type: int, ssrc: int) -> None:
        self.ssrc = ssrc
        self.packets = 0
        self.payload_bytes = 0
        self.timestamp = 0
        self._payload_type = payload_type
        self._seq = secrets.randbelow(1 << 15)
        self._base = secrets.randbits(32)

    def write(
        self, payloads: Sequence[bytes], ticks: int, *, marks_end: bool = True
    ) -> list[bytes]:
        """Write the payloads of one frame; a picture's last one carries the marker."""
        self.timestamp = self.place(ticks)
        packets = []
        for number, payload in enumerate(payloads, 1):
            marker = MARKER if marks_end and number == len(payloads) else 0
            header = build_rtp(self._payload_type | marker, self._seq, self.timestamp, self.ssrc)
            self._seq = (self._seq + 1) & 0xFFFF
            self.packets += 1
            self.payload_bytes += len(payload)
            packets.append(header + payload)
        return packets

    def place(self, ticks: int) -> int:
        """Return the RTP timestamp of a moment of the programme."""
        return (self._base + ticks) & 0xFFFFFFFF


def list_payloads(sample: VideoSample) -> list[bytes]:
    """Return a picture's RTP payloads; a keyframe brings its parameter sets."""
    if sample.format.codec == "av1":
        return list_av1_payloads(sample, PAYLOAD_BYTES_MAX)
    nals = split_nals(sample.data, 4)
    sets = list_sets(sample.format) if sample.is_key else []
    if sample.format.codec == "hevc":
        return list_hevc_payloads(nals, sets, PAYLOAD_BYTES_MAX)
    kept = {NAL_SPS, NAL_PPS, NAL_DELIMITER, NAL_FILLER}
    payloads = [_join(sets)] if sets else []
    for nal in nals:
        if nal_type(nal) not in kept:
            payloads += [nal] if len(nal) <= PAYLOAD_BYTES_MAX else _split(nal)
    return payloads


def _join(nals: Sequence[bytes]) -> bytes:
    """Write a STAP-A, RFC 6184 §5.7.1; parameter sets are far below a packet's size."""
    importance = max(nal[0] & 0x60 for nal in nals)
    return bytes([importance | STAP_A]) + b"".join(
        struct.pack(">H", len(nal)) + nal for nal in nals
    )


def _split(nal: bytes) -> Iterator[bytes]:
    """Write FU-A packets, RFC 6184 §5.8."""
    room = PAYLOAD_BYTES_MAX - _FU_HEADER_BYTES
    indicator, kind = nal[0] & 0xE0 | FU_A, nal[0] & 0x1F
    for pos in range(1, len(nal), room):
        start = 0x80 if pos == 1 else 0
        end = 0x40 if pos + room >= len(nal) else 0
        yield bytes([indicator, start | end | kind]) + nal[pos : pos + room]


class PictureOrder:
    """Notices pictures that are shown before one that was decoded earlier: B-frames."""

    def __init__(self) -> None:
        self._latest_pts = -1

    def is_late(self, sample: VideoSample) -> bool:
        """Tell whether this picture is shown before one that came earlier."""
        if sample.pts_ticks < self._latest_pts:
            return True
        self._latest_pts = sample.pts_ticks
        return False
