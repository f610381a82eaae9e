"""Simulcast: each viewer gets one encoding, and its stream runs on through every change of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

from media.sfu.options import Kind
from media.sfu.reception import NACK_AGE_MAX_S
from media.sfu.rtp import RtpFields, signed_time_distance
from media.sfu.session import ViewerSession
from media.sfu.track import TrackPacket
from media.sfu.vp8 import Vp8Numbers, read_numbers
from tests.media.sfu.room_stage import Simulcast, Stage, get_steps, make_layer_payload

pytestmark = pytest.mark.unit


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def publisher(stage: Stage) -> Simulcast:
    """A publisher of three encodings whose rates are known."""
    publisher = stage.add_simulcast()
    publisher.send("q", "h", "f", packets=3)
    for _ in range(70):
        publisher.send(packets=3)
        stage.room.measure_rates(stage.now_s)
    return publisher


def pin(stage: Stage, viewer: ViewerSession, rid: str | None) -> None:
    viewer.selector.pinned = rid
    stage.room.choose_layers(stage.now_s)
    stage.room.send_feedback(stage.now_s)


def join(stage: Stage, publisher: Simulcast) -> ViewerSession:
    """Add a viewer that has caught up."""
    viewer = stage.add_viewer()
    for _ in range(5):
        publisher.send()
    return viewer


def get_layer(fields: RtpFields) -> str:
    """Return which encoding a packet comes from."""
    return "qhf"[fields.payload[-2]]


def list_layers(packets: Sequence[RtpFields]) -> list[str]:
    """Return the encodings in the order in which a viewer got them."""
    return [name for name, _ in itertools.groupby(map(get_layer, packets))]


def list_numbers(packets: Sequence[RtpFields]) -> list[Vp8Numbers]:
    """Return the numbers of a stream's frames."""
    found = [read_numbers(fields.payload) for fields in packets]
    return [number for number, _ in itertools.groupby(found) if number is not None]


def list_times(packets: Sequence[RtpFields]) -> list[int]:
    """Return how far the frames of a stream lie apart in time."""
    times = [time for time, _ in itertools.groupby(fields.timestamp for fields in packets)]
    return [signed_time_distance(b, a) for a, b in itertools.pairwise(times)]


def test_everybody_begins_with_the_best_encoding_however_they_are_ordered(stage: Stage) -> None:
    publisher = stage.add_simulcast()
    publisher.send("q", "h", "f")
    viewer = stage.add_viewer()
    publisher.send()
    assert list_layers(stage.list_video(viewer)) == ["f"]
    facts = stage.room.list_layers(stage.now_s)
    assert [(fact.rid, fact.width, fact.height) for fact in facts] == [
        ("f", 1280, 720),
        ("h", 640, 360),
        ("q", 320, 180),
    ]
    assert stage.room.find_playing(viewer) == "f"


@pytest.mark.parametrize("reports", [False, True])
def test_a_switch_waits_for_a_keyframe_and_the_stream_runs_on(
    stage: Stage, publisher: Simulcast, *, reports: bool
) -> None:
    if reports:
        publisher.report()
    viewer, other = stage.add_viewer(), stage.add_viewer()
    publisher.send()
    pin(stage, viewer, "q")
    publisher.send()
    assert list_layers(stage.list_video(viewer)) == ["f"]
    assert publisher.count_wishes("q") == 1
    publisher.send("q", packets=2)
    publisher.send()
    assert stage.room.find_playing(viewer) == "q"
    pin(stage, viewer, "h")
    publisher.send("h")
    publisher.send()
    pin(stage, viewer, None)
    found = stage.list_video(viewer)
    assert list_layers(found) == ["f", "q", "h"]
    assert get_steps(found) == {1}
    assert {fields.ssrc for fields in found} == {stage.room.tracks["video"].ssrc}
    assert set(list_times(found)) <= {1, 2, 2999, 3000, 6000}
    assert all(time > 0 for time in list_times(found))
    numbers = list_numbers(found)
    assert {(b.picture - a.picture) & 0x7FFF for a, b in itertools.pairwise(numbers)} == {1}
    assert {(b.tl0 - a.tl0) & 0xFF for a, b in itertools.pairwise(numbers)} == {1}
    assert list_layers(stage.list_video(other)) == ["f"]


def test_who_switches_at_the_same_keyframe_shares_what_is_built(
    stage: Stage, publisher: Simulcast
) -> None:
    viewers = [stage.add_viewer() for _ in range(3)]
    viewers.append(join(stage, publisher))
    for viewer in viewers[:3]:
        pin(stage, viewer, "q")
    publisher.send("q")
    stage.egress.jobs.clear()
    publisher.send()
    assert sorted(len(job.targets) for job in stage.egress.jobs) == [1, 3]


