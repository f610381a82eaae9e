"""What a publisher may send follows what its link loses, and what arrives."""

from __future__ import annotations

import itertools

import pytest

from media.sfu.receiver_estimate import BITRATE_MIN_BPS, ReceiverEstimate
from media.sfu.track import SourceTrack
from tests.media.sfu import packets as p

pytestmark = pytest.mark.unit

MOST_BPS = 6_000_000
PACKETS_PER_S = 50
PAYLOAD = p.VP8_DELTA + bytes(1000 - len(p.VP8_DELTA))
SENT_BPS = PACKETS_PER_S * len(PAYLOAD) * 8
AHEAD_BPS = 1.5 * SENT_BPS + 10_000
FIFTH, TWENTIETH = 5, 20


class Publisher:
    """Sends steadily and is told once a second what it may send; every nth packet can be lost."""

    def __init__(self, first_seq: int = 1, most_bps: int = MOST_BPS) -> None:
        self.track = SourceTrack("video", ssrc=99, first_index=0x8000)
        self.track.begin_source("VP8")
        self.estimate = ReceiverEstimate(most_bps)
        self.now_s = 1000.0
        self.ssrc = 7
        self._seq = first_seq
        self._payload = p.VP8_KEY

    def send(
        self,
        seconds: int,
        *,
        lost_every: int = 0,
        per_s: int = PACKETS_PER_S,
        has_repeats: bool = False,
    ) -> list[int]:
        """Send for so long; returns what is allowed at the end of each second."""
        told = []
        for _ in range(seconds):
            for number in range(per_s):
                self.now_s += 1 / per_s
                self._take(is_lost=bool(lost_every) and number % lost_every == 0)
                if has_repeats and number % lost_every == 1:
                    self._repeat(self._seq - 2)
            told.append(self.estimate.apply([self.track], self.now_s))
        return told

    def send_small(self, seconds: int, *, lost_every: int = 0) -> list[int]:
        """Send packets of sound, and of a picture in which nothing moves."""
        self._payload = PAYLOAD[:100]
        told = self.send(seconds, lost_every=lost_every)
        self._payload = PAYLOAD
        return told

    def pause(self, seconds: int, *, lost: int = 0) -> list[int]:
        """Let nothing arrive for so long, nor so many packets that are sent meanwhile."""
        told = []
        for _ in range(seconds):
            self.now_s += 1
            told.append(self.estimate.apply([self.track], self.now_s))
        self._seq += lost
        return told

    def begin_again(self) -> None:
        """Send another stream from a keyframe on."""
        self.ssrc += 1
        self._seq += 20_000
        self._payload = p.VP8_KEY

    def _take(self, *, is_lost: bool) -> None:
        if not is_lost:
            fields = p.make_fields(self._seq, 0, self._payload, ssrc=self.ssrc)
            assert self.track.apply(fields, self.now_s) is not None
            if self._payload == p.VP8_KEY:
                self._payload = PAYLOAD
        self._seq += 1

    def _repeat(self, seq: int) -> None:
        """Bring a lost packet in the stream of repeats."""
        fields = p.make_fields(seq, 0, PAYLOAD, ssrc=self.ssrc)
        assert self.track.lacks(fields.seq)
        assert self.track.apply(fields._replace(is_repeat=True), self.now_s) is not None


@pytest.fixture
def publisher() -> Publisher:
    """Return one that has just been told the first time."""
    publisher = Publisher()
    assert publisher.send(1) == [MOST_BPS]
    return publisher


def test_a_link_that_loses_nothing_is_allowed_the_most(publisher: Publisher) -> None:
    assert set(publisher.send(10)) == {MOST_BPS}


def test_a_fifth_lost_takes_a_tenth_each_second_down_to_the_least(publisher: Publisher) -> None:
    publisher.send(1)
    told = publisher.send(30, lost_every=FIFTH)
    # From one and a half of what arrived at most.
    assert told[0] == pytest.approx(AHEAD_BPS * 0.9, rel=0.01)
    for before, after in itertools.pairwise(told):
        assert after == pytest.approx(max(before * 0.9, BITRATE_MIN_BPS), abs=1)
    assert told[-1] == BITRATE_MIN_BPS


def test_a_twentieth_lost_holds_what_is_allowed(publisher: Publisher) -> None:
    assert set(publisher.send(5, lost_every=TWENTIETH)) == {MOST_BPS}
    *_, fallen = publisher.send(5, lost_every=FIFTH)
    assert set(publisher.send(5, lost_every=TWENTIETH)) == {fallen}


