"""RTP headers (RFC 3550 §5.1) and their extensions (RFC 8285); pure functions over bytes.

Called once per source packet. Payloads are `keyframes`' business.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER_BYTES = 12
MARKER = 0x80
SEQ_MODULUS = 1 << 16

_HEADER = struct.Struct("!BBHII")

NUMBERED_HEADER_BYTES = 20
_NUMBERED_HEADER = struct.Struct("!BBHIIHHBHx")

_ONE_BYTE_EXTENSIONS = 0xBEDE
_TWO_BYTE_EXTENSIONS = 0x100


class RtpFields(NamedTuple):
    """A source packet without its header extensions, contributing sources and padding.

    `is_repeat` is set of what came in a stream of repeats; it has the numbers of what it repeats.
    """

    marker: int
    payload_type: int
    seq: int
    timestamp: int
    ssrc: int
    payload: bytes
    is_repeat: bool = False


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


def build_numbered_rtp(fields: tuple[int, int, int, int], extension: int) -> bytes:
    """Write a header that carries its sequence number as the transport-wide one, too.

    `fields` are those of `build_rtp`; the extension is in the one-byte form (RFC 8285 §4.2).
    """
    head = extension << 4 | 1  # two bytes
    return _NUMBERED_HEADER.pack(0x90, *fields, _ONE_BYTE_EXTENSIONS, 1, head, fields[1])


def is_rtcp(datagram: bytes) -> bool:
    """Tell RTCP from RTP on one port (RFC 5761 §4)."""
    return len(datagram) >= 2 and 192 <= datagram[1] <= 223


def signed_distance(seq: int, reference: int) -> int:
    """Return how far `seq` lies after `reference`, in -32768..32767, across wraps."""
    return ((seq - reference + 0x8000) & 0xFFFF) - 0x8000


def signed_time_distance(timestamp: int, reference: int) -> int:
    """Return how far `timestamp` lies after `reference`, in -2**31..2**31-1, across wraps."""
    return ((timestamp - reference + 0x80000000) & 0xFFFFFFFF) - 0x80000000