def test_what_was_lost_before_a_switch_is_repeated_byte_for_byte(
    stage: Stage, publisher: Simulcast
) -> None:
    viewer = join(stage, publisher)
    publisher.send(packets=3)
    pin(stage, viewer, "q")
    publisher.send("q")
    publisher.send()
    sent = stage.egress.list_sent(viewer)
    seqs = [fields.seq for fields in stage.list_video(viewer)]
    stage.egress.jobs.clear()
    stage.nack(viewer, seqs[-6:])
    assert stage.egress.list_sent(viewer) == sent[-6:]
    stage.egress.jobs.clear()
    stage.nack(viewer, [(seqs[0] - 1) & 0xFFFF, (seqs[-1] + 1) & 0xFFFF])
    assert stage.egress.list_sent(viewer) == []


def test_what_comes_late_from_before_a_switch_takes_the_number_of_nothing_sent(
    stage: Stage, publisher: Simulcast
) -> None:
    """Other bytes under a number that was sealed would give the key stream away."""
    viewer = join(stage, publisher)
    pin(stage, viewer, "q")
    lost = publisher.seqs["q"] = publisher.seqs["q"] + 1
    publisher.send("q")
    publisher.send()
    assert stage.room.find_playing(viewer) == "q"
    newest, publisher.seqs["q"] = publisher.seqs["q"], lost - 1
    late = make_layer_payload(0, publisher.frames - 2, is_keyframe=False)
    publisher._deliver(0, late, is_last=True)
    publisher.seqs["q"] = newest
    publisher.send()
    found = stage.list_video(viewer)
    assert list_layers(found) == ["f", "q"]
    assert get_steps(found) == {1}


def test_a_keyframe_that_comes_late_from_before_a_switch_opens_nothing_older(
    stage: Stage, publisher: Simulcast
) -> None:
    viewer = join(stage, publisher)
    pin(stage, viewer, "q")
    lost = publisher.seqs["q"] = publisher.seqs["q"] + 1
    publisher.send()
    publisher.send("q")
    publisher.send()
    sent = {fields.seq: fields for fields in stage.list_video(viewer)}
    before = next(fields.seq for fields in sent.values() if get_layer(fields) == "q") - 1
    stage.egress.jobs[-1].on_dropped([viewer])
    newest, publisher.seqs["q"] = publisher.seqs["q"], lost - 1
    late = make_layer_payload(0, publisher.frames - 3, is_keyframe=True)
    publisher._deliver(0, late, is_last=True)
    publisher.seqs["q"] = newest
    stage.room.flush(stage.now_s)
    stage.egress.jobs.clear()
    stage.nack(viewer, [before])
    assert stage.list_video(viewer) == [sent[before]]


def test_a_stream_runs_on_through_its_own_wrap(stage: Stage, publisher: Simulcast) -> None:
    viewer = join(stage, publisher)
    last = stage.list_video(viewer)[-1]
    stage.room.tracks["video"].next_index += 0xFFF0 - last.seq
    stage.egress.jobs.clear()
    for rid in ("q", "f", "h", "f"):
        pin(stage, viewer, rid)
        publisher.send()
        publisher.send(rid)
        for _ in range(8):
            publisher.send()
    found = stage.list_video(viewer)
    assert get_steps(found) == {1}
    assert list_layers(found) == ["f", "q", "f", "h", "f"]
    assert found[0].seq > 0xFF00
    assert found[-1].seq < 0x100
    sent = stage.egress.list_sent(viewer)
    stage.now_s += 1.0
    stage.egress.jobs.clear()
    stage.nack(viewer, [fields.seq for fields in found if fields.seq > 0x8000])
    stage.nack(viewer, [fields.seq for fields in found if fields.seq < 0x8000])
    assert stage.egress.list_sent(viewer) == sent


def test_keyframes_are_asked_for_once_a_second_whatever_viewers_switch_to(
    stage: Stage, publisher: Simulcast
) -> None:
    viewers = [stage.add_viewer() for _ in range(20)]
    began_s = stage.now_s
    for round_number in range(60):
        viewer = viewers[round_number % 20]
        pin(stage, viewer, "qh"[round_number % 2])
        publisher.send()
    most = stage.now_s - began_s + 1
    asked = {rid: publisher.count_wishes(rid) for rid in "qhf"}
    assert sum(asked.values()) <= most
    assert abs(asked["q"] - asked["h"]) <= 1
    assert min(asked["q"], asked["h"]) >= 1
    assert asked["f"] == 0


