"""RTP headers of every shape, and where keyframes begin."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.sfu.keyframes import is_keyframe_start
from media.sfu.rtp import RtpFields, is_rtcp, parse_rtp, signed_distance
from tests.media.sfu import packets as p

pytestmark = pytest.mark.unit


def test_extensions_sources_and_padding_are_taken_off() -> None:
    header = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 2, 0x80 | 111, 5, 9, 3)
    sources = struct.pack("!II", 1, 2)
    extension = struct.pack("!HH", 0xBEDE, 1) + b"\x10\x01\x02\x03"
    fields = parse_rtp(header + sources + extension + b"payload" + b"\0\0\3")
    assert fields == RtpFields(0x80, 111, 5, 9, 3, b"payload")


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x80" * 11,
        p.make_rtp(1, 1, b"")[:11],
        b"\x40" + p.make_rtp(1, 1, b"x")[1:],
        b"\x8f" + p.make_rtp(1, 1, b"x")[1:],
        b"\x90" + p.make_rtp(1, 1, b"x")[1:],
        b"\x90" + p.make_rtp(1, 1, b"\xbe\xde\xff\xffxx")[1:],
        b"\xa0" + p.make_rtp(1, 1, b"x\x00")[1:],
        b"\xa0" + p.make_rtp(1, 1, b"x\x09")[1:],
    ],
    ids=[
        "empty",
        "short",
        "short header",
        "version 1",
        "sources missing",
        "extension missing",
        "extension too long",
        "padding of 0",
        "padding too long",
    ],
)
def test_a_packet_whose_lengths_lie_is_refused(packet: bytes) -> None:
    assert parse_rtp(packet) is None


@given(st.binary(max_size=64))
def test_no_bytes_crash_the_parser(data: bytes) -> None:
    parse_rtp(data)
    is_rtcp(data)
    is_keyframe_start("H264", data)
    is_keyframe_start("VP8", data)


@pytest.mark.parametrize(
    ("codec", "payload", "is_start"),
    [
        ("H264", p.H264_SPS, True),
        ("H264", b"\x65idr", True),
        ("H264", p.H264_STAP_KEY, True),
        ("H264", p.H264_IDR_FIRST, True),
        ("H264", p.H264_IDR_REST, False),
        ("H264", p.H264_DELTA, False),
        ("H264", p.H264_STAP_DELTA, False),
        ("H264", p.H264_SEI, False),
        ("H264", b"", False),
        ("VP8", p.VP8_KEY, True),
        ("VP8", b"\x90\x80\x05\x00key", True),
        ("VP8", b"\x90\x80\x85\x05\x00key", True),
        ("VP8", b"\x90\xf0\x85\x05\x01\x20\x00key", True),
        ("VP8", b"\x90\xf0\x85\x05\x01\x20\x01delta", False),
        ("VP8", p.VP8_DELTA, False),
        ("VP8", p.VP8_REST, False),
        ("VP8", b"\x12\x00second partition", False),
        ("VP8", b"\x90", False),
        ("opus", b"\x10\x00", False),
        ("H265", b"\x40\x01vps", True),
        ("H265", b"\x42\x01sps", True),
        ("H265", b"\x26\x01idr", True),
        ("H265", b"\x02\x01delta", False),
        ("H265", b"\x4e\x01sei", False),
        ("H265", b"\x60\x01\x00\x03\x4e\x01s\x00\x03\x42\x01s", True),
        ("H265", b"\x60\x01\x00\x03\x02\x01d\x00\x03\x02\x01d", False),
        ("H265", b"\x62\x01\x93idr", True),
        ("H265", b"\x62\x01\x13idr", False),
        ("H265", b"\x62\x01", False),
        ("VP9", b"\x88\x05key", True),
        ("VP9", b"\x8c\x80\x05key", True),
        ("VP9", b"\xc8\x05delta", False),
        ("VP9", b"\x80\x05rest", False),
        ("VP9", b"\xa8\x80\x05\x00key", True),
        ("VP9", b"\xa8\x80\x05\x02upper", False),
        ("VP9", b"\xa8", False),
        ("AV1", b"\x08\x0a", True),
        ("AV1", b"\x10\x0a", False),
        ("AV1", b"", False),
    ],
)
def test_keyframes_begin_where_a_decoder_may_start(
    codec: str, payload: bytes, is_start: bool
) -> None:
    assert is_keyframe_start(codec, payload) is is_start


def test_distance_is_signed_across_the_wrap() -> None:
    assert signed_distance(2, 65534) == 4
    assert signed_distance(65534, 2) == -4
    assert signed_distance(7, 7) == 0


def test_rtcp_is_told_from_rtp_with_the_marker_set() -> None:
    assert is_rtcp(b"\x80\xc8")
    assert is_rtcp(b"\x81\xc9")
    assert not is_rtcp(b"\x80" + bytes([0x80 | 96]))
    assert not is_rtcp(b"\x80" + bytes([111]))
