"""What we tell a publisher's congestion control reads back as what arrived when."""

from __future__ import annotations

import random
import struct

import pytest

from media.sfu.arrivals import FEEDBACK_EVERY_S, JUMP_MAX, STATUSES_MAX, Arrivals
from media.sfu.rtcp import build_arrival_feedback, parse_rtcp
from media.sfu.rtp import find_extension, parse_rtp
from tests.media.sfu import packets as p
from tests.media.sfu.room_stage import Stage

pytestmark = pytest.mark.unit


def read_statuses(fci: bytes, count: int) -> tuple[list[int], int]:
    """Return one status per packet, and where the deltas begin."""
    statuses: list[int] = []
    at = 8
    while len(statuses) < count:
        (chunk,) = struct.unpack_from("!H", fci, at)
        at += 2
        if chunk >> 15 == 0:
            statuses += [chunk >> 13 & 3] * (chunk & 0x1FFF)
        elif chunk >> 14 & 1:
            statuses += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            statuses += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    return statuses[:count], at


def read_feedback(fci: bytes) -> dict[int, float | None]:
    """Return the arrival time per number, as the draft says to read it (§3.1)."""
    base, count = struct.unpack_from("!HH", fci)
    ticks = int.from_bytes(fci[4:7], "big") * 256
    statuses, at = read_statuses(fci, count)
    found: dict[int, float | None] = {}
    for number, status in enumerate(statuses):
        seq = (base + number) & 0xFFFF
        if status == 0:
            found[seq] = None
            continue
        (delta,) = struct.unpack_from("!B" if status == 1 else "!h", fci, at)
        at += 1 if status == 1 else 2
        ticks += delta
        found[seq] = ticks / 4000
    assert len(fci) % 4 == 0
    assert 0 <= len(fci) - at < 4
    return found


def test_arrivals_read_back_across_a_wrap_with_losses_and_pauses() -> None:
    chance = random.Random(4)
    arrivals, now_s, wanted = Arrivals(), 7.0, {}
    got: dict[int, float | None] = {}
    for number in range(65_000, 67_500):
        now_s += chance.choice([0.0, 0.0001, 0.004, 0.004, 0.3])
        if chance.random() < 0.1 and number != 65_000:
            continue
        arrivals.note(number & 0xFFFF, now_s)
        wanted[number & 0xFFFF] = now_s
        for fci in arrivals.take_feedback(now_s):
            got |= read_feedback(fci)
    for fci in arrivals.take_feedback(now_s + 1):
        got |= read_feedback(fci)
    assert {seq for seq, at_s in got.items() if at_s is not None} == set(wanted)
    for seq, at_s in wanted.items():
        assert got[seq] == pytest.approx(at_s, abs=0.0003)


def test_packets_out_of_order_are_one_report() -> None:
    arrivals = Arrivals()
    for seq, at_s in ((5, 1.0), (7, 1.001), (6, 1.002)):
        arrivals.note(seq, at_s)
    (fci,) = arrivals.take_feedback(2.0)
    assert list(read_feedback(fci)) == [5, 6, 7]
    assert None not in read_feedback(fci).values()


def test_feedback_is_paced_and_late_packets_are_left_out() -> None:
    arrivals = Arrivals()
    arrivals.note(10, 1.0)
    assert len(arrivals.take_feedback(1.0)) == 1
    arrivals.note(9, 1.0)
    assert arrivals.take_feedback(3.0) == []
    arrivals.note(11, 3.0)
    assert len(arrivals.take_feedback(3.0)) == 1
    arrivals.note(12, 3.0)
    assert arrivals.take_feedback(3.0 + FEEDBACK_EVERY_S / 2) == []


def test_no_message_grows_beyond_its_bound_whatever_numbers_come() -> None:
    arrivals = Arrivals()
    chance = random.Random(5)
    for step in range(5000):
        arrivals.note(chance.randrange(1 << 16), step / 1000)
        for fci in arrivals.take_feedback(step / 1000):
            assert len(read_feedback(fci)) <= STATUSES_MAX
    assert len(arrivals.take_feedback(9.0)) <= JUMP_MAX // STATUSES_MAX + 2


def test_a_publisher_who_offers_it_is_told() -> None:
    stage = Stage()
    publisher, feedback = stage.add_publisher()
    publisher.transport_seq = 4
    feedback.facts.clear()
    extension = b"\xbe\xde\x00\x01\x41\x00\x07\x00"
    packet = p.make_rtp(1, 1, p.VP8_KEY, marker_and_type=96)
    stage.room.apply_rtp(publisher, b"\x90" + packet[1:12] + extension + packet[12:], 1.0)
    stage.room.flush(1.0)
    assert publisher.arrivals.take_feedback(9.0) == []
    assert len(feedback.facts) == 2  # when it came, and the report of the second


@pytest.mark.parametrize("rids", [(), ("q", "h", "f")])
def test_what_a_publisher_is_told_names_a_stream_of_its_own(rids: tuple[str, ...]) -> None:
    """Chromium ignored it with another, and sent a fifth less every second."""
    stage = Stage()
    if rids:
        simulcast = stage.add_simulcast(rids)
        publisher, feedback = simulcast.session, simulcast.feedback
        simulcast.send(*rids)
    else:
        publisher, feedback = stage.add_publisher()
        stage.video(publisher, p.VP8_KEY)
    publisher.arrivals.note(9, stage.now_s)
    feedback.facts.clear()
    feedback.packets.clear()
    stage.room.send_feedback(stage.now_s)
    told = zip(feedback.facts, feedback.packets, strict=True)
    (packet,) = [packet for facts, packet in told if facts.arrivals]
    # After an empty report: header, our SSRC, the stream's (RFC 4585 §6.1).
    assert int.from_bytes(packet[16:20], "big") == (100 if rids else 7)


def test_feedback_is_a_well_formed_compound() -> None:
    arrivals = Arrivals()
    arrivals.note(1, 1.0)
    (fci,) = arrivals.take_feedback(1.0)
    assert parse_rtcp(build_arrival_feedback(fci, 7)) is not None


@pytest.mark.parametrize(
    ("extension", "value"),
    [
        (b"\xbe\xde\x00\x01\x41\x00\x07\x00", b"\x00\x07"),
        (b"\xbe\xde\x00\x02\x10\x99\x00\x41\x00\x07\x00\x00", b"\x00\x07"),
        (b"\xbe\xde\x00\x01\x31\x00\x07\x00", None),
        (b"\xbe\xde\x00\x01\x3f\x00\x07\x00", None),
        (b"\x10\x00\x00\x01\x04\x02\x00\x07", b"\x00\x07"),
        (b"\x10\x00\x00\x01\x00\x00\x04\x00", b""),
        (b"\x12\x34\x00\x01\x41\x00\x07\x00", None),
        (b"\xbe\xde\x00\x00", None),
    ],
)
def test_an_extension_is_found_in_both_forms(extension: bytes, value: bytes | None) -> None:
    packet = p.make_rtp(1, 1, b"payload")
    packet = b"\x90" + packet[1:12] + extension + packet[12:]
    assert parse_rtp(packet) is not None
    assert find_extension(packet, 4) == value
    assert find_extension(p.make_rtp(1, 1, b"payload"), 4) is None
