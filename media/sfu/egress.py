"""Sends protected packets to viewers, fairly and without ever holding up the event loop.

`fanout` and `room` hand in jobs; a job is the same plaintexts for many viewers. Jobs leave
oldest first, at most `TURN_S` per loop turn. A full socket buffer stops the queue until it is
writable; a queue that grows too long or too old loses its video, and those viewers resume at the
next keyframe. Other backends (sendmmsg, GSO) implement the same `Egress`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pylibsrtp

from media.sfu.stun import Address

TURN_S = 0.002
QUEUE_PACKETS_MAX = 100_000
QUEUE_AGE_MAX_S = 1.0
CLOCK_EVERY_PACKETS = 32


class EgressTarget(Protocol):
    """A viewer as the egress sees it; `packets_out` counts what was sent to it."""

    address: Address
    is_open: bool
    packets_out: int

    def protect(self, plaintext: bytes, /) -> bytes:
        """Return the SRTP packet for one RTP packet; the same plaintext gives the same bytes."""
        ...


class DatagramSender(Protocol):
    """A non-blocking UDP socket; `sendto` raises BlockingIOError when its buffer is full."""

    def sendto(self, datagram: bytes, address: Address, /) -> int:
        """Send one datagram."""
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
    """The same plaintexts for each target; `on_dropped` hears of targets that got nothing more.

    Only jobs marked `is_video` are dropped when the queue is too long: half a picture is of no
    use, while sound is small and heals at once.
    """

    targets: Sequence[EgressTarget]
    plaintexts: Sequence[bytes]
    is_video: bool = False
    on_dropped: Callable[[Sequence[EgressTarget]], None] = ignore_drop
    created_s: float = 0.0
    next_target: int = 0
    next_plaintext: int = 0
    pending: bytes | None = field(default=None)

    @property
    def packets_left(self) -> int:
        """Datagrams this job still has to send."""
        targets_left = len(self.targets) - self.next_target
        return targets_left * len(self.plaintexts) - self.next_plaintext


class Egress(Protocol):
    """A backend: takes jobs, sends them in order, drops video when it cannot keep up."""

    stalls: int
    packets_dropped: int
    queued_packets: int

    def send(self, job: EgressJob) -> None:
        """Queue a job and send what this loop turn allows."""
        ...


class SendtoEgress:
    """One `protect` and one `sendto` per packet and viewer: the backend that works everywhere."""

    def __init__(self, sender: DatagramSender, turns: LoopTurns, now: Callable[[], float]) -> None:
        self._sendto = sender.sendto
        self._turns = turns
        self._now = now
        self._queue: deque[EgressJob] = deque()
        self._is_scheduled = False
        self.stalls = 0
        self.packets_dropped = 0
        self.queued_packets = 0

    def send(self, job: EgressJob) -> None:
        """Queue a job and send what this loop turn allows."""
        if not job.targets or not job.plaintexts:
            return
        job.created_s = self._now()
        self._queue.append(job)
        self.queued_packets += job.packets_left
        if self._is_scheduled:
            self._drop_when_behind(job.created_s)
        else:
            self._drain()

    def _drain(self) -> None:
        """Send for at most `TURN_S`, then yield to the loop or wait for the socket."""
        self._is_scheduled = False
        started_s = self._now()
        self._drop_when_behind(started_s)
        while self._queue:
            job = self._queue[0]
            before = job.packets_left
            is_writable = self._send_some(job, started_s + TURN_S)
            self.queued_packets -= before - job.packets_left
            if job.next_target >= len(job.targets):
                self._queue.popleft()
            if not is_writable:
                self.stalls += 1
                self._is_scheduled = True
                self._turns.run_when_writable(self._drain)
                return
            if self._queue and self._now() - started_s >= TURN_S:
                self._is_scheduled = True
                self._turns.run_next_turn(self._drain)
                return

    def _send_some(self, job: EgressJob, until_s: float) -> bool:
        """Advance a job until it ends or time runs out; False when the socket is full."""
        unclocked = 0
        while job.next_target < len(job.targets):
            target = job.targets[job.next_target]
            if target.is_open and not self._send_to(job, target):
                return False
            job.pending = None
            job.next_plaintext = 0
            job.next_target += 1
            unclocked += len(job.plaintexts)
            if unclocked >= CLOCK_EVERY_PACKETS:
                unclocked = 0
                if self._now() >= until_s:
                    return True
        return True

    def _send_to(self, job: EgressJob, target: EgressTarget) -> bool:
        """Send the rest of a job to one target; False when the socket is full.

        A datagram that did not fit is kept as protected, and is the first to go next time.
        """
        protect, address, sendto = target.protect, target.address, self._sendto
        plaintexts = job.plaintexts
        while job.next_plaintext < len(plaintexts):
            try:
                datagram = job.pending or protect(plaintexts[job.next_plaintext])
                job.pending = None
                sendto(datagram, address)
                target.packets_out += 1
            except BlockingIOError:
                job.pending = datagram
                return False
            except (OSError, pylibsrtp.Error, ValueError):
                # This viewer's route or context is broken; its consent will expire.
                self.packets_dropped += 1
            job.next_plaintext += 1
        return True

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
