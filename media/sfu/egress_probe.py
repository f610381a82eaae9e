"""Chooses how datagrams leave by trying it out on loopback, once, when the plane starts."""

from __future__ import annotations

import socket
from collections.abc import Callable

from media.sfu import compiled_loop
from media.sfu.compiled_egress import CompiledEgress
from media.sfu.egress import DatagramSender, Egress, LoopTurns
from media.sfu.egress_batch import BatchEgress
from media.sfu.egress_sendto import SendtoEgress
from media.sfu.sendmmsg import Message, MessageBatch, is_available, pack_name

BACKENDS = ("compiled", "gso", "sendmmsg", "sendto")
PROBE_TIMEOUT_S = 0.5


def choose_egress(
    sink: DatagramSender, turns: LoopTurns, now: Callable[[], float], backend: str = "auto"
) -> Egress:
    """Return the best backend that works here, or the one that was asked for."""
    assert backend in ("auto", *BACKENDS), "options name a backend we have"
    if backend == "auto":
        backend = next((name for name in BACKENDS if is_working(name)), "sendto")
    if backend == "sendto":
        return SendtoEgress(sink, turns, now)
    loop = compiled_loop.load() if backend == "compiled" else None
    if loop is not None:
        return CompiledEgress(sink, turns, now, loop)
    return BatchEgress(sink, turns, now, is_bundling=backend != "sendmmsg")


def is_working(backend: str) -> bool:
    """Tell whether what a backend sends arrives, cut as it should be."""
    if backend == "sendto":
        return True
    if not is_available() or (backend == "compiled" and compiled_loop.load() is None):
        return False
    slab = bytearray(b"a" * 100 + b"b" * 100 + b"c" * 50)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PROBE_TIMEOUT_S)
        name = pack_name(receiver.getsockname(), socket.AF_INET)
        messages: list[Message] = [(name, 0, 250, 100)]
        if backend == "sendmmsg":
            messages = [(name, at, min(100, 250 - at), 0) for at in (0, 100, 200)]
        batch = MessageBatch(slab)
        batch.write(messages)
        try:
            batch.send(sender.fileno(), 0, len(messages))
            return [receiver.recv(512) for _ in range(3)] == [b"a" * 100, b"b" * 100, b"c" * 50]
        except OSError:  # TimeoutError too: nothing came, or it came in one piece.
            return False
