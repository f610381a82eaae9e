"""One `sendto` per packet and viewer: the backend that works everywhere."""

from __future__ import annotations

from collections.abc import Callable

import pylibsrtp

from media.sfu.egress import DatagramSender, EgressJob, EgressTarget, LoopTurns, QueuedEgress

PART_PACKETS = 32
DATAGRAM_BYTES_MAX = 2048

SEAL_ERRORS = (pylibsrtp.Error, ValueError, OverflowError)


class SendtoEgress(QueuedEgress):
    """Seals into one buffer and sends from it; what did not fit is kept as sealed."""

    name = "sendto"

    def __init__(self, sink: DatagramSender, turns: LoopTurns, now: Callable[[], float]) -> None:
        super().__init__(sink, turns, now)
        self._buffer = memoryview(bytearray(DATAGRAM_BYTES_MAX))
        self._pending: tuple[bytes, EgressTarget] | None = None

    def _flush(self) -> bool:
        if self._pending is not None:
            (datagram, target), self._pending = self._pending, None
            return self._send(memoryview(datagram), target)
        return True

    def _send_some(self, job: EgressJob) -> bool:
        sealed = 0
        while job.next_target < len(job.targets) and sealed < PART_PACKETS:
            target = job.targets[job.next_target]
            if not target.is_open:
                job.skip_target()
                continue
            packet = job.packets[job.next_packet]
            job.next_packet += 1
            if job.next_packet == len(job.packets):
                job.skip_target()
            sealed += 1
            try:
                size = target.seal((packet,), self._buffer, 0)
            except SEAL_ERRORS:
                self.packets_dropped += 1
                continue
            if not self._send(self._buffer[:size], target):
                return False
        return True

    def _send(self, datagram: memoryview, target: EgressTarget) -> bool:
        try:
            self._sink.sendto(datagram, target.address)
            target.packets_out += 1
        except BlockingIOError:
            self._pending = bytes(datagram), target
            return False
        except OSError:  # This viewer's route is broken; its consent will expire.
            self.packets_dropped += 1
        return True
