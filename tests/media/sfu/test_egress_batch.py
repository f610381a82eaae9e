"""Batches lose, repeat and reorder nothing, whatever the kernel takes, stops at or refuses."""

from __future__ import annotations

import errno
import random

import pytest

from kit.clock import ManualClock
from media.sfu.egress import EgressJob
from media.sfu.egress_batch import cut_runs
from media.sfu.packets_out import OutPacket
from media.sfu.sendmmsg import BUNDLE_BYTES_MAX, BUNDLE_SEGMENTS_MAX
from tests.media.sfu.egress_stage import (
    SSRC,
    BatchStage,
    FakeSocket,
    make_batch_stage,
    plain,
    targets,
)

pytestmark = pytest.mark.unit


@pytest.fixture
def sink() -> FakeSocket:
    return FakeSocket(ManualClock())


@pytest.fixture
def stage(sink: FakeSocket) -> BatchStage:
    return make_batch_stage(sink, sink.clock, is_bundling=True)


def sized(*sizes: int) -> list[OutPacket]:
    return [OutPacket(bytes(12), bytes([at]) * size, at, SSRC) for at, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "runs"),
    [
        ((5,), [(0, 1)]),
        ((5, 5, 5), [(0, 3)]),
        ((5, 5, 3), [(0, 3)]),
        ((5, 5, 3, 3), [(0, 3), (3, 4)]),
        ((3, 5, 5), [(0, 1), (1, 3)]),
        ((5, 4, 5, 4), [(0, 2), (2, 4)]),
    ],
)
def test_a_bundle_is_of_one_size_but_for_its_last(
    sizes: tuple[int, ...], runs: list[tuple[int, int]]
) -> None:
    assert list(cut_runs(sized(*sizes), is_bundling=True)) == runs
    alone = [(at, at + 1) for at in range(len(sizes))]
    assert list(cut_runs(sized(*sizes), is_bundling=False)) == alone


def test_a_bundle_keeps_within_what_the_kernel_takes() -> None:
    for size in (10, 1000, 1356):
        packets = sized(*[size] * 200)
        runs = list(cut_runs(packets, is_bundling=True))
        assert [at for first, end in runs for at in range(first, end)] == list(range(200))
        for first, end in runs:
            assert end - first <= BUNDLE_SEGMENTS_MAX
            assert (end - first) * (size + 28) <= BUNDLE_BYTES_MAX


def test_a_frame_for_many_viewers_is_one_message_each_and_one_call(
    stage: BatchStage, sink: FakeSocket
) -> None:
    viewers = targets(*(f"v{n}" for n in range(20)))
    stage.egress.send(EgressJob(viewers, sized(1000, 1000, 1000, 700)))
    assert len(sink.sent) == 80
    assert stage.kernel.calls == 1


def test_a_path_that_refuses_bundles_gets_datagrams_and_others_keep_theirs(
    stage: BatchStage, sink: FakeSocket
) -> None:
    stage.kernel.refused = {"b": errno.EMSGSIZE}
    viewers = targets("a", "b", "c")
    for _ in range(2):
        stage.egress.send(EgressJob(viewers, plain("1", "2")))
    assert sink.sent == [(v.name, p) for _ in range(2) for v in viewers for p in (b"1", b"2")]
    assert stage.egress.bundles_refused == 1
    assert [viewer.protected for viewer in viewers] == [4, 4, 4]


def test_a_device_that_refuses_bundles_is_asked_once(stage: BatchStage, sink: FakeSocket) -> None:
    stage.kernel.refused = {"": errno.EIO}
    viewers = targets("a", "b", "c")
    stage.egress.send(EgressJob(viewers, plain("1", "2")))
    refused_first = stage.egress.bundles_refused
    stage.egress.send(EgressJob(viewers, plain("3", "4")))
    assert [p for _, p in sink.sent] == [b"1", b"2"] * 3 + [b"3", b"4"] * 3
    assert stage.egress.bundles_refused == refused_first <= 3
    assert stage.egress.packets_dropped == 0


def test_an_unreachable_viewer_loses_its_bundle_and_nobody_elses(
    stage: BatchStage, sink: FakeSocket
) -> None:
    sink.broken = "b"
    stage.egress.send(EgressJob(targets("a", "b", "c"), plain("1", "2")))
    assert sink.sent == [("a", b"1"), ("a", b"2"), ("c", b"1"), ("c", b"2")]
    assert stage.egress.packets_dropped == 2


@pytest.mark.parametrize("is_bundling", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_every_viewer_gets_every_byte_once_in_order_through_stops_and_refusals(
    sink: FakeSocket, seed: int, is_bundling: bool
) -> None:
    chance = random.Random(seed)
    stage = make_batch_stage(sink, sink.clock, is_bundling=is_bundling)
    stage.kernel.call_messages_max = chance.choice([1, 3, 10**9])
    viewers = targets(*(f"v{n}" for n in range(chance.randrange(1, 40))))
    refusers = [v.name for v in viewers if chance.random() < 0.2]
    stage.kernel.refused = dict.fromkeys(refusers, errno.EINVAL)
    if chance.random() < 0.3:
        stage.kernel.refused[""] = errno.EIO
    wanted: dict[str, list[bytes]] = {viewer.name: [] for viewer in viewers}
    for _ in range(20):
        sink.room = chance.randrange(200)
        packets = sized(
            *(chance.choice([100, 1000, 1000, 1356]) for _ in range(chance.randrange(9)))
        )
        for viewer in viewers:
            wanted[viewer.name] += [packet.payload for packet in packets]
        stage.egress.send(EgressJob(viewers, packets))
    while stage.egress.queued_packets or sink.when_writable or sink.next_turn:
        sink.make_room(chance.randrange(9, 300))
        sink.turn()
    for viewer in viewers:
        assert [p for name, p in sink.sent if name == viewer.name] == wanted[viewer.name]
        tags = [d[-4:] for port, d in sink.arrived if port == viewer.address[1]]
        assert tags == [b"%04d" % (n + 1) for n in range(len(tags))]
    assert stage.egress.packets_dropped == 0
