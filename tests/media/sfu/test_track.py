"""A track runs on without a seam through wraps, reordering, loss and changes of publisher."""

from __future__ import annotations

import pytest

from media.sfu.track import (
    KEYFRAME_RUN_AGE_MAX_S,
    KEYFRAME_RUN_BYTES_MAX,
    KEYFRAME_RUN_PACKETS_MAX,
    RING_PACKETS,
    SourceTrack,
)
from tests.media.sfu import packets as p

pytestmark = pytest.mark.unit

FIRST = 0x8000
FRAME = 3000


@pytest.fixture
def track() -> SourceTrack:
    track = SourceTrack("video", ssrc=99, first_index=FIRST)
    track.begin_source("VP8")
    return track


@pytest.fixture
def sound() -> SourceTrack:
    track = SourceTrack("audio", ssrc=98, first_index=FIRST)
    track.begin_source("OPUS")
    return track


def feed(track: SourceTrack, seqs: list[int], ssrc: int = 7, at_s: float = 1.0) -> list[int | None]:
    """Feed one packet per sequence number; return the indexes given, None for refused ones."""
    found = []
    for seq in seqs:
        fields = p.make_fields(seq, seq * FRAME % 2**32, p.VP8_DELTA, ssrc)
        packet = track.apply(fields, at_s)
        found.append(None if packet is None else packet.index - FIRST)
    return found


def start(
    track: SourceTrack, seq: int, timestamp: int = 0, ssrc: int = 7, at_s: float = 1.0
) -> int:
    """Feed a keyframe and return its index."""
    packet = track.apply(p.make_fields(seq, timestamp, p.VP8_KEY, ssrc), at_s)
    assert packet is not None
    return packet.index - FIRST


def test_indexes_count_on_across_the_sources_wrap(sound: SourceTrack) -> None:
    seqs = [65533, 65534, 65535, 0, 1, 2]
    assert feed(sound, seqs) == [0, 1, 2, 3, 4, 5]


def test_indexes_count_on_across_our_own_wrap() -> None:
    track = SourceTrack("audio", ssrc=98, first_index=0xFFFE)
    track.begin_source("OPUS")
    packets = [track.apply(p.make_fields(seq), 1.0) for seq in range(4)]
    assert [packet.index for packet in packets if packet] == [0xFFFE, 0xFFFF, 0x10000, 0x10001]
    assert track.get_index(0xFFFF) == 0xFFFF
    assert track.get_index(1) == 0x10001


def test_a_late_packet_takes_its_own_place_once(sound: SourceTrack) -> None:
    assert feed(sound, [10, 13, 12, 11, 12, 14]) == [0, 3, 2, 1, None, 4]
    assert len(sound.missing) == 0


def test_a_repeated_packet_is_dropped(sound: SourceTrack) -> None:
    assert feed(sound, [10, 10, 11, 10]) == [0, None, 1, None]
    assert sound.packets_dropped == 2


def test_a_packet_from_before_the_start_is_dropped(sound: SourceTrack) -> None:
    assert feed(sound, [10, 9, 11]) == [0, None, 1]


def test_a_packet_older_than_the_ring_is_dropped(sound: SourceTrack) -> None:
    feed(sound, [seq for seq in range(RING_PACKETS + 10) if seq != 3])
    assert feed(sound, [3]) == [None]


def test_gaps_are_asked_for_by_the_sources_numbers(sound: SourceTrack) -> None:
    feed(sound, [65534, 2])
    due = sound.missing.take_due(1.0)
    assert [sound.get_source_seq(index) for index in due] == [65535, 0, 1]
    feed(sound, [0])
    assert [sound.get_source_seq(i) for i in sound.missing.take_due(1.5)] == [65535, 1]


def test_padding_keeps_its_place_and_leaves_no_hole(sound: SourceTrack) -> None:
    feed(sound, [1])
    padding = sound.apply(p.make_fields(2, 0, b""), 1.0)
    assert padding is not None
    assert padding.payload == b""
    assert feed(sound, [3]) == [2]
    assert len(sound.missing) == 0


def test_video_begins_with_a_keyframe(track: SourceTrack) -> None:
    assert feed(track, [1, 2]) == [None, None]
    assert track.source_ssrc == 7
    assert track.is_awaiting_source
    assert start(track, 3) == 0
    assert not track.is_awaiting_source
    assert feed(track, [4]) == [1]


def test_another_publisher_continues_numbers_and_time(track: SourceTrack) -> None:
    start(track, 100, timestamp=5_000, at_s=1.0)
    track.begin_source("VP8")
    packet = track.apply(p.make_fields(40_000, 777, p.VP8_KEY, ssrc=8), 3.0)
    assert packet is not None
    assert packet.index == FIRST + 1
    assert packet.timestamp == 5_000 + 2 * 90_000
    later = track.apply(p.make_fields(40_001, 777 + FRAME, ssrc=8), 3.03)
    assert later is not None
    assert later.timestamp == packet.timestamp + FRAME


def test_the_timestamp_continues_across_its_own_wrap(track: SourceTrack) -> None:
    start(track, 1, timestamp=2**32 - 10, at_s=1.0)
    track.begin_source("VP8")
    packet = track.apply(p.make_fields(1, 0, p.VP8_KEY, ssrc=8), 2.0)
    assert packet is not None
    assert packet.timestamp == 90_000 - 10


def test_the_former_publishers_late_packets_cannot_slip_in(track: SourceTrack) -> None:
    start(track, 100)
    track.begin_source("VP8")
    start(track, 500, ssrc=8)
    assert feed(track, [101], ssrc=7) == [None]
    assert feed(track, [499], ssrc=8) == [None]