class Listener:
    """Remembers what a recording would."""

    def __init__(self) -> None:
        self.packets: list[TrackPacket] = []

    def add_packets(self, kind: Kind, packets: Sequence[TrackPacket], now_s: float) -> None:
        assert (kind, now_s > 0) == ("video", True)
        self.packets += packets

    def apply_report(self, kind: Kind, ntp_timestamp: int, timestamp: int) -> None:
        raise AssertionError(kind, ntp_timestamp, timestamp)


def test_the_best_that_comes_stands_in_for_an_encoding_that_stops(
    stage: Stage, publisher: Simulcast
) -> None:
    listener = Listener()
    stage.room.add_listener(listener, stage.now_s)
    viewer = join(stage, publisher)
    for _ in range(40):
        publisher.send(only="qh")
    assert publisher.count_wishes("h") >= 1
    publisher.send("h", only="qh")
    publisher.send(only="qh")
    publisher.send("f")
    publisher.send()
    found = stage.list_video(viewer)
    assert list_layers(found) == ["f", "h", "f"]
    assert get_steps(found) == {1}
    assert all(time > 0 for time in list_times(found))
    indexes = [packet.index for packet in listener.packets]
    assert {b - a for a, b in itertools.pairwise(indexes)} == {1}
    numbers = list_numbers(found)
    assert {(b.picture - a.picture) & 0x7FFF for a, b in itertools.pairwise(numbers)} == {1}


def test_what_is_missing_of_the_best_encoding_is_waited_for_while_it_is_asked_for(
    stage: Stage, publisher: Simulcast
) -> None:
    publisher.send()
    main = stage.room.tracks["video"]
    index = main.next_index
    for rid in ("q", "f"):
        publisher.seqs[rid] += 1
    publisher.send()
    assert main.next_index == index + 2
    waits = [stage.room.layers.get_repair_wait_s(index + more) for more in (0, 1, 2)]
    assert waits == [NACK_AGE_MAX_S, NACK_AGE_MAX_S, 0.0]
    for _ in range(30):
        publisher.send()
    assert stage.room.layers.get_repair_wait_s(index) == 0.0


def test_one_encoding_that_stops_is_missed_sooner_than_all_of_them(
    stage: Stage, publisher: Simulcast
) -> None:
    stage.now_s += 0.7
    publisher.send(only="q")
    publisher.send(only="qh")
    stage.room.choose_layers(stage.now_s)
    assert all(fact.is_active for fact in stage.room.list_layers(stage.now_s))
    publisher.send()
    stopped_at_s = stage.now_s
    while publisher.count_wishes("h") == 0 and stage.now_s < stopped_at_s + 5:
        publisher.send(only="qh")
    assert 0.5 <= stage.now_s - stopped_at_s < 0.8
    facts = stage.room.list_layers(stage.now_s)
    assert [fact.rid for fact in facts if fact.is_active] == ["h", "q"]


def test_another_publisher_takes_viewers_of_any_encoding_over(
    stage: Stage, publisher: Simulcast
) -> None:
    viewer = join(stage, publisher)
    pin(stage, viewer, "q")
    publisher.send("q")
    stage.room.remove_publisher(publisher.session, stage.now_s)
    stage.now_s += 2.0
    plain, _ = stage.add_publisher()
    stage.video(plain, b"\x10\x00key\x02\x00", b"\x10\x01delta\x02\x00")
    found = stage.list_video(viewer)
    assert list_layers(found) == ["f", "q", "f"]
    assert get_steps(found) == {1}
    assert stage.room.find_playing(viewer) is None
    assert stage.room.list_layers(stage.now_s) == []


def test_a_viewer_that_loses_much_gets_less(stage: Stage, publisher: Simulcast) -> None:
    viewer = stage.add_viewer()
    for _ in range(90):
        publisher.send()
    assert stage.room.find_playing(viewer) == "f"
    loss = RtcpReceiverInfo(stage.room.tracks["video"].ssrc, 64, 10, 1, 0, 0, 0)
    report = RtcpRrPacket(ssrc=1, reports=[loss])
    stage.room.apply_rtcp(viewer, bytes(report), stage.now_s)
    stage.room.choose_layers(stage.now_s)
    assert publisher.count_wishes("h") == 0
    stage.room.apply_rtcp(viewer, bytes(report), stage.now_s)
    stage.room.choose_layers(stage.now_s)
    publisher.send("h")
    assert stage.room.find_playing(viewer) == "h"


def test_packets_of_no_known_encoding_are_dropped(stage: Stage, publisher: Simulcast) -> None:
    before = stage.room.get_stats().packets_dropped
    stage.video(publisher.session, b"\x10\x00key", ssrc=4711)
    assert stage.room.get_stats().packets_dropped == before + 1
