"""Listeners hear what the room takes, in the track's own numbers and times, and hurt nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from media.sfu.options import Kind
from media.sfu.rtcp import SenderReport, build_sender_report
from media.sfu.track import TrackPacket
from tests.media.sfu import packets as p
from tests.media.sfu.room_stage import Stage, get_payloads

pytestmark = pytest.mark.unit


@dataclass
class Recorder:
    """Remembers everything."""

    packets: dict[str, list[TrackPacket]] = field(
        default_factory=lambda: {"audio": [], "video": []}
    )
    reports: list[tuple[str, int, int]] = field(default_factory=list)

    def add_packets(self, kind: Kind, packets: Sequence[TrackPacket], now_s: float) -> None:
        assert now_s > 0
        self.packets[kind] += packets

    def apply_report(self, kind: Kind, ntp_timestamp: int, timestamp: int) -> None:
        self.reports.append((kind, ntp_timestamp, timestamp))


class Broken(Recorder):
    """Raises."""

    def add_packets(self, kind: Kind, packets: Sequence[TrackPacket], now_s: float) -> None:
        raise RuntimeError(kind)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_listener_hears_video_since_the_keyframe_and_then_everything(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_DELTA, p.VP8_KEY, b"\x10\x01a")
    stage.sound(publisher)
    recorder = Recorder()
    stage.room.add_listener(recorder, stage.now_s)
    stage.video(publisher, b"\x10\x01b")
    stage.sound(publisher, 2)
    video = recorder.packets["video"]
    assert [packet.payload for packet in video] == [p.VP8_KEY, b"\x10\x01a", b"\x10\x01b"]
    assert [packet.index for packet in video] == sorted({packet.index for packet in video})
    assert [packet.payload for packet in recorder.packets["audio"]] == [b"opus"] * 2
    stage.room.remove_listener(recorder)
    stage.video(publisher, p.VP8_DELTA)
    assert len(video) == 3


def test_indexes_run_on_when_the_publisher_comes_back(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    recorder = Recorder()
    stage.room.add_listener(recorder, stage.now_s)
    stage.video(publisher, p.VP8_KEY)
    stage.room.remove_publisher(publisher, stage.now_s)
    stage.now_s += 2.0
    again, _ = stage.add_publisher()
    stage.video(again, p.VP8_DELTA, p.VP8_KEY, ssrc=9)
    first, second = recorder.packets["video"]
    assert second.index == first.index + 1
    assert second.timestamp - first.timestamp == 2 * 90_000


def test_sender_reports_come_in_the_tracks_timestamps(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    recorder = Recorder()
    stage.room.add_listener(recorder, stage.now_s)
    stage.video(publisher, p.VP8_KEY)
    theirs = stage.seq * 3000
    report = SenderReport(7, 1 << 32, theirs + 900)
    stage.room.apply_rtcp(publisher, build_sender_report(report, (1, 1), "x"), stage.now_s)
    (packet,) = recorder.packets["video"]
    assert recorder.reports == [("video", 1 << 32, packet.timestamp + 900)]


def test_a_listener_that_raises_is_let_go_and_viewers_see_nothing_of_it(stage: Stage) -> None:
    publisher, _ = stage.add_publisher()
    stage.video(publisher, p.VP8_KEY)
    viewer, recorder = stage.add_viewer(), Recorder()
    stage.room.add_listener(Broken(), stage.now_s)
    stage.room.add_listener(recorder, stage.now_s)
    stage.video(publisher, b"\x10\x01a")
    stage.video(publisher, b"\x10\x01b")
    wanted = [p.VP8_KEY, b"\x10\x01a", b"\x10\x01b"]
    assert get_payloads(stage.list_video(viewer)) == wanted
    assert [packet.payload for packet in recorder.packets["video"]] == wanted
