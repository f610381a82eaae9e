"""What viewers ask is read, what the publisher is told is paced and well formed."""

from __future__ import annotations

import pytest
from aiortc.rtp import (
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)
from hypothesis import given
from hypothesis import strategies as st

from media.sfu.feedback import PublisherFeedback
from media.sfu.reception import (
    MISSING_MAX,
    NACK_EVERY_S,
    NACK_TRIES_MAX,
    ReceptionReport,
)
from media.sfu.rtcp import (
    NACKED_PACKETS_MAX,
    LossReport,
    SenderReport,
    build_nack,
    build_pli,
    build_receiver_report,
    build_sender_report,
    parse_rtcp,
)
from media.sfu.track import SourceTrack
from tests.media.sfu import packets as p

pytestmark = pytest.mark.unit


def wanted_keyframes(messages: list[bytes]) -> int:
    facts = [parse_rtcp(message) for message in messages]
    return sum(len(fact.keyframe_ssrcs) for fact in facts if fact)


@pytest.mark.parametrize(
    "seqs",
    [[5], [5, 6, 7], [5, 21], [5, 22], [65534, 65535, 0, 1], [65535, 20], list(range(100, 300))],
)
def test_every_lost_packet_is_asked_for_even_across_a_wrap(seqs: list[int]) -> None:
    facts = parse_rtcp(build_nack(77, seqs))
    assert facts is not None
    ((ssrc, found),) = facts.nacks
    assert ssrc == 77
    assert found == seqs


def test_feedback_opens_with_a_report() -> None:
    for packet in (build_nack(7, [1]), build_pli(7)):
        assert isinstance(RtcpPacket.parse(packet)[0], RtcpRrPacket)


def test_pli_and_fir_both_ask_for_a_keyframe() -> None:
    fir = RtcpPsfbPacket(fmt=4, ssrc=1, media_ssrc=0, fci=b"\0\0\0\x63\x05\0\0\0")
    for packet, ssrc in ((build_pli(7), 7), (bytes(fir), 0x63)):
        facts = parse_rtcp(packet)
        assert facts is not None
        assert facts.keyframe_ssrcs == [ssrc]


def test_one_nack_names_a_bounded_number_of_packets() -> None:
    nack = RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=2, lost=list(range(4000)))
    facts = parse_rtcp(bytes(nack))
    assert facts is not None
    assert len(facts.nacks[0][1]) == NACKED_PACKETS_MAX


def test_reports_say_how_much_was_lost_and_what_rate_is_allowed() -> None:
    block = ReceptionReport(64, 9, 70_000, 5, 0x11223344, 0.5)
    packet = build_receiver_report([(7, block)], 6_000_000, [7])
    report, remb = RtcpPacket.parse(packet)
    assert isinstance(report, RtcpRrPacket)
    assert isinstance(remb, RtcpPsfbPacket)
    (info,) = report.reports
    assert (info.ssrc, info.fraction_lost, info.packets_lost) == (7, 64, 9)
    assert (info.highest_sequence, info.dlsr) == (70_000, 32_768)
    bitrate, ssrcs = unpack_remb_fci(remb.fci)
    assert ssrcs == [7]
    assert abs(bitrate - 6_000_000) < 6_000
    facts = parse_rtcp(packet)
    assert facts is not None
    assert facts.losses == [LossReport(7, 64)]


def test_a_sender_report_keeps_the_publishers_clock() -> None:
    sent = SenderReport(ssrc=5, ntp_timestamp=0xAABB_CCDD_0000_0001, rtp_timestamp=123)
    packet = build_sender_report(sent, (10, 2000), "cafe")
    facts = parse_rtcp(packet)
    assert facts is not None
    assert facts.sender_reports == [sent]
    first = RtcpPacket.parse(packet)[0]
    assert isinstance(first, RtcpSrPacket)
    assert (first.sender_info.packet_count, first.sender_info.octet_count) == (10, 2000)


