"""What the compiled loop leaves undone is done by the batch, in the same order and bytes."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from kit.clock import ManualClock
from media.sfu import compiled_egress, compiled_loop
from media.sfu.compiled_egress import CompiledEgress
from media.sfu.compiled_loop import Audience, CompiledLoop, Sent
from media.sfu.egress import EgressJob
from media.sfu.egress_probe import choose_egress
from media.sfu.packets_out import OutPacket
from media.sfu.srtp import PROFILES, SrtpKeys, SrtpPair
from tests.media.sfu.test_egress_backends import Viewer, Wire, make_keys

pytestmark = pytest.mark.media

SIZES = (900, 900, 900, 500)
HERE = "127.0.0.1"


@pytest.fixture
def loop() -> CompiledLoop:
    """Lend the loop; setup compiles it, so where it is missing setup is broken."""
    found = compiled_loop.load()
    assert found is not None, f"{compiled_loop.find_library()} is missing or does not load"
    return found


class Turns(Wire):
    """A real socket whose loop turns when told."""

    def __init__(self) -> None:
        super().__init__(socket.AF_INET, HERE)
        self.waiting: list[Callable[[], None]] = []

    def run_when_writable(self, callback: Callable[[], None]) -> None:
        self.waiting.append(callback)


@pytest.fixture
def wire() -> Iterator[Turns]:
    wire = Turns()
    yield wire
    wire.socket.close()


@pytest.fixture
def receivers() -> Iterator[list[socket.socket]]:
    opened = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for receiver in opened:
        receiver.bind((HERE, 0))
        receiver.settimeout(60.0)
    yield opened
    for receiver in opened:
        receiver.close()


@dataclass
class Refusing:
    """The loop on a socket that takes so many messages of the first call, then says `code`."""

    loop: CompiledLoop
    code: int
    taken: int = 0
    calls: list[Audience] = field(default_factory=list)

    def send(
        self, fd: int, audience: Audience, packets: Sequence[OutPacket], slab_at: int
    ) -> Sent | None:
        self.calls.append(audience)
        if len(self.calls) > 1:
            return self.loop.send(fd, audience, packets, slab_at)
        done = self.loop.send(-1, audience, packets, slab_at)  # sealed, and refused by the kernel
        assert done is not None
        assert (done.code, done.sent) == (errno.EBADF, 0)
        return replace(done, code=self.code)


def make_packets(first: int) -> list[OutPacket]:
    return [
        OutPacket(b"\x80\x60" + bytes(6) + (7).to_bytes(4, "big"), os.urandom(size), first + n, 7)
        for n, size in enumerate(SIZES)
    ]


def seal_by_python(keys: SrtpKeys, jobs: Sequence[Sequence[OutPacket]]) -> list[bytes]:
    pair, found = SrtpPair(keys), []
    for packets in jobs:
        for packet in packets:
            buffer = bytearray(packet.size_bytes + pair.tag_bytes)
            pair.seal((packet,), memoryview(buffer), 0)
            found.append(bytes(buffer))
    return found


def open_viewers(receivers: Sequence[socket.socket]) -> tuple[list[SrtpKeys], list[Viewer]]:
    keys = [make_keys(PROFILES[0]) for _ in receivers]
    return keys, [Viewer(SrtpPair(k), r) for k, r in zip(keys, receivers, strict=True)]


def send_two(egress: CompiledEgress, viewers: Sequence[Viewer]) -> list[list[OutPacket]]:
    """Send two jobs, one behind the other; return their packets."""
    jobs = [make_packets(0x5000), make_packets(0x5004)]
    for packets in jobs:
        egress.send(EgressJob(viewers, packets))
    return jobs


def check_all(
    keys: Sequence[SrtpKeys], viewers: Sequence[Viewer], jobs: Sequence[Sequence[OutPacket]]
) -> None:
    count = sum(map(len, jobs))
    for key, viewer in zip(keys, viewers, strict=True):
        assert viewer.take(count) == seal_by_python(key, jobs)
        assert viewer.packets_out == count


def test_a_full_socket_gets_the_rest_when_it_takes_more(
    loop: CompiledLoop, wire: Turns, receivers: list[socket.socket]
):
    keys, viewers = open_viewers(receivers)
    full = Refusing(loop, errno.EAGAIN)
    egress = CompiledEgress(wire, wire, ManualClock().monotonic_s, full)
    jobs = send_two(egress, viewers)
    (go_on,) = wire.waiting
    assert egress.stalls == 1
    go_on()
    check_all(keys, viewers, jobs)
    assert (egress.packets_dropped, egress.queued_packets) == (0, 0)


def test_who_refuses_bundles_gets_datagrams_and_the_others_bundles(
    loop: CompiledLoop, wire: Turns, receivers: list[socket.socket]
):
    keys, viewers = open_viewers(receivers)
    refusing = Refusing(loop, errno.EINVAL)
    egress = CompiledEgress(wire, wire, ManualClock().monotonic_s, refusing)
    jobs = send_two(egress, viewers)
    check_all(keys, viewers, jobs)
    assert egress.bundles_refused == 1
    assert [call.alone for call in refusing.calls] == [bytes(3), b"\1\0\0"]


def test_without_bundles_all_leave_alone(
    loop: CompiledLoop, wire: Turns, receivers: list[socket.socket]
):
    keys, viewers = open_viewers(receivers)
    refusing = Refusing(loop, errno.EIO)
    egress = CompiledEgress(wire, wire, ManualClock().monotonic_s, refusing)
    jobs = send_two(egress, viewers)
    check_all(keys, viewers, jobs)
    assert [call.segments_max for call in refusing.calls] == [64, 1]


def test_a_viewer_of_another_cipher_is_served_beside_the_others(
    loop: CompiledLoop, wire: Turns, receivers: list[socket.socket]
):
    keys = [make_keys(PROFILES[n]) for n in (0, 1, 0)]
    viewers = [Viewer(SrtpPair(k), r) for k, r in zip(keys, receivers, strict=True)]
    egress = CompiledEgress(wire, wire, ManualClock().monotonic_s, loop)
    jobs = send_two(egress, viewers)
    check_all(keys, viewers, jobs)


def test_a_packet_from_before_a_viewers_first_is_dropped_for_that_viewer(
    loop: CompiledLoop, wire: Turns, receivers: list[socket.socket]
):
    keys, viewers = open_viewers(receivers)
    egress = CompiledEgress(wire, wire, ManualClock().monotonic_s, loop)
    early = viewers[:1]
    jobs = [make_packets(0x1FFF0), make_packets(0x25000)]
    egress.send(EgressJob(early, jobs[0]))
    egress.send(EgressJob(viewers[1:], jobs[1]))
    egress.send(EgressJob(viewers, jobs[0][:2]))  # the later two begin in the next rollover
    assert egress.packets_dropped == 4
    assert early[0].take(6) == seal_by_python(keys[0], [jobs[0], jobs[0][:2]])
    for key, viewer in zip(keys[1:], viewers[1:], strict=True):
        assert viewer.take(4) == seal_by_python(key, [jobs[1]])
        assert viewer.packets_out == 4


def test_who_left_gets_nothing_and_more_viewers_than_one_call_takes_get_all(
    loop: CompiledLoop,
    wire: Turns,
    receivers: list[socket.socket],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(compiled_egress, "SLAB_BYTES", 4 * 2 * (sum(SIZES) // 4 + 28))
    keys, viewers = open_viewers(receivers)
    viewers[1].is_open = False
    egress = CompiledEgress(wire, wire, ManualClock().monotonic_s, loop)
    packets = make_packets(0x5000)
    crowd = [viewers[0], viewers[1], viewers[2]] * 2
    egress.send(EgressJob(crowd, packets))
    for at in (0, 2):
        assert viewers[at].take(8) == seal_by_python(keys[at], [packets, packets])
    assert viewers[1].packets_out == 0


def test_where_it_is_not_compiled_media_leaves_by_python(tmp_path: Path):
    code = (
        "from pathlib import Path; from media.sfu import compiled_loop;"
        f"compiled_loop.find_library = lambda: Path({str(tmp_path)!r}) / 'none.so';"
        "from media.sfu.egress_probe import BACKENDS, is_working;"
        "print([name for name in BACKENDS if is_working(name)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "compiled" not in done.stdout
    assert "sendto" in done.stdout


def test_the_best_backend_here_is_the_compiled_one(loop: CompiledLoop, wire: Turns):
    assert choose_egress(wire, wire, ManualClock().monotonic_s).name == "compiled"


def test_a_key_that_nobody_holds_is_freed(loop: CompiledLoop, monkeypatch: pytest.MonkeyPatch):
    closed: list[int] = []
    monkeypatch.setattr(loop, "close_key", closed.append)
    pair = SrtpPair(make_keys(PROFILES[0]))
    assert len(pair.describe_stream(7, secrets.randbelow(1 << 20))) == 32
    assert closed == []
    del pair
    assert len(closed) == 1
