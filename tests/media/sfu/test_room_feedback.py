"""What viewers ask back of a room: lost packets, keyframes, and the publisher's clock for them."""

from __future__ import annotations

import pytest
from aiortc.rtp import RtcpPsfbPacket

from media.sfu.options import SfuOptions
from media.sfu.rtcp import SenderReport, build_sender_report
from media.sfu.rtp import parse_rtp
from media.sfu.session import FEEDBACK_BURST, FEEDBACK_PACKET_BYTES, REPEATS_BURST
from media.sfu.srtp import PLAINTEXT_BYTES_MAX
from tests.media.sfu import packets as p
from tests.media.sfu.room_stage import (
    Stage,
    get_payloads,
    get_steps,
)

pytestmark = pytest.mark.unit


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_lost_packet_is_repeated_byte_for_byte(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer, other = stage.add_viewer(), stage.add_viewer()
    stage.video(publisher, b"\x10\x01a", b"\x10\x01b")
    sent = stage.egress.list_sent(viewer)
    stage.egress.jobs.clear()
    stage.nack(viewer, [f.seq for f in map(parse_rtp, sent[-2:]) if f])
    assert stage.egress.list_sent(viewer) == sent[-2:]
    assert stage.egress.list_sent(other) == []
    assert not stage.egress.jobs[0].is_video


def test_packets_from_before_a_viewers_start_are_never_sent_to_it(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY, b"\x10\x01a", p.VP8_KEY)
    viewer = stage.add_viewer()
    first = stage.list_video(viewer)[0].seq
    stage.egress.jobs.clear()
    stage.nack(viewer, range(first - 200, first))
    assert stage.egress.jobs == []
    assert stage.room.get_stats().retransmits == 0


def test_a_viewer_cannot_make_us_flood_with_nacks(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    stage.video(publisher, *[p.VP8_DELTA] * 200)
    seqs = [f.seq for f in stage.list_video(viewer)]
    stage.egress.jobs.clear()
    for _ in range(20):
        stage.now_s += 0.03
        stage.nack(viewer, seqs)
    repeats = len(stage.egress.list_sent(viewer))
    assert repeats <= REPEATS_BURST + 20 * 0.03 * 150 + 1
    stats = stage.room.get_stats()
    assert stats.retransmits == repeats
    assert stats.retransmits_refused > 0


def test_an_impatient_repeat_of_a_nack_is_ignored(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    seq = stage.list_video(viewer)[-1].seq
    stage.egress.jobs.clear()
    for _ in range(5):
        stage.nack(viewer, [seq])
    assert len(stage.egress.list_sent(viewer)) == 1


def test_a_nack_for_anything_else_is_ignored(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer(("VP8",))
    stage.egress.jobs.clear()
    stage.nack(viewer, [1, 2, 3], ssrc=12345)
    stage.nack(viewer, [1, 2, 3], ssrc=stage.room.tracks["audio"].ssrc)
    assert stage.egress.jobs == []


def test_a_viewers_pli_reaches_the_publisher(stage: Stage) -> None:
    publisher, feedback = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    stage.now_s += 2.0
    before = feedback.keyframes_wanted
    pli = RtcpPsfbPacket(fmt=1, ssrc=1, media_ssrc=stage.room.tracks["video"].ssrc)
    for _ in range(10):
        stage.room.apply_rtcp(viewer, bytes(pli), stage.now_s)
        stage.room.send_feedback(stage.now_s)
    assert feedback.keyframes_wanted == before + 1
    assert stage.room.get_stats().plis_in == 10


def test_a_crowd_that_joins_costs_the_publisher_one_keyframe_a_second(stage: Stage) -> None:
    publisher, feedback = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY, *[p.VP8_DELTA] * 130)
    before = feedback.keyframes_wanted
    for _ in range(29):
        stage.now_s += 0.1
        stage.add_viewer()
        stage.room.send_feedback(stage.now_s)
    assert feedback.keyframes_wanted - before <= 3


def test_the_publishers_clock_is_passed_on_in_our_timestamps(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer()
    stage.room.remove_publisher(publisher, stage.now_s)
    stage.now_s += 1.0
    again, _ = stage.add_publisher()
    stage.video(again, p.VP8_KEY, ssrc=70)
    theirs = stage.seq * 3000
    report = SenderReport(70, 0x1234_5678_0000_0000, theirs + 900)
    stage.room.apply_rtcp(again, build_sender_report(report, (1, 1), "x"), stage.now_s)
    sent = stage.list_video(viewer)[-1].timestamp
    (facts,) = stage.reports[viewer.session_id].facts
    (mapped,) = facts.sender_reports
    assert mapped.rtp_timestamp == (sent + 900) & 0xFFFFFFFF
    assert mapped.ntp_timestamp == report.ntp_timestamp
    assert mapped.ssrc == stage.room.tracks["video"].ssrc


def test_dropped_video_resumes_at_the_next_keyframe(stage: Stage) -> None:
    publisher, feedback = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    behind, fine = stage.add_viewer(), stage.add_viewer()
    stage.video(publisher, b"\x10\x01a")
    stage.egress.jobs[-1].on_dropped([behind])
    stage.egress.jobs.clear()
    stage.now_s += 2.0
    wanted_before = feedback.keyframes_wanted
    stage.video(publisher, b"\x10\x01b")
    assert feedback.keyframes_wanted == wanted_before + 1
    assert stage.list_video(behind) == []
    assert get_payloads(stage.list_video(fine)) == [b"\x10\x01b"]
    stage.video(publisher, p.VP8_KEY)
    stage.video(publisher, b"\x10\x01c")
    assert get_payloads(stage.list_video(behind)) == [p.VP8_KEY, b"\x10\x01c"]
    assert get_payloads(stage.list_video(fine))[1:] == [p.VP8_KEY, b"\x10\x01c"]


def test_who_agreed_to_a_stream_of_repeats_gets_them_there(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer, plain = stage.add_viewer(rtx=True), stage.add_viewer()
    stage.video(publisher, b"\x10\x01a", b"\x10\x01b")
    sent = [f for f in map(parse_rtp, stage.egress.list_sent(viewer)) if f][-2:]
    repeats = []
    for _ in range(2):
        stage.now_s += 1.0
        stage.egress.jobs.clear()
        stage.nack(viewer, [f.seq for f in sent])
        repeats += [f for f in map(parse_rtp, stage.egress.list_sent(viewer)) if f]
    assert {f.ssrc for f in repeats} == {stage.room.rtx_ssrc}
    assert {f.payload_type for f in repeats} == {97}
    assert get_steps(repeats) == {1}
    for repeat, first in zip(repeats, sent * 2, strict=True):
        assert repeat.payload == first.seq.to_bytes(2, "big") + first.payload
        assert (repeat.timestamp, repeat.marker) == (first.timestamp, first.marker)
    stage.egress.jobs.clear()
    stage.nack(plain, [sent[0].seq])
    (again,) = [f for f in map(parse_rtp, stage.egress.list_sent(plain)) if f]
    assert again.ssrc == stage.room.tracks["video"].ssrc


def test_a_packet_too_long_to_be_wrapped_is_repeated_as_it_was(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer = stage.add_viewer(rtx=True)
    stage.video(publisher, b"\x10\x01" + bytes(PLAINTEXT_BYTES_MAX - 14))
    sent = stage.egress.list_sent(viewer)[-1]
    stage.egress.jobs.clear()
    stage.nack(viewer, [int.from_bytes(sent[2:4], "big")])
    assert stage.egress.list_sent(viewer) == [sent]


@pytest.mark.parametrize("numbers", [True, False])
def test_who_is_not_told_of_arrivals_is_told_what_its_link_carries(
    stage: Stage, numbers: bool
) -> None:
    publisher, feedback = stage.add_publisher(numbers=numbers)
    stage.video(publisher, p.VP8_KEY)
    for number in range(150):
        stage.now_s += 1 / 30
        stage.seq += number % 5 == 0  # a fifth is lost
        stage.video(publisher, p.VP8_DELTA + bytes(1000))
    told = [fact.estimate_bps for fact in feedback.facts if fact.estimate_bps is not None]
    assert len(told) >= 5
    most_bps = SfuOptions().publisher_bitrate_max_bps
    assert told[0] == pytest.approx(most_bps, rel=0.01)
    assert min(told) == (told[0] if numbers else told[-1])
    assert (told[-1] < most_bps / 2) is not numbers


def test_a_viewer_that_says_much_is_heard_less(stage: Stage) -> None:
    """What few bytes ask for can take milliseconds, of which everybody else is without."""
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer, other = stage.add_viewer(), stage.add_viewer()
    for _ in range(2000):
        stage.nack(viewer, [1])
    heard = stage.room.get_stats().nacks_in
    assert heard <= FEEDBACK_BURST / FEEDBACK_PACKET_BYTES
    assert heard + stage.room.get_stats().packets_dropped == 2000
    stage.nack(other, [1])
    assert stage.room.get_stats().nacks_in == heard + 1
    stage.now_s += 1.0
    stage.nack(viewer, [1])
    assert stage.room.get_stats().nacks_in == heard + 2