@given(st.binary(max_size=80))
def test_no_bytes_crash_the_parser(data: bytes) -> None:
    parse_rtcp(data)
    parse_rtcp(b"\x81\xcd" + data)


@pytest.fixture
def track() -> SourceTrack:
    track = SourceTrack("video", ssrc=99, first_index=0x8000)
    track.begin_source("VP8")
    assert track.apply(p.make_fields(1, 0, p.VP8_KEY), 0.0) is not None
    return track


@pytest.fixture
def feedback() -> PublisherFeedback:
    return PublisherFeedback(bitrate_max_bps=6_000_000)


def test_keyframes_are_asked_for_at_most_once_a_second(
    feedback: PublisherFeedback, track: SourceTrack
) -> None:
    asked = 0
    for tenth in range(50):
        feedback.request_keyframe(track)
        asked += wanted_keyframes(feedback.take_due([track], tenth / 10))
    assert asked == 5


def make_encodings(count: int) -> list[SourceTrack]:
    """Return tracks that have begun, as those of a publisher's encodings."""
    encodings = [SourceTrack("video", ssrc=99, first_index=0x8000) for _ in range(count)]
    for ssrc, track in enumerate(encodings, start=200):
        track.begin_source("VP8")
        assert track.apply(p.make_fields(1, 0, p.VP8_KEY, ssrc=ssrc), 0.0) is not None
    return encodings


def list_asked(
    feedback: PublisherFeedback, tracks: list[SourceTrack], seconds: float
) -> list[tuple[float, int]]:
    """Return when keyframes were asked for, and of which encoding, looking each hundredth."""
    asked = []
    for step in range(round(seconds * 100)):
        for fact in map(parse_rtcp, feedback.take_due(tracks, step / 100)):
            assert fact is not None
            asked += [(step / 100, ssrc - 200) for ssrc in fact.keyframe_ssrcs]
    return asked


def test_encodings_take_turns_at_one_wish_a_second(feedback: PublisherFeedback) -> None:
    encodings = make_encodings(3)
    for at in (2, 0, 1):
        feedback.request_keyframe(encodings[at])
    asked = list_asked(feedback, encodings, 6.5)
    assert [at for _, at in asked] == [2, 0, 1, 2, 0, 1, 2]
    assert [at_s for at_s, _ in asked] == [0, 1, 2, 3, 4, 5, 6]


def test_a_wish_for_an_encoding_that_stopped_waits_until_it_goes_on(
    feedback: PublisherFeedback,
) -> None:
    """It took every other turn, and nobody could answer."""
    encodings = make_encodings(2)
    seqs = [1, 1]
    turns: list[int] = []
    for track in encodings:
        feedback.request_keyframe(track)
    for step in range(1, 700):
        for at in (0,) if step <= 500 else (0, 1):
            seqs[at] += 1
            fields = p.make_fields(seqs[at], ssrc=200 + at)
            assert encodings[at].apply(fields, step / 100) is not None
        for fact in map(parse_rtcp, feedback.take_due(encodings, step / 100)):
            turns += [ssrc - 200 for ssrc in (() if fact is None else fact.keyframe_ssrcs)]
    assert turns == [0, 0, 0, 0, 0, 1, 0]


def test_an_encoding_that_is_always_wanted_starves_no_other(feedback: PublisherFeedback) -> None:
    encodings = make_encodings(2)
    turns: list[int] = []
    for step in range(600):
        feedback.request_keyframe(encodings[0])  # as a recording does, and it comes at once
        if step == 250:
            feedback.request_keyframe(encodings[1])
        for fact in map(parse_rtcp, feedback.take_due(encodings, step / 100)):
            for ssrc in () if fact is None else fact.keyframe_ssrcs:
                turns.append(ssrc - 200)
                feedback.note_keyframe(encodings[ssrc - 200])
    assert turns == [0, 0, 0, 1, 0, 0]


