"""When a publisher's packets arrived, told back so that its congestion control can work.

Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): the publisher numbers
all its packets in one sequence in a header extension, we report when each came. Owned by the
publisher's session; pure state, time comes in.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from media.sfu.rtp import signed_distance

FEEDBACK_EVERY_S = 0.05
STATUSES_MAX = 512
JUMP_MAX = 2000

TICKS_PER_S = 4000  # 250 µs
REFERENCE_TICKS = 256  # 64 ms
NOT_RECEIVED, SMALL_DELTA, LARGE_DELTA = 0, 1, 2
RUN_MAX = 0x1FFF
VECTOR_STATUSES = 7


class Arrivals:
    """Arrival times that were not reported yet; bounded, what is late is left unreported."""

    def __init__(self) -> None:
        self._ticks: dict[int, int] = {}
        self._newest: int | None = None
        self._next = 0
        self._reported_at_s = float("-inf")
        self._feedbacks = 0

    def note(self, seq: int, now_s: float) -> None:
        """Note that the packet with this transport-wide number came now."""
        if self._newest is None:
            self._newest = self._next = seq
        index = self._newest + signed_distance(seq, self._newest & 0xFFFF)
        if abs(index - self._newest) > JUMP_MAX:
            self._ticks.clear()
            index = self._next = self._newest = seq
        if index < self._next:
            return
        self._newest = max(self._newest, index)
        self._ticks.setdefault(index, int(now_s * TICKS_PER_S))

    def take_feedback(self, now_s: float) -> list[bytes]:
        """Return the FCI of each feedback message that is due."""
        if not self._ticks or now_s - self._reported_at_s < FEEDBACK_EVERY_S:
            return []
        self._reported_at_s = now_s
        assert self._newest is not None, "what came has a number"
        messages = []
        while self._next <= self._newest:
            base, self._next = self._next, min(self._next + STATUSES_MAX, self._newest + 1)
            ticks = [self._ticks.pop(index, None) for index in range(base, self._next)]
            if any(tick is not None for tick in ticks):
                messages.append(build_arrival_fci(base & 0xFFFF, self._feedbacks, ticks))
                self._feedbacks = (self._feedbacks + 1) & 0xFF
        return messages


def build_arrival_fci(base_seq: int, number: int, ticks: Sequence[int | None]) -> bytes:
    """Write one message's FCI (§3.1); `ticks` are arrivals in 250 µs, in order, or None."""
    reference = next(tick for tick in ticks if tick is not None) // REFERENCE_TICKS
    before = reference * REFERENCE_TICKS
    statuses = []
    deltas = bytearray()
    for tick in ticks:
        if tick is None:
            statuses.append(NOT_RECEIVED)
            continue
        delta, before = tick - before, tick
        if 0 <= delta <= 0xFF:
            statuses.append(SMALL_DELTA)
            deltas.append(delta)
        else:
            statuses.append(LARGE_DELTA)
            deltas += struct.pack("!h", max(-0x8000, min(delta, 0x7FFF)))
    head = struct.pack("!HH", base_seq, len(statuses))
    head += (reference & 0xFFFFFF).to_bytes(3, "big") + bytes([number])
    body = b"".join(struct.pack("!H", chunk) for chunk in _pack_chunks(statuses)) + deltas
    return head + body + bytes(-len(head + body) % 4)


def _pack_chunks(statuses: Sequence[int]) -> Iterator[int]:
    """Yield 16-bit chunks (§3.1.3, §3.1.4): a run of one status, or seven statuses of two bits."""
    at = 0
    while at < len(statuses):
        run = 1
        while at + run < len(statuses) and run < RUN_MAX and statuses[at + run] == statuses[at]:
            run += 1
        if run >= VECTOR_STATUSES or at + run == len(statuses):
            yield statuses[at] << 13 | run
            at += run
            continue
        vector = list(statuses[at : at + VECTOR_STATUSES])
        vector += [NOT_RECEIVED] * (VECTOR_STATUSES - len(vector))
        chunk = 0b11
        for status in vector:
            chunk = chunk << 2 | status
        yield chunk
        at += VECTOR_STATUSES
