"""How well one source arrives: RFC 3550 receiver statistics and the packets still missing.

Owned by `track`, read by `feedback`, which reports to the publisher. Pure state; time comes in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MISSING_MAX = 256
NACK_EVERY_S = 0.05
NACK_EVERY_MAX_S = 0.3
NACK_TRIES_MAX = 8
NACK_AGE_MAX_S = 1.0
ANSWERS_AWAITED = 5
"""Who keeps packets in order waits for as many answers one after the other: 0.25 s nearby."""
ANSWERS_KEPT = 8
PATIENCE_MAX_S = 0.04
PATIENCE_KEPT = 0.9


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """One report block as RTCP wants it; `delay_s` is the time since the sender report."""

    fraction_lost: int
    packets_lost: int
    highest_sequence: int
    jitter: int
    lsr: int
    delay_s: float


class Reception:
    """Counts of one source since its first packet (RFC 3550 §6.4.1, A.3, A.8)."""

    def __init__(self, first_seq: int, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._base = first_seq
        self._highest = first_seq
        self._received = 0
        self._repaired = 0
        self._expected_before = 0
        self._received_before = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._sender_ntp = 0
        self._sender_at_s = 0.0

    def apply_packet(self, advance: int, timestamp: int, now_s: float) -> None:
        """Count one packet that lies `advance` after the highest so far (negative: late)."""
        self._received += 1
        if advance > 0:
            self._highest += advance
        transit = now_s * self._clock_rate - timestamp
        if self._transit is not None:
            delta = abs(transit - self._transit)
            if delta < self._clock_rate * 10:  # A timestamp wrap is not jitter.
                self._jitter += (delta - self._jitter) / 16
        self._transit = transit

    def apply_repeat(self, advance: int) -> None:
        """Count a packet that came in another stream: it was lost of this one (RFC 4588 §4)."""
        self._repaired += 1
        if advance > 0:
            self._highest += advance

    def apply_sender_report(self, ntp_timestamp: int, now_s: float) -> None:
        """Remember when the publisher's last sender report came, for its round-trip time."""
        self._sender_ntp = (ntp_timestamp >> 16) & 0xFFFFFFFF
        self._sender_at_s = now_s

    @property
    def counts(self) -> tuple[int, int, int]:
        """Packets expected so far, received, and received as repeats in another stream."""
        return self._highest - self._base + 1, self._received, self._repaired

    @property
    def packets_lost(self) -> int:
        """Packets that never came so far; never below zero here."""
        expected, received, repaired = self.counts
        return max(0, expected - received - repaired)

    def take_report(self, now_s: float) -> ReceptionReport:
        """Close the interval since the last report and return it."""
        expected, _, _ = self.counts
        expected_now = expected - self._expected_before
        lost_now = expected_now - (self._received - self._received_before)
        self._expected_before = expected
        self._received_before = self._received
        fraction = (lost_now << 8) // expected_now if expected_now > 0 and lost_now > 0 else 0
        return ReceptionReport(
            fraction_lost=min(fraction, 255),
            packets_lost=min(max(0, expected - self._received), 0x7FFFFF),
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=int(self._jitter) & 0xFFFFFFFF,
            lsr=self._sender_ntp,
            delay_s=now_s - self._sender_at_s if self._sender_ntp else 0.0,
        )


@dataclass(slots=True)
class _Asked:
    tries: int = 0
    since_s: float | None = None
    first_at_s: float = 0.0
    last_at_s: float = 0.0


class MissingPackets:
    """Indexes seen as gaps, asked for a few times, then given up; bounded, oldest go first.

    What is asked for comes after a round trip at the earliest, which is learnt from how long
    answers take: a publisher far away is asked less often, and for as long. Where packets overtake
    each other, which shows where repeats have a stream of their own, nothing is asked for before
    the late ones came.
    """

    def __init__(self) -> None:
        self._asked: dict[int, _Asked] = {}
        self._every_s = NACK_EVERY_S
        self._took_s: deque[float] = deque(maxlen=ANSWERS_KEPT)
        self._patience_s = 0.0
        self._newest_given_up: int | None = None
        self._is_tried = False
        """What was asked for came, or was given up."""
        self.given_up = 0

    def __contains__(self, index: int) -> bool:
        return index in self._asked

    def get_wait_s(self, index: int) -> float:
        """Return how long after it was missed a packet is worth waiting for; 0.0: given up.

        Before anything is known of the publisher that is as long as it is asked for.
        """
        if index not in self._asked:
            return 0.0
        answers_s = ANSWERS_AWAITED * self._every_s
        return min(answers_s, NACK_AGE_MAX_S) if self._is_tried else NACK_AGE_MAX_S

    def add_gap(self, first: int, end: int) -> None:
        """Note that the indexes in [first, end) were skipped; the first of many are given up."""
        kept = max(first, end - MISSING_MAX)
        if kept > first:
            self.given_up += kept - first
            self._newest_given_up = max(kept - 1, self._newest_given_up or 0)
        for index in range(kept, end):
            self._asked[index] = _Asked()
        while len(self._asked) > MISSING_MAX:
            self._give_up(next(iter(self._asked)))

    def discard(self, index: int, now_s: float, *, is_late: bool) -> None:
        """Note that a packet came after all; `is_late` of one that is surely no repeat."""
        asked = self._asked.pop(index, None)
        if asked is None or asked.since_s is None:
            return
        if is_late:
            late_s = min(now_s - asked.since_s, PATIENCE_MAX_S)
            self._patience_s = max(self._patience_s, late_s)
            return
        self._patience_s *= PATIENCE_KEPT
        if asked.tries:
            self._is_tried = True
            # Of several tries nobody knows which one was answered. Of a way that grew longer than
            # the wait all answers take long; where tries are lost, some come after the first.
            self._took_s.append(min(now_s - asked.first_at_s, NACK_EVERY_MAX_S))
            self._every_s = max(NACK_EVERY_S, sorted(self._took_s)[len(self._took_s) // 4])

    def clear(self) -> None:
        """Forget everything: the source changed."""
        self._asked.clear()
        self._took_s.clear()
        self._every_s = NACK_EVERY_S
        self._newest_given_up = None
        self._is_tried = False

    def take_due(self, now_s: float) -> list[int]:
        """Return the indexes to ask for now, in order, and count the attempt."""
        due = []
        for index, asked in list(self._asked.items()):
            if asked.since_s is None:
                asked.since_s = now_s
            age_s = now_s - asked.since_s
            waited_s = now_s - asked.last_at_s if asked.tries else age_s
            if waited_s < (self._every_s if asked.tries else self._patience_s):
                continue
            if asked.tries >= NACK_TRIES_MAX or age_s >= NACK_AGE_MAX_S:
                self._give_up(index)
                continue
            asked.first_at_s = asked.first_at_s if asked.tries else now_s
            asked.tries += 1
            asked.last_at_s = now_s
            due.append(index)
        return sorted(due)

    def take_given_up(self) -> int | None:
        """Return the newest index given up since the last call, None when none was."""
        newest, self._newest_given_up = self._newest_given_up, None
        return newest

    def __len__(self) -> int:
        return len(self._asked)

    def _give_up(self, index: int) -> None:
        del self._asked[index]
        self.given_up += 1
        self._is_tried = True
        self._newest_given_up = max(index, self._newest_given_up or index)