def test_a_whole_link_is_allowed_more_each_second_but_not_far_beyond_what_arrives(
    publisher: Publisher,
) -> None:
    *_, fallen = publisher.send(10, lost_every=FIFTH)
    told = publisher.send(20)
    for before, after in itertools.pairwise([fallen, *told]):
        assert after == pytest.approx(min(before * 1.08, AHEAD_BPS), abs=2)
    assert told[-1] == AHEAD_BPS
    assert publisher.send(1, per_s=2 * PACKETS_PER_S)[0] == pytest.approx(AHEAD_BPS * 1.08, abs=1)


def test_nothing_beyond_the_most_is_allowed() -> None:
    publisher = Publisher(most_bps=SENT_BPS)
    *_, fallen = publisher.send(5, lost_every=FIFTH)
    assert fallen < SENT_BPS
    assert publisher.send(20)[-1] == SENT_BPS


def test_a_publisher_that_sends_less_for_a_while_is_not_allowed_less(publisher: Publisher) -> None:
    assert set(publisher.send(10, per_s=PACKETS_PER_S // 2)) == {MOST_BPS}


def test_a_bad_second_of_a_still_screen_is_allowed_a_moving_one_soon(publisher: Publisher) -> None:
    publisher.send(60, per_s=5 * PACKETS_PER_S)
    moving_bps = 5 * SENT_BPS
    publisher.send_small(60)
    (fallen,) = publisher.send_small(1, lost_every=FIFTH)
    assert fallen > 0.75 * moving_bps
    assert publisher.send_small(10)[-1] > moving_bps


def test_a_pause_changes_nothing(publisher: Publisher) -> None:
    *_, fallen = publisher.send(5, lost_every=FIFTH)
    assert set(publisher.pause(30)) == {fallen}
    # After it a second's rise, however long it was.
    assert publisher.send(1)[0] == pytest.approx(fallen * 1.08, abs=1)


def test_a_link_that_was_cut_is_allowed_less_once_and_rises_again(publisher: Publisher) -> None:
    publisher.send(10, lost_every=FIFTH)
    *_, before = publisher.send(10)
    publisher.pause(3, lost=3 * PACKETS_PER_S)
    told = publisher.send(10)
    loss = 3 * PACKETS_PER_S / (4 * PACKETS_PER_S)
    assert told[0] == pytest.approx(before * (1 - 0.5 * loss), abs=1)
    assert told == sorted(told)


@pytest.mark.parametrize("first_seq", [65_536 - 2 * PACKETS_PER_S, 65_536 - 75, 65_530])
def test_numbers_that_begin_anew_are_no_loss(first_seq: int) -> None:
    wrapping, plain = Publisher(first_seq), Publisher()
    assert set(wrapping.send(3)) == {MOST_BPS}
    plain.send(3)
    told = wrapping.send(3, lost_every=FIFTH)
    assert told == plain.send(3, lost_every=FIFTH)
    assert told[-1] < SENT_BPS * 1.5


def test_a_repeat_has_come_but_what_it_repairs_was_lost(publisher: Publisher) -> None:
    publisher.track.repeats_apart = True
    told = publisher.send(1, lost_every=FIFTH, has_repeats=True)
    lost, sent = PACKETS_PER_S // FIFTH, PACKETS_PER_S + PACKETS_PER_S // FIFTH
    assert publisher.track.reception is not None
    assert publisher.track.reception.packets_lost == 0
    assert told[0] == pytest.approx(AHEAD_BPS * (1 - 0.5 * lost / sent), abs=1)


def test_one_of_a_few_packets_is_no_great_loss(publisher: Publisher) -> None:
    """Of a slide show five packets come a second: a lost one is a fifth of them by chance."""
    publisher.send(1, per_s=5, lost_every=FIFTH)
    assert set(publisher.send(3, per_s=5)) == {MOST_BPS}
    *_, fallen = publisher.send(8, per_s=5, lost_every=FIFTH)
    assert fallen < MOST_BPS


def test_another_stream_of_the_same_publisher_is_no_loss(publisher: Publisher) -> None:
    publisher.pause(1)
    publisher.begin_again()
    assert set(publisher.send(3)) == {MOST_BPS}
    assert publisher.send(1, lost_every=FIFTH)[0] == pytest.approx(AHEAD_BPS * 0.9, rel=0.01)


def test_what_another_publisher_sent_before_does_not_count(publisher: Publisher) -> None:
    publisher.send(10, lost_every=2)
    publisher.estimate = ReceiverEstimate(MOST_BPS)
    publisher.track.begin_source("VP8")
    publisher.begin_again()
    assert set(publisher.send(2)) == {MOST_BPS}
    assert publisher.send(1, lost_every=FIFTH)[0] == pytest.approx(AHEAD_BPS * 0.9, rel=0.01)
