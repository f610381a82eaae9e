"""Sending is fair, resumes where a full socket stopped it, and gives up video when too late."""

from __future__ import annotations

import pytest

from kit.clock import ManualClock
from media.sfu.egress import (
    QUEUE_AGE_MAX_S,
    QUEUE_PACKETS_MAX,
    EgressJob,
    EgressTarget,
    QueuedEgress,
)
from media.sfu.egress_sendto import SendtoEgress
from tests.media.sfu.egress_stage import FakeSocket, make_batch, plain, targets

pytestmark = pytest.mark.unit

PART_PACKETS_MAX = 138  # a part ends with the viewer whose packets exceed 128


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sink(clock: ManualClock) -> FakeSocket:
    return FakeSocket(clock)


@pytest.fixture(params=["sendto", "sendmmsg"])
def egress(request: pytest.FixtureRequest, sink: FakeSocket, clock: ManualClock) -> QueuedEgress:
    if request.param == "sendto":
        return SendtoEgress(sink, sink, clock.monotonic_s)
    return make_batch(sink, clock, is_bundling=False)


def test_each_viewer_gets_each_packet_in_order(egress: QueuedEgress, sink: FakeSocket) -> None:
    viewers = targets("a", "b")
    egress.send(EgressJob(viewers, plain("1", "2")))
    assert sink.sent == [("a", b"1"), ("a", b"2"), ("b", b"1"), ("b", b"2")]
    assert [viewer.packets_out for viewer in viewers] == [2, 2]
    assert egress.queued_packets == 0


def test_a_closed_viewer_is_skipped(egress: QueuedEgress, sink: FakeSocket) -> None:
    first, second = targets("a", "b")
    first.is_open = False
    egress.send(EgressJob((first, second), plain("1")))
    assert sink.sent == [("b", b"1")]
    assert egress.queued_packets == 0


def test_a_full_socket_loses_and_repeats_nothing(egress: QueuedEgress, sink: FakeSocket) -> None:
    viewers = targets("a", "b", "c")
    sink.room = 4
    egress.send(EgressJob(viewers, plain("1", "2", "3")))
    egress.send(EgressJob(viewers, plain("4")))
    assert len(sink.sent) == 4
    for _ in range(8):
        sink.make_room(1)
    wanted = [(viewer.name, packet) for viewer in viewers for packet in (b"1", b"2", b"3")]
    assert sink.sent == wanted + [(viewer.name, b"4") for viewer in viewers]
    assert [viewer.protected for viewer in viewers] == [4, 4, 4]
    assert (egress.queued_packets, egress.packets_dropped) == (0, 0)
    assert egress.stalls > 0


def test_a_turn_is_short_and_the_oldest_job_goes_first(
    egress: QueuedEgress, sink: FakeSocket
) -> None:
    sink.cost_s = 0.0003
    viewers = targets(*(f"v{number}" for number in range(400)))
    egress.send(EgressJob(viewers, plain("1")))
    assert 0 < len(sink.sent) < 400
    egress.send(EgressJob(viewers, plain("2")))
    assert len(sink.when_writable) == 0
    while sink.next_turn:
        before = len(sink.sent)
        sink.turn()
        assert len(sink.sent) - before <= PART_PACKETS_MAX
    assert [packet for _, packet in sink.sent] == [b"1"] * 400 + [b"2"] * 400


def test_only_one_wake_up_waits_at_a_time(egress: QueuedEgress, sink: FakeSocket) -> None:
    sink.room = 0
    for _ in range(5):
        egress.send(EgressJob(targets("a"), plain("1")))
    assert len(sink.when_writable) == 1
    assert len(sink.next_turn) == 0


def test_an_unreachable_viewer_costs_the_others_nothing(
    egress: QueuedEgress, sink: FakeSocket
) -> None:
    sink.broken = "a"
    egress.send(EgressJob(targets("a", "b"), plain("1", "2")))
    assert sink.sent == [("b", b"1"), ("b", b"2")]
    assert egress.packets_dropped == 2
    assert egress.queued_packets == 0


def test_video_that_waited_too_long_is_dropped_and_sound_that_is_fresh_is_kept(
    egress: QueuedEgress, sink: FakeSocket, clock: ManualClock
) -> None:
    """What was sealed still goes out; whoever got no part of it is named."""
    viewers = targets(*(f"v{number}" for number in range(300)))
    dropped: list[EgressTarget] = []
    sink.room = 1
    egress.send(EgressJob(viewers, plain("v1"), is_video=True, on_dropped=dropped.extend))
    clock.advance(QUEUE_AGE_MAX_S + 0.1)
    egress.send(EgressJob(viewers, plain("s1")))
    assert len(dropped) >= 300 - PART_PACKETS_MAX
    sink.make_room(10**9)
    while sink.next_turn:
        sink.turn()
    seen = [name for name, packet in sink.sent if packet == b"v1"]
    assert seen == [viewer.name for viewer in viewers if viewer not in dropped]
    heard = [name for name, packet in sink.sent if packet == b"s1"]
    assert heard == [viewer.name for viewer in viewers]
    assert egress.packets_dropped == len(dropped)
    assert egress.queued_packets == 0


def test_all_queued_video_goes_at_once_so_that_no_half_pictures_follow(
    egress: QueuedEgress, sink: FakeSocket
) -> None:
    sink.room = 0
    dropped: list[EgressTarget] = []
    viewers = targets(*(f"v{number}" for number in range(100)))
    for _ in range(QUEUE_PACKETS_MAX // 1000 + 1):
        egress.send(EgressJob(viewers, plain(*"0123456789"), True, dropped.extend))
    assert len(dropped) >= 100 * (QUEUE_PACKETS_MAX // 1000)
    assert egress.queued_packets <= QUEUE_PACKETS_MAX
    sink.make_room(10**9)
    while sink.next_turn:
        sink.turn()
    assert len(sink.sent) <= PART_PACKETS_MAX


def test_the_queue_never_holds_more_than_its_bound(egress: QueuedEgress, sink: FakeSocket) -> None:
    sink.room = 0
    viewers = targets(*(f"v{number}" for number in range(50)))
    for _ in range(2000):
        egress.send(EgressJob(viewers, plain(*"0123456789"), True))
        assert egress.queued_packets <= QUEUE_PACKETS_MAX


def test_jobs_without_viewers_or_packets_are_nothing(
    egress: QueuedEgress, sink: FakeSocket
) -> None:
    egress.send(EgressJob((), plain("1")))
    egress.send(EgressJob(targets("a"), []))
    assert sink.sent == []
    assert egress.queued_packets == 0
