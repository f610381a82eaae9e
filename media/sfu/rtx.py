"""Repeats in a stream of their own (RFC 4588), from publishers and to viewers who agreed to one.

A viewer's stream is owned by its session; a publisher's is unwrapped by `room`. Without it a repeat
is the same bytes again: a receiver cannot tell it from a late packet then, and counts fewer losses
than its link has. A publisher that probes its link pads in this stream, which may be lost; in the
other it would take numbers of the pictures and leave holes that nobody can fill.
"""

from __future__ import annotations

import secrets
import struct

from media.sfu.packets_out import RTP_HEADER_BYTES, OutPacket
from media.sfu.rtp import MARKER, RtpFields, build_rtp
from media.sfu.srtp import PLAINTEXT_BYTES_MAX

FIRST_NUMBER = 0x4000
FIRST_NUMBERS = 0x4000
_ORIGINAL_SEQ = struct.Struct("!H")
_TIMESTAMP = struct.Struct("!I")


class RtxStream:
    """One viewer's stream of repeats; its numbers count on for every packet that goes out."""

    def __init__(self, payload_type: int, ssrc: int) -> None:
        self._payload_type = payload_type
        self._ssrc = ssrc
        # Far from a wrap, so that both ends begin in rollover 0 (RFC 3711 §3.3.1).
        self._next = FIRST_NUMBER + secrets.randbelow(FIRST_NUMBERS)

    def wrap(self, packet: OutPacket) -> OutPacket | None:
        """Return the packet as a repeat (§4); None when it grows too long, which nobody's does."""
        payload = _ORIGINAL_SEQ.pack(packet.index & 0xFFFF) + packet.payload
        if RTP_HEADER_BYTES + len(payload) > PLAINTEXT_BYTES_MAX:
            return None
        number, self._next = self._next, self._next + 1
        marker = packet.header[1] & MARKER
        (timestamp,) = _TIMESTAMP.unpack_from(packet.header, 4)
        header = build_rtp(marker | self._payload_type, number & 0xFFFF, timestamp, self._ssrc)
        return OutPacket(header, payload, number, self._ssrc)


def unwrap(fields: RtpFields, payload_type: int, ssrc: int) -> RtpFields | None:
    """Return what a publisher's repeat repeats (§4); None when it only pads."""
    if len(fields.payload) <= _ORIGINAL_SEQ.size:
        return None
    (seq,) = _ORIGINAL_SEQ.unpack_from(fields.payload)
    payload = fields.payload[_ORIGINAL_SEQ.size :]
    return RtpFields(
        fields.marker, payload_type, seq, fields.timestamp, ssrc, payload, is_repeat=True
    )
