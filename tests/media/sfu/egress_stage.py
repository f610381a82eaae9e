"""A socket, a kernel and viewers by hand, for what the egress does with them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kit.clock import ManualClock
from media.sfu.egress_batch import BatchEgress, split_bundle
from media.sfu.packets_out import OutPacket
from media.sfu.sendmmsg import Message, pack_name

Address = tuple[str, int]

TAG_BYTES = 4
SSRC = 7


def plain(*names: str) -> list[OutPacket]:
    """Return packets with these payloads."""
    return [OutPacket(bytes(12), name.encode(), at, SSRC) for at, name in enumerate(names)]


@dataclass
class FakeTarget:
    """A viewer whose sealing counts, so that a second one would show; its port tells its name."""

    name: str
    is_open: bool = True
    packets_out: int = 0
    protected: int = 0
    tag_bytes: int = TAG_BYTES

    @property
    def address(self) -> Address:
        return "192.0.2.1", get_port(self.name)

    def seal(self, packets: Sequence[OutPacket], into: memoryview, at: int, /) -> int:
        for packet in packets:
            self.protected += 1
            sealed = packet.plaintext + b"%04d" % self.protected
            into[at : at + len(sealed)] = sealed
            at += len(sealed)
        return at

    def describe_stream(self, _ssrc: int, _index: int, /) -> bytes:
        return b""


def targets(*names: str) -> tuple[FakeTarget, ...]:
    """Return viewers with these names: single letters, or v0, v1 and so on."""
    return tuple(FakeTarget(name) for name in names)


def get_port(name: str) -> int:
    return ord(name) if len(name) == 1 else 1000 + int(name[1:])


def get_name(port: int) -> str:
    return chr(port) if port < 1000 else f"v{port - 1000}"


@dataclass
class FakeSocket:
    """A socket with room for so many datagrams, a loop that turns by hand, a cost per send."""

    clock: ManualClock
    room: int = 10**9
    cost_s: float = 0.0
    broken: str = ""
    family: int = socket.AF_INET
    arrived: list[tuple[int, bytes]] = field(default_factory=list)
    next_turn: list[Callable[[], None]] = field(default_factory=list)
    when_writable: list[Callable[[], None]] = field(default_factory=list)

    @property
    def sent(self) -> list[tuple[str, bytes]]:
        """What arrived where, without header and tag."""
        return [(get_name(port), datagram[12:-TAG_BYTES]) for port, datagram in self.arrived]

    def fileno(self) -> int:
        return 99

    def sendto(self, datagram: bytes | memoryview, address: Address, /) -> int:
        self.check(address[1], 1)
        self.arrived.append((address[1], bytes(datagram)))
        return len(datagram)

    def check(self, port: int, datagrams: int) -> None:
        """Refuse as a kernel does, or take so many datagrams for a port."""
        if get_name(port) == self.broken:
            raise OSError(errno.ENETUNREACH, "unreachable")
        if self.room < datagrams:
            raise BlockingIOError(errno.EAGAIN, "full")
        self.room -= datagrams
        self.clock.advance(self.cost_s * datagrams)

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


class FakeKernel:
    """sendmmsg over a `FakeSocket`: sends in order, stops at the first it cannot send.

    `refused` maps names to the errno that a bundle for them gets; "" stands for everybody.
    """

    def __init__(self, slab: bytearray, sink: FakeSocket) -> None:
        self._slab = slab
        self._sink = sink
        self._messages: Sequence[Message] = ()
        self.refused: dict[str, int] = {}
        self.calls = 0
        self.call_messages_max = 10**9

    def write(self, messages: Sequence[Message]) -> None:
        self._messages = tuple(messages)

    def send(self, fd: int, first: int, end: int) -> int:
        assert fd == self._sink.fileno()
        self.calls += 1
        for at in range(first, min(end, first + self.call_messages_max)):
            try:
                self._send(self._messages[at])
            except OSError:
                if at == first:
                    raise
                return at - first
        return min(end - first, self.call_messages_max)

    def _send(self, message: Message) -> None:
        name, _offset, _size, segment = message
        port = int.from_bytes(name[2:4], "big")
        assert name == pack_name(("192.0.2.1", port), socket.AF_INET)
        refusal = self.refused.get(get_name(port)) or self.refused.get("")
        if segment and refusal:
            raise OSError(refusal, "refused")
        parts = split_bundle(message)
        self._sink.check(port, len(parts))
        for _name, offset, size, _segment in parts:
            datagram = bytes(self._slab[offset : offset + size])
            self._sink.arrived.append((port, datagram))


@dataclass
class BatchStage:
    """A batch egress with its kernel at hand."""

    egress: BatchEgress
    kernel: FakeKernel


def make_batch_stage(sink: FakeSocket, clock: ManualClock, *, is_bundling: bool) -> BatchStage:
    """Return a batch egress over a fake kernel."""
    kernels: list[FakeKernel] = []

    def make_kernel(slab: bytearray) -> FakeKernel:
        kernels.append(FakeKernel(slab, sink))
        return kernels[0]

    egress = BatchEgress(
        sink, sink, clock.monotonic_s, is_bundling=is_bundling, make_sender=make_kernel
    )
    return BatchStage(egress, kernels[0])


def make_batch(sink: FakeSocket, clock: ManualClock, *, is_bundling: bool) -> BatchEgress:
    """Return a batch egress alone."""
    return make_batch_stage(sink, clock, is_bundling=is_bundling).egress
