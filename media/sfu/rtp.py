"""RTP headers (RFC 3550 §5.1) and where keyframes begin; pure functions over bytes.

Called by `track` once per source packet. Payloads are looked at, never changed.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER_BYTES = 12
MARKER = 0x80
SEQ_MODULUS = 1 << 16

_HEADER = struct.Struct("!BBHII")

_ONE_BYTE_EXTENSIONS = 0xBEDE
_TWO_BYTE_EXTENSIONS = 0x100

# H.264 NAL unit types (RFC 6184 §5.2)
_H264_IDR = 5
_H264_SPS = 7
_H264_STAP_A = 24
_H264_FU_A = 28


class RtpFields(NamedTuple):
    """A source packet without its header extensions, contributing sources and padding."""

    marker: int
    payload_type: int
    seq: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse_rtp(datagram: bytes) -> RtpFields | None:
    """Read one RTP packet; None when its lengths contradict each other."""
    size = len(datagram)
    if size < HEADER_BYTES:
        return None
    first, second, seq, timestamp, ssrc = _HEADER.unpack_from(datagram)
    if first >> 6 != 2:
        return None
    start = HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        if start + 4 > size:
            return None
        start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4], "big")
    end = size - datagram[-1] if first & 0x20 else size
    if start > end or (first & 0x20 and datagram[-1] == 0):
        return None
    return RtpFields(second & MARKER, second & 0x7F, seq, timestamp, ssrc, datagram[start:end])


def find_extension(datagram: bytes, number: int) -> bytes | None:
    """Return a header extension's value (RFC 8285); `datagram` was read by `parse_rtp` before."""
    if not datagram[0] & 0x10:
        return None
    at = HEADER_BYTES + 4 * (datagram[0] & 0x0F)
    profile = int.from_bytes(datagram[at : at + 2], "big")
    end = at + 4 + 4 * int.from_bytes(datagram[at + 2 : at + 4], "big")
    is_short = profile == _ONE_BYTE_EXTENSIONS
    if not is_short and profile >> 4 != _TWO_BYTE_EXTENSIONS:
        return None
    at += 4
    while at < end:
        found = datagram[at] >> 4 if is_short else datagram[at]
        if found == 0:  # Padding.
            at += 1
            continue
        if is_short:
            size, at = (datagram[at] & 0x0F) + 1, at + 1
        else:
            size, at = (datagram[at + 1] if at + 1 < end else 0), at + 2
        if at + size > end:
            return None
        if found == number:
            return datagram[at : at + size]
        at += size
    return None


def build_rtp(payload_type_and_marker: int, seq: int, timestamp: int, ssrc: int) -> bytes:
    """Write the plain 12-byte header that goes before a forwarded payload."""
    return _HEADER.pack(0x80, payload_type_and_marker, seq, timestamp, ssrc)


def is_rtcp(datagram: bytes) -> bool:
    """Tell RTCP from RTP on one port (RFC 5761 §4)."""
    return len(datagram) >= 2 and 192 <= datagram[1] <= 223


def signed_distance(seq: int, reference: int) -> int:
    """Return how far `seq` lies after `reference`, in -32768..32767, across wraps."""
    return ((seq - reference + 0x8000) & 0xFFFF) - 0x8000


def is_keyframe_start(codec: str, payload: bytes) -> bool:
    """Tell whether a decoder may start at the frame this payload belongs to.

    Looks at the frame's first packets only: for H.264 the parameter sets or the IDR slice, for
    VP8 the first partition of a key frame. False for audio.
    """
    if codec == "H264":
        return _is_h264_keyframe(payload)
    if codec == "VP8":
        return _is_vp8_keyframe(payload)
    return False


def _is_h264_keyframe(payload: bytes) -> bool:
    """Look for SPS or IDR in a single NAL unit, a STAP-A or the first FU-A (RFC 6184 §5.4)."""
    if not payload:
        return False
    nal_type = payload[0] & 0x1F
    if nal_type == _H264_STAP_A:
        pos = 1
        while pos + 3 <= len(payload):
            if payload[pos + 2] & 0x1F in (_H264_IDR, _H264_SPS):
                return True
            pos += 2 + int.from_bytes(payload[pos : pos + 2], "big")
        return False
    if nal_type == _H264_FU_A:
        is_first = len(payload) > 1 and payload[1] & 0x80
        return bool(is_first) and payload[1] & 0x1F in (_H264_IDR, _H264_SPS)
    return nal_type in (_H264_IDR, _H264_SPS)


def _is_vp8_keyframe(payload: bytes) -> bool:
    """Read the payload descriptor (RFC 7741 §4.2) and the frame header's inverse key bit."""
    if not payload:
        return False
    first = payload[0]
    if not first & 0x10 or first & 0x07:  # Not the start of partition 0.
        return False
    pos = 1
    if first & 0x80:
        if pos >= len(payload):
            return False
        extension = payload[pos]
        pos += 1
        if extension & 0x80:  # Picture id, one or two bytes.
            if pos >= len(payload):
                return False
            pos += 2 if payload[pos] & 0x80 else 1
        if extension & 0x40:
            pos += 1
        if extension & 0x30:
            pos += 1
    return pos < len(payload) and not payload[pos] & 0x01
