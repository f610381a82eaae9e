"""What leaves: jobs in order, fairly, and without ever holding up the event loop.

`room` hands in jobs; a job is the same packets for many viewers. Jobs leave oldest first, at most
`TURN_S` per loop turn. A full socket buffer stops the queue until it is writable; a queue that
grows too long or too old loses its video, and those viewers resume at the next keyframe. How bytes
reach the socket is the backend's: `egress_sendto`, `egress_batch`, `compiled_egress`, chosen by
`egress_probe`.
"""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from media.sfu.packets_out import OutPacket
from media.sfu.stun import Address

TURN_S = 0.002
QUEUE_PACKETS_MAX = 100_000
QUEUE_AGE_MAX_S = 1.0


class EgressTarget(Protocol):
    """A viewer as the egress sees it; `packets_out` counts what was sent to it."""

    address: Address
    is_open: bool
    packets_out: int
    tag_bytes: int

    def seal(self, packets: Sequence[OutPacket], into: memoryview, at: int, /) -> int:
        """Write SRTP packets after one another from `at` on and return where they end.

        All are of one stream; each is `tag_bytes` longer than the plain one. The same packet gives
        the same bytes. Raises ValueError or OverflowError when this viewer has no key yet, or a
        packet lies before its first.
        """
        ...

    def describe_stream(self, ssrc: int, index: int, /) -> bytes:
        """Return what `compiled_loop` seals a stream with whose first packet is or was `index`.

        Empty where it cannot.
        """
        ...


class DatagramSender(Protocol):
    """A non-blocking UDP socket; `sendto` raises BlockingIOError when its buffer is full."""

    @property
    def family(self) -> int:
        """AF_INET or AF_INET6."""
        ...

    def sendto(self, datagram: bytes | memoryview, address: Address, /) -> int:
        """Send one datagram."""
        ...

    def fileno(self) -> int:
        """Return the socket's descriptor; -1 once closed."""
        ...


class LoopTurns(Protocol):
    """How the egress gets to run again; the mux provides it from its event loop."""

    def run_next_turn(self, callback: Callable[[], None]) -> None:
        """Call back once in the loop's next turn."""
        ...

    def run_when_writable(self, callback: Callable[[], None]) -> None:
        """Call back once, when the socket takes datagrams again."""
        ...


def ignore_drop(_targets: Sequence[EgressTarget]) -> None:
    """Do nothing about packets dropped; right for sound and for repeats."""


@dataclass(slots=True)
class EgressJob:
    """The same packets for each target; `on_dropped` hears of targets that got nothing more.

    All packets are of one stream. Only jobs marked `is_video` are dropped when the queue is too
    long: half a picture is of no use, while sound is small and heals at once.
    """

    targets: Sequence[EgressTarget]
    packets: Sequence[OutPacket]
    is_video: bool = False
    on_dropped: Callable[[Sequence[EgressTarget]], None] = ignore_drop
    created_s: float = 0.0
    next_target: int = 0
    next_packet: int = 0

    @property
    def packets_left(self) -> int:
        """Datagrams this job still has to send."""
        return (len(self.targets) - self.next_target) * len(self.packets) - self.next_packet

    def skip_target(self) -> None:
        """Go on with the next target."""
        self.next_target += 1
        self.next_packet = 0


class Egress(Protocol):
    """A backend: takes jobs, sends them in order, drops video when it cannot keep up."""

    name: str
    stalls: int
    packets_dropped: int
    queued_packets: int

    def send(self, job: EgressJob) -> None:
        """Queue a job and send what this loop turn allows."""
        ...


class QueuedEgress(abc.ABC):
    """The queue and its turns, common to all backends; `sink` takes the datagrams."""

    name = ""

    def __init__(self, sink: DatagramSender, turns: LoopTurns, now: Callable[[], float]) -> None:
        self._sink = sink
        self._turns = turns
        self._now = now
        self._queue: deque[EgressJob] = deque()
        self._is_scheduled = False
        self.stalls = 0
        self.packets_dropped = 0
        self.queued_packets = 0

    def send(self, job: EgressJob) -> None:
        """Queue a job and send what this loop turn allows."""
        if not job.targets or not job.packets:
            return
        job.created_s = self._now()
        self._queue.append(job)
        self.queued_packets += job.packets_left
        if self._is_scheduled:
            self._drop_when_behind(job.created_s)
        else:
            self._drain()

    @abc.abstractmethod
    def _flush(self) -> bool:
        """Send what is sealed and did not fit before; False when the socket is full."""

    @abc.abstractmethod
    def _send_some(self, job: EgressJob) -> bool:
        """Seal and send a bounded part of a job; False when the socket is full.

        What is sealed counts as done with the job: nothing is ever sealed twice for one sending.
        """

    def _drain(self) -> None:
        """Send for at most `TURN_S`, then yield to the loop or wait for the socket."""
        self._is_scheduled = False
        started_s = self._now()
        self._drop_when_behind(started_s)
        is_writable = self._flush()
        while self._queue and is_writable:
            job = self._queue[0]
            before = job.packets_left
            is_writable = self._send_some(job)
            self.queued_packets -= before - job.packets_left
            if job.next_target >= len(job.targets):
                self._queue.popleft()
            if self._queue and is_writable and self._now() - started_s >= TURN_S:
                self._is_scheduled = True
                self._turns.run_next_turn(self._drain)
                return
        if not is_writable:
            self.stalls += 1
            self._is_scheduled = True
            self._turns.run_when_writable(self._drain)

    def _drop_when_behind(self, now_s: float) -> None:
        """Give up queued video once it is too much or too old; its viewers await a keyframe.

        Sound and repeats stay while they are fresh, as long as they alone fit the bound.
        """
        if not self._queue:
            return
        is_old = now_s - self._queue[0].created_s > QUEUE_AGE_MAX_S
        if not is_old and self.queued_packets <= QUEUE_PACKETS_MAX:
            return
        jobs, self._queue = self._queue, deque()
        before, self.queued_packets = self.queued_packets, 0
        for job in reversed(jobs):
            is_fresh = now_s - job.created_s <= QUEUE_AGE_MAX_S
            fits = self.queued_packets + job.packets_left <= QUEUE_PACKETS_MAX
            if is_fresh and fits and not job.is_video:
                self._queue.appendleft(job)
                self.queued_packets += job.packets_left
        self.packets_dropped += before - self.queued_packets
        for job in jobs:
            if job.is_video:
                job.on_dropped(job.targets[job.next_target :])
