"""Packets by hand for the unit tests: RTP headers, keyframes and deltas of both video codecs."""

from __future__ import annotations

import struct

from media.sfu.packets_out import OutPacket
from media.sfu.rtp import RtpFields, parse_rtp
from media.sfu.srtp import SrtpPair

VP8_KEY = b"\x10\x00key"
VP8_DELTA = b"\x10\x01delta"
VP8_REST = b"\x00rest"
H264_SPS = b"\x67sps"
H264_PPS = b"\x68pps"
H264_SEI = b"\x06sei"
H264_AUD = b"\x09\x10"
H264_IDR_FIRST = b"\x7c\x85idr"
H264_IDR_REST = b"\x7c\x45idr"
H264_DELTA = b"\x41delta"
H264_STAP_KEY = b"\x78\x00\x04\x67sps\x00\x04\x68pps"
H264_STAP_DELTA = b"\x78\x00\x02\x06s\x00\x02\x41d"


def make_rtp(
    seq: int, timestamp: int, payload: bytes, *, ssrc: int = 7, marker_and_type: int = 96
) -> bytes:
    """Return a plain RTP packet."""
    return struct.pack("!BBHII", 0x80, marker_and_type, seq & 0xFFFF, timestamp, ssrc) + payload


def add_extension(packet: bytes, number: int, value: bytes) -> bytes:
    """Return the packet with a one-byte header extension (RFC 8285 §4.2)."""
    body = bytes([number << 4 | len(value) - 1]) + value
    body += bytes(-len(body) % 4)
    head = bytes([packet[0] | 0x10]) + packet[1:12]
    return head + struct.pack("!HH", 0xBEDE, len(body) // 4) + body + packet[12:]


def make_fields(
    seq: int, timestamp: int = 0, payload: bytes = VP8_DELTA, ssrc: int = 7
) -> RtpFields:
    """Return a parsed RTP packet."""
    fields = parse_rtp(make_rtp(seq, timestamp, payload, ssrc=ssrc))
    assert fields is not None
    return fields


def seal(pair: SrtpPair, packet: OutPacket) -> bytes:
    """Return the SRTP packet."""
    buffer = bytearray(len(packet.plaintext) + pair.tag_bytes)
    pair.seal((packet,), memoryview(buffer), 0)
    return bytes(buffer)
