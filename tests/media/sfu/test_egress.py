"""Sending is fair, resumes where a full socket stopped it, and gives up video when too late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from kit.clock import ManualClock
from media.sfu.egress import (
    QUEUE_AGE_MAX_S,
    QUEUE_PACKETS_MAX,
    EgressJob,
    EgressTarget,
    SendtoEgress,
)

pytestmark = pytest.mark.unit

Address = tuple[str, int]


@dataclass
class FakeTarget:
    """A viewer whose protection counts, so that a second one would show."""

    name: str
    is_open: bool = True
    packets_out: int = 0
    protected: int = 0
    address: Address = ("192.0.2.1", 1)

    def __post_init__(self) -> None:
        self.address = (self.name, 1)

    def protect(self, plaintext: bytes, /) -> bytes:
        self.protected += 1
        return b"%d:" % self.protected + plaintext


@dataclass
class FakeSocket:
    """A socket with room for so many datagrams, a loop that turns by hand, a cost per send."""

    clock: ManualClock
    room: int = 10**9
    cost_s: float = 0.0
    broken: str = ""
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    next_turn: list[Callable[[], None]] = field(default_factory=list)
    when_writable: list[Callable[[], None]] = field(default_factory=list)

    def sendto(self, datagram: bytes, address: Address, /) -> int:
        if address[0] == self.broken:
            raise OSError(101, "Network is unreachable")
        if self.room == 0:
            raise BlockingIOError
        self.room -= 1
        self.clock.advance(self.cost_s)
        self.sent.append((address[0], datagram.partition(b":")[2]))
        return len(datagram)

    def run_next_turn(self, callback: Callable[[], None]) -> None:
        self.next_turn.append(callback)

    def run_when_writable(self, callback: Callable[[], None]) -> None:
        self.when_writable.append(callback)

    def turn(self) -> None:
        callbacks, self.next_turn = self.next_turn, []
        for callback in callbacks:
            callback()

    def make_room(self, room: int) -> None:
        self.room = room
        callbacks, self.when_writable = self.when_writable, []
        for callback in callbacks:
            callback()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sink(clock: ManualClock) -> FakeSocket:
    return FakeSocket(clock)


@pytest.fixture
def egress(sink: FakeSocket, clock: ManualClock) -> SendtoEgress:
    return SendtoEgress(sink, sink, clock.monotonic_s)


def targets(*names: str) -> tuple[FakeTarget, ...]:
    return tuple(FakeTarget(name) for name in names)


def plain(*names: str) -> list[bytes]:
    return [name.encode() for name in names]


def test_each_viewer_gets_each_packet_in_order(egress: SendtoEgress, sink: FakeSocket) -> None:
    viewers = targets("a", "b")
    egress.send(EgressJob(viewers, plain("1", "2")))
    assert sink.sent == [("a", b"1"), ("a", b"2"), ("b", b"1"), ("b", b"2")]
    assert [viewer.packets_out for viewer in viewers] == [2, 2]
    assert egress.queued_packets == 0


def test_a_closed_viewer_is_skipped(egress: SendtoEgress, sink: FakeSocket) -> None:
    first, second = targets("a", "b")
    first.is_open = False
    egress.send(EgressJob((first, second), plain("1")))
    assert sink.sent == [("b", b"1")]
    assert egress.queued_packets == 0


def test_a_full_socket_loses_and_repeats_nothing(egress: SendtoEgress, sink: FakeSocket) -> None:
    viewers = targets("a", "b", "c")
    sink.room = 4
    egress.send(EgressJob(viewers, plain("1", "2", "3")))
    egress.send(EgressJob(viewers, plain("4")))
    assert len(sink.sent) == 4
    assert egress.queued_packets == 8
    for _ in range(8):
        sink.make_room(1)
    wanted = [(viewer.name, packet) for viewer in viewers for packet in plain("1", "2", "3")]
    assert sink.sent == wanted + [(viewer.name, b"4") for viewer in viewers]
    assert [viewer.protected for viewer in viewers] == [4, 4, 4]
    assert (egress.queued_packets, egress.packets_dropped) == (0, 0)
    assert egress.stalls > 0


def test_a_turn_is_short_and_the_oldest_job_goes_first(
    egress: SendtoEgress, sink: FakeSocket
) -> None:
    sink.cost_s = 0.0003
    viewers = targets(*(f"v{number}" for number in range(100)))
    egress.send(EgressJob(viewers, plain("1")))
    assert 0 < len(sink.sent) < 100
    egress.send(EgressJob(viewers, plain("2")))
    assert len(sink.when_writable) == 0
    while sink.next_turn:
        before = len(sink.sent)
        sink.turn()
        assert len(sink.sent) - before <= 2 * 32
    assert [packet for _, packet in sink.sent] == plain("1") * 100 + plain("2") * 100


def test_only_one_wake_up_waits_at_a_time(egress: SendtoEgress, sink: FakeSocket) -> None:
    sink.room = 0
    for _ in range(5):
        egress.send(EgressJob(targets("a"), plain("1")))
    assert len(sink.when_writable) == 1
    assert len(sink.next_turn) == 0


def test_an_unreachable_viewer_costs_the_others_nothing(
    egress: SendtoEgress, sink: FakeSocket
) -> None:
    sink.broken = "a"
    egress.send(EgressJob(targets("a", "b"), plain("1", "2")))
    assert sink.sent == [("b", b"1"), ("b", b"2")]
    assert egress.packets_dropped == 2
    assert egress.queued_packets == 0


def test_video_that_waited_too_long_is_dropped_and_sound_that_is_fresh_is_kept(
    egress: SendtoEgress, sink: FakeSocket, clock: ManualClock
) -> None:
    viewers = targets("a", "b", "c")
    dropped: list[str] = []

    def note(left: object) -> None:
        assert isinstance(left, tuple)
        dropped.extend(viewer.name for viewer in left)

    sink.room = 1
    egress.send(EgressJob(viewers, plain("v1"), is_video=True, on_dropped=note))
    clock.advance(QUEUE_AGE_MAX_S + 0.1)
    egress.send(EgressJob(viewers, plain("s1")))
    assert dropped == ["b", "c"]
    sink.make_room(100)
    assert sink.sent == [("a", b"v1"), ("a", b"s1"), ("b", b"s1"), ("c", b"s1")]
    assert egress.packets_dropped == 2
    assert egress.queued_packets == 0


def test_all_queued_video_goes_at_once_so_that_no_half_pictures_follow(
    egress: SendtoEgress, sink: FakeSocket
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
    assert sink.sent == []


def test_the_queue_never_holds_more_than_its_bound(egress: SendtoEgress, sink: FakeSocket) -> None:
    sink.room = 0
    viewers = targets(*(f"v{number}" for number in range(50)))
    for _ in range(2000):
        egress.send(EgressJob(viewers, plain(*"0123456789"), True))
        assert egress.queued_packets <= QUEUE_PACKETS_MAX


def test_jobs_without_viewers_or_packets_are_nothing(
    egress: SendtoEgress, sink: FakeSocket
) -> None:
    egress.send(EgressJob((), plain("1")))
    egress.send(EgressJob(targets("a"), []))
    assert sink.sent == []
    assert egress.queued_packets == 0
