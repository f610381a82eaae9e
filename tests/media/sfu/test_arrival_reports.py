"""Reports of arrival: ours read back, those of browsers, and those of nobody."""

from __future__ import annotations

import random
import struct

import pytest
from aiortc.rtp import RtcpRrPacket, pack_rtcp_packet

from media.sfu.arrival_reports import STATUSES_READ_MAX, parse_arrival_fci
from media.sfu.arrivals import TICKS_PER_S, build_arrival_fci
from media.sfu.rtcp import (
    ARRIVAL_MESSAGES_MAX,
    build_arrival_feedback,
    build_nack,
    build_pli,
    parse_rtcp,
)

pytestmark = pytest.mark.unit

HEAD = struct.Struct("!HH3sB")


def test_what_arrivals_writes_is_read_back() -> None:
    chance = random.Random(1)
    for _ in range(200):
        now = chance.randrange(1 << 20) + 1000
        ticks: list[int | None] = []
        for _ in range(chance.randrange(1, 200)):
            now += chance.choice((0, 3, 40, 255, 256, 3000, -2, -900))
            ticks.append(chance.choice((now, now, now, None)))
        ticks.append(now)
        report = parse_arrival_fci(build_arrival_fci(65_500, 7, ticks))
        assert report is not None
        assert report.first == 65_500
        assert report.arrivals == [None if t is None else t / TICKS_PER_S for t in ticks]


def test_all_kinds_of_chunks_are_read() -> None:
    # §3.1.3: a run of two small deltas; §3.1.4: fourteen of one bit, seven of two bits.
    chunks = (0x2002, 0b10_10000000000001, 0b11_10_00_01_00_00_00_00)
    deltas = bytes([4, 8, 12, 16]) + (-40).to_bytes(2, "big", signed=True) + bytes([80])
    fci = HEAD.pack(5, 19, b"\x00\x00\x01", 0) + struct.pack("!3H", *chunks) + deltas
    report = parse_arrival_fci(fci + bytes(-len(fci) % 4))
    assert report is not None
    assert report.first == 5
    found = {at: round(s * TICKS_PER_S) for at, s in enumerate(report.arrivals) if s is not None}
    assert found == {0: 260, 1: 268, 2: 280, 15: 296, 16: 256, 18: 336}
    assert len(report.arrivals) == 19


@pytest.mark.parametrize(
    "fci",
    [
        b"",
        HEAD.pack(0, 0, bytes(3), 0),
        HEAD.pack(0, 3, bytes(3), 0),  # no chunks
        HEAD.pack(0, 3, bytes(3), 0) + b"\x20\x03\x01\x01",  # a delta is missing
        HEAD.pack(0, 3, bytes(3), 0) + b"\x60\x03\x01\x01\x01\x00",  # a reserved status
        HEAD.pack(0, 3, bytes(3), 0) + bytes(100),  # runs of nothing
        HEAD.pack(0, STATUSES_READ_MAX + 1, bytes(3), 0) + b"\x1f\xff" * 8,
    ],
)
def test_what_fits_nothing_is_refused(fci: bytes) -> None:
    assert parse_arrival_fci(fci) is None


def test_feedback_is_cut_out_of_any_compound_and_bounded() -> None:
    fci = build_arrival_fci(1, 0, [5, 6])
    one = build_arrival_feedback(fci, 7)
    facts = parse_rtcp(build_nack(7, [1]) + one + build_pli(9))
    assert facts is not None
    assert (facts.arrivals, facts.nacks, facts.keyframe_ssrcs) == ([fci], [(7, [1])], [9])
    alone = one[len(bytes(RtcpRrPacket(ssrc=1))) :]  # reduced size (RFC 5506)
    facts = parse_rtcp(alone)
    assert facts is not None
    assert (facts.arrivals, facts.nacks) == ([fci], [])
    facts = parse_rtcp(alone * 50)
    assert facts is not None
    assert len(facts.arrivals) == ARRIVAL_MESSAGES_MAX
    assert parse_rtcp(one[:-4]) is None
    assert parse_rtcp(one + pack_rtcp_packet(205, 15, bytes(8))[:6]) is None