def test_a_wish_that_was_met_meanwhile_does_not_take_a_turn(feedback: PublisherFeedback) -> None:
    encodings = make_encodings(2)
    feedback.request_keyframe(encodings[0])
    assert wanted_keyframes(feedback.take_due(encodings, 0.0)) == 1
    feedback.note_keyframe(encodings[0])
    feedback.request_keyframe(encodings[1])
    assert wanted_keyframes(feedback.take_due(encodings, 0.5)) == 0
    feedback.note_keyframe(encodings[1])
    feedback.request_keyframe(encodings[0])
    (message,) = [m for m in feedback.take_due(encodings, 1.0) if wanted_keyframes([m])]
    facts = parse_rtcp(message)
    assert facts is not None
    assert facts.keyframe_ssrcs == [200]


def test_a_wish_is_repeated_until_the_keyframe_comes(
    feedback: PublisherFeedback, track: SourceTrack
) -> None:
    feedback.request_keyframe(track)
    asked = sum(wanted_keyframes(feedback.take_due([track], t / 10)) for t in range(25))
    assert asked == 3
    feedback.note_keyframe(track)
    assert wanted_keyframes(feedback.take_due([track], 9.0)) == 0


def test_a_source_that_has_not_begun_is_asked_without_anyone_wishing(
    feedback: PublisherFeedback,
) -> None:
    track = SourceTrack("video", ssrc=99, first_index=0x8000)
    track.begin_source("VP8")
    assert feedback.take_due([track], 0.0) == []
    track.apply(p.make_fields(1), 0.0)
    assert wanted_keyframes(feedback.take_due([track], 0.1)) == 1


def test_lost_packets_are_asked_for_a_few_times_and_then_given_up(
    feedback: PublisherFeedback, track: SourceTrack
) -> None:
    track.apply(p.make_fields(3), 0.0)
    nacks = 0
    for step in range(100):
        for message in feedback.take_due([track], step * 0.03):
            facts = parse_rtcp(message)
            assert facts is not None
            nacks += sum(len(seqs) for _, seqs in facts.nacks)
    assert nacks == NACK_TRIES_MAX == feedback.nacked_packets
    assert track.missing.given_up == 1


def test_a_hole_that_stays_is_closed_by_a_keyframe(
    feedback: PublisherFeedback, track: SourceTrack
) -> None:
    """Viewers of H.264 stood still for three seconds, until they asked for one themselves."""
    track.apply(p.make_fields(3), 0.0)
    told = [(step / 100, feedback.take_due([track], step / 100)) for step in range(100)]
    asked_at_s = [at_s for at_s, messages in told if wanted_keyframes(messages)]
    assert asked_at_s == [pytest.approx(NACK_TRIES_MAX * NACK_EVERY_S, abs=0.1)]


def test_a_hole_larger_than_is_asked_for_is_closed_by_a_keyframe_at_once(
    feedback: PublisherFeedback, track: SourceTrack
) -> None:
    """The newest of what is missing may all come again, and a decoder still wait for the first."""
    track.apply(p.make_fields(MISSING_MAX + 100), 0.0)
    assert wanted_keyframes(feedback.take_due([track], 0.0)) == 1
    assert len(track.missing) == MISSING_MAX


def test_no_keyframe_is_asked_for_where_one_came_after_the_hole(
    feedback: PublisherFeedback, track: SourceTrack
) -> None:
    track.apply(p.make_fields(3), 0.0)
    track.apply(p.make_fields(4, 9000, p.VP8_KEY), 0.1)
    told = [feedback.take_due([track], step / 100) for step in range(100)]
    assert track.missing.given_up == 1
    assert sum(map(wanted_keyframes, told)) == 0


def test_reports_go_out_once_a_second(feedback: PublisherFeedback, track: SourceTrack) -> None:
    sent = sum(len(feedback.take_due([track], step / 10)) for step in range(31))
    assert sent == 4