def test_a_second_ssrc_is_taken_only_after_the_first_fell_silent(track: SourceTrack) -> None:
    start(track, 1, at_s=1.0)
    stranger = p.make_fields(1, 0, p.VP8_KEY, ssrc=8)
    assert track.apply(stranger, 1.2) is None
    assert track.apply(stranger, 2.0) is not None
    assert track.source_ssrc == 8


def test_a_jump_is_believed_when_its_successor_follows(sound: SourceTrack) -> None:
    feed(sound, [1, 2])
    assert feed(sound, [30_000]) == [None]
    assert feed(sound, [3]) == [2]
    assert feed(sound, [30_000, 30_001, 30_002]) == [None, 3, 4]


def test_a_long_gap_asks_only_for_its_newest_part(sound: SourceTrack) -> None:
    feed(sound, [1, 2001])
    assert 0 < len(sound.missing) <= 256


def test_the_keyframe_run_starts_at_the_frames_first_packet() -> None:
    track = SourceTrack("video", ssrc=99, first_index=FIRST)
    track.begin_source("H264")
    plan = [
        (1, 0, p.H264_STAP_KEY),
        (2, 0, p.H264_IDR_FIRST),
        (3, 3000, p.H264_DELTA),
        (4, 6000, p.H264_AUD),
        (5, 6000, p.H264_SEI),
        (6, 6000, p.H264_SPS),
        (7, 6000, p.H264_PPS),
        (8, 6000, p.H264_IDR_FIRST),
        (9, 9000, p.H264_DELTA),
    ]
    for seq, timestamp, payload in plan:
        track.apply(p.make_fields(seq, timestamp, payload), 1.0)
    run = [packet.payload for packet in track.list_keyframe_run()]
    assert run == [payload for _, _, payload in plan[3:]]


def test_a_keyframe_that_arrives_out_of_order_is_found(track: SourceTrack) -> None:
    start(track, 1, timestamp=0)
    track.apply(p.make_fields(3, 3000, p.VP8_REST), 1.0)
    assert track.keyframe_index == FIRST
    track.apply(p.make_fields(2, 3000, p.VP8_KEY), 1.0)
    assert track.keyframe_index == FIRST + 1
    assert [packet.index - FIRST for packet in track.list_keyframe_run()] == [1, 2]


def test_a_keyframe_too_far_back_is_no_start(track: SourceTrack) -> None:
    start(track, 0)
    for seq in range(1, KEYFRAME_RUN_PACKETS_MAX + 1):
        assert len(track.list_keyframe_run()) == seq
        track.apply(p.make_fields(seq, seq, p.VP8_DELTA), 1.0)
    assert track.list_keyframe_run() == []
    start(track, KEYFRAME_RUN_PACKETS_MAX + 1, KEYFRAME_RUN_PACKETS_MAX + 1)
    assert len(track.list_keyframe_run()) == 1


def test_a_keyframe_too_long_ago_is_no_start(track: SourceTrack) -> None:
    start(track, 0, timestamp=5)
    seconds = int(KEYFRAME_RUN_AGE_MAX_S)
    track.apply(p.make_fields(1, 5 + seconds * 90_000), 1.0)
    assert len(track.list_keyframe_run()) == 2
    track.apply(p.make_fields(2, 6 + seconds * 90_000), 1.0)
    assert track.list_keyframe_run() == []


def test_a_keyframe_followed_by_too_many_bytes_is_no_start(track: SourceTrack) -> None:
    start(track, 0)
    big = p.VP8_DELTA + bytes(100_000)
    for seq in range(1, KEYFRAME_RUN_BYTES_MAX // len(big) + 1):
        track.apply(p.make_fields(seq, seq, big), 1.0)
    assert track.list_keyframe_run()
    track.apply(p.make_fields(100, 100, big), 1.0)
    assert track.list_keyframe_run() == []
    start(track, 101, 101)
    assert len(track.list_keyframe_run()) == 1


def test_the_ring_gives_back_exactly_what_was_sent(track: SourceTrack) -> None:
    start(track, 0)
    feed(track, list(range(1, RING_PACKETS + 5)))
    newest = track.next_index - 1
    kept = track.find_packet(newest)
    assert kept is not None
    assert kept.index == newest
    assert track.find_packet(newest - RING_PACKETS) is None
    assert track.find_packet(newest + 1) is None


def test_reception_counts_loss_and_recovery(sound: SourceTrack) -> None:
    feed(sound, [1, 2, 5, 6], at_s=1.0)
    assert sound.reception is not None
    report = sound.reception.take_report(2.0)
    assert report.packets_lost == 2
    assert report.fraction_lost == 2 * 256 // 6
    assert report.highest_sequence == 6
    feed(sound, [3, 4, 7], at_s=1.0)
    report = sound.reception.take_report(3.0)
    assert (report.packets_lost, report.fraction_lost) == (0, 0)


def test_the_reported_highest_sequence_counts_cycles(sound: SourceTrack) -> None:
    feed(sound, [65535, 0, 1])
    assert sound.reception is not None
    assert sound.reception.take_report(2.0).highest_sequence == 65536 + 1


def test_the_delay_since_the_sender_report_is_told(sound: SourceTrack) -> None:
    feed(sound, [1])
    assert sound.reception is not None
    sound.reception.apply_sender_report(0x1122_3344_5566_7788, now_s=4.0)
    report = sound.reception.take_report(4.5)
    assert report.lsr == 0x3344_5566
    assert report.delay_s == 0.5
