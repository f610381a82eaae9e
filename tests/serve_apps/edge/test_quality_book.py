"""What players say of watching: bounded, each for itself, and what is sent is measured."""

from __future__ import annotations

import json
import uuid
from typing import cast

import pytest

from actors.live_room.messages import Way
from media.live.packets import OPUS_FORMAT, WAIT_S, wait_briefly
from media.live.samples import AudioSample, VideoFormat, VideoSample
from serve_apps.edge.followers import Follower
from serve_apps.edge.ingest_meter import IngestMeter
from serve_apps.edge.publishers import Uncarried
from serve_apps.edge.quality_book import FORGOTTEN_AFTER_S, OTHER_RUNG, RUNGS_MAX, QualityBook
from serve_apps.edge.socket_words import FrameMalformed, WatchReport, read_words
from serve_apps.edge.visits import mark_visit, salt_visit
from tests.media.live.packets_stage import Packet

pytestmark = pytest.mark.unit

ROOM = str(uuid.UUID(int=1))
SPOKEN = {"type": "watch_report", "room": ROOM, "way": "hls", "span_ms": 10_000}


def make_follower() -> Follower:
    return cast(Follower, object())


def make_report(**fields: object) -> WatchReport:
    words = read_words(json.dumps(SPOKEN | fields))
    assert isinstance(words, WatchReport)
    return words


def test_each_connection_has_one_voice_and_is_not_heard_more_often() -> None:
    book, bob, cyd = QualityBook(), make_follower(), make_follower()
    for second in range(8):
        book.take(bob, make_report(freezes=second), second)
    book.take(cyd, make_report(way="webrtc", stalled_ms=500, latency_ms=140), 7)
    summed = book.sum_up(8)
    assert summed.players == {Way.HLS: 1, Way.WEBRTC: 1}
    assert (summed.freezes, summed.suffering, summed.stalled_ms) == (4, 1, 500)
    assert sum(summed.latencies) == 1
    book.forget(cyd)
    assert book.sum_up(9).players == {Way.HLS: 1}
    assert book.sum_up(5 + FORGOTTEN_AFTER_S).players == {}
    assert len(book) == 0


def test_names_of_rungs_are_few_whatever_players_say() -> None:
    book = QualityBook()
    for number in range(50):
        book.take(make_follower(), make_report(rung=f"r{number}"), 0)
    rungs = book.sum_up(1).rungs
    assert len(rungs) == RUNGS_MAX + 1
    assert rungs[OTHER_RUNG] == 50 - RUNGS_MAX


@pytest.mark.parametrize(
    "fields",
    [
        {"span_ms": 0},
        {"span_ms": 10**9},
        {"stalled_ms": -1},
        {"freezes": 10**6},
        {"latency_ms": 10**7},
        {"way": "chat"},
        {"rung": "x" * 13},
        {"rung": "<b>"},
        {"lost": 1.5},
    ],
)
def test_what_no_player_measures_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(FrameMalformed):
        make_report(**fields)


def test_what_a_publisher_sends_is_measured_between_two_looks() -> None:
    meter, picture = IngestMeter(), VideoFormat(64, 64, b"")
    assert meter.take("s1", 10.0) is None
    for number in range(60):
        ticks = number * 3000
        meter.add_video(VideoSample(picture, bytes(900), ticks, ticks, number % 30 == 0))
    meter.add_audio(AudioSample(OPUS_FORMAT, bytes(1000), 0, 960))
    meter.add_packets(lost=1, received=99)
    report = meter.take("s1", 12.0)
    assert report is not None
    assert (report.bitrate_bps, report.frames_per_s, report.keyframe_ms) == (220_000, 30.0, 1000)
    assert (report.packets_lost, report.packets_received) == (1, 99)
    again = meter.take("s1", 14.0)
    assert again is not None
    assert (again.bitrate_bps, again.packets_lost) == (0, 0)
    assert not again.has_b_frames
    for ticks in (240_000, 234_000, 237_000):
        meter.add_video(VideoSample(picture, b"", ticks, ticks, is_key=False))
    for now_s in (16.0, 18.0):  # they are not forgotten
        later = meter.take("s1", now_s)
        assert later is not None
        assert later.has_b_frames


def test_a_publisher_whose_picture_hls_does_not_carry_is_measured_by_its_packets() -> None:
    uncarried = Uncarried("s1", "VP8", wait_briefly)
    assert uncarried.measure(10.0) is None
    pictures = [Packet(index, index % 2, 0, bytes(500)) for index in range(122) if index != 120]
    sound = [Packet(index, 0, 0, bytes(100)) for index in range(10)]
    assert uncarried.add_packets("audio", sound, 11.0) == 0
    assert uncarried.add_packets("video", pictures, 11.0) == 0
    assert uncarried.add_packets("video", [], 11.0 + WAIT_S) == 1
    report = uncarried.measure(12.0)
    assert report is not None
    assert (report.is_carried, report.uncarried_codec) == (False, "VP8")
    assert (report.bitrate_bps, report.frames_per_s) == ((121 * 500 + 1000) * 4, 30.5)
    assert (report.packets_lost, report.packets_received) == (1, 131)
    assert report.keyframe_ms is None


def test_what_a_publisher_far_away_repeats_does_not_count_as_lost() -> None:
    uncarried = Uncarried("s1", "VP8", lambda _index: 1.0)
    first, repeated, last = (Packet(index, 1, 0, bytes(500)) for index in range(3))
    assert uncarried.add_packets("video", [first, last], 10.0) == 0
    assert uncarried.add_packets("video", [], 10.9) == 0
    assert uncarried.add_packets("video", [repeated], 10.95) == 0
    assert uncarried.add_packets("video", [], 20.0) == 0


def test_a_strangers_mark_is_another_in_every_room() -> None:
    mark = mark_visit("192.0.2.1", "Firefox")
    assert mark == mark_visit("192.0.2.1", "Firefox") != mark_visit("192.0.2.1", "Chrome")
    one, other = (salt_visit(uuid.UUID(int=number), mark) for number in (1, 2))
    assert len({mark, one, other}) == 3
    assert salt_visit(uuid.UUID(int=1), b"") == b""
