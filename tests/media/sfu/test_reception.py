"""What is missing is asked for as often as its answers take, and what is lost stays counted."""

from __future__ import annotations

import itertools

import pytest

from media.sfu.reception import (
    NACK_AGE_MAX_S,
    NACK_EVERY_S,
    NACK_TRIES_MAX,
    PATIENCE_MAX_S,
    MissingPackets,
    Reception,
)

pytestmark = pytest.mark.unit

STEP_S = 0.01


def answer_often(missing: MissingPackets, round_trip_s: float) -> None:
    """Lose packets one after another, each of which comes a round trip after it is asked for."""
    for index in range(50):
        missing.add_gap(index, index + 1)
        missing.take_due(float(index))
        missing.discard(index, index + round_trip_s, is_late=False)


def list_asked(missing: MissingPackets) -> list[float]:
    """Lose a packet for good; return when it is asked for, from the first time on."""
    missing.add_gap(1000, 1001)
    steps = (100 + step * STEP_S for step in range(300))
    return [now_s - 100 for now_s in steps if missing.take_due(now_s)]


@pytest.mark.parametrize("round_trip_s", [0.0, 0.01, NACK_EVERY_S])
def test_a_publisher_nearby_is_asked_again_soon(round_trip_s: float) -> None:
    missing = MissingPackets()
    answer_often(missing, round_trip_s)
    asked = list_asked(missing)
    assert len(asked) == NACK_TRIES_MAX
    assert asked[-1] < NACK_TRIES_MAX * (NACK_EVERY_S + STEP_S)
    assert missing.given_up == 1


def test_a_publisher_far_away_is_asked_less_often_and_as_long_as_answers_may_come() -> None:
    missing = MissingPackets()
    answer_often(missing, 0.25)
    asked = list_asked(missing)
    assert asked == pytest.approx([0.0, 0.25, 0.5, 0.75], abs=2.5 * STEP_S)
    assert missing.take_given_up() == 1000
    assert missing.take_given_up() is None


def test_however_late_answers_are_nothing_is_asked_for_longer_than_a_second() -> None:
    missing = MissingPackets()
    answer_often(missing, 5.0)
    asked = list_asked(missing)
    assert len(asked) > 2
    assert asked[-1] <= NACK_AGE_MAX_S


def test_a_way_that_grew_longer_than_the_wait_is_learnt_from_what_was_asked_several_times() -> None:
    missing = MissingPackets()
    for index in range(50):
        missing.add_gap(index, index + 1)
        for tries in range(4):
            missing.take_due(index + tries * NACK_EVERY_S)
        missing.discard(index, index + 4 * NACK_EVERY_S, is_late=False)
    steps = [b - a for a, b in itertools.pairwise(list_asked(missing))]
    assert min(steps) > 3.5 * NACK_EVERY_S
    answer_often(missing, NACK_EVERY_S)
    assert len(list_asked(missing)) == NACK_TRIES_MAX, "a shorter way is learnt, too"


def test_tries_that_are_lost_make_the_wait_no_longer() -> None:
    missing, now_s = MissingPackets(), 0.0
    for index in range(100):
        missing.add_gap(index, index + 1)
        lost = index % 2
        while not (missing.take_due(now_s) and (lost := lost - 1) < 0):
            now_s += STEP_S
        now_s += 0.03
        missing.discard(index, now_s, is_late=False)
    assert len(list_asked(missing)) == NACK_TRIES_MAX


def test_where_packets_overtake_each_other_nothing_is_asked_for_before_the_late_ones_come() -> None:
    missing = MissingPackets()
    missing.add_gap(0, 1)
    assert missing.take_due(0.0) == [0], "nothing is known yet"
    missing.discard(0, 0.03, is_late=True)
    missing.add_gap(1, 2)
    assert missing.take_due(1.0) == []
    assert missing.take_due(1.029) == []
    missing.discard(1, 1.029, is_late=True)
    missing.add_gap(2, 3)
    assert missing.take_due(2.0) == missing.take_due(2.029) == []
    assert missing.take_due(2.031) == [2]


def test_patience_has_an_end_and_goes_with_the_late_ones() -> None:
    missing = MissingPackets()
    missing.add_gap(0, 1)
    missing.take_due(0.0)
    missing.discard(0, 0.9, is_late=True)
    missing.add_gap(1, 2)
    assert missing.take_due(1.0) == []
    assert missing.take_due(1.0 + PATIENCE_MAX_S) == [1]
    missing.discard(1, 1.1, is_late=False)
    answer_often(missing, 0.05)
    missing.add_gap(500, 501)
    assert missing.take_due(500.0) == []
    assert missing.take_due(500.001) == [500]


def test_a_packet_is_worth_waiting_for_as_long_as_a_few_answers_take() -> None:
    near, far, farther = MissingPackets(), MissingPackets(), MissingPackets()
    for missing, round_trip_s in ((near, 0.01), (far, 0.12), (farther, 0.28)):
        answer_often(missing, round_trip_s)
        missing.add_gap(100, 101)
    assert near.get_wait_s(100) == pytest.approx(0.25)
    assert far.get_wait_s(100) == pytest.approx(0.6)
    assert farther.get_wait_s(100) == NACK_AGE_MAX_S


def test_a_packet_is_worth_no_wait_once_it_is_given_up() -> None:
    missing = MissingPackets()
    assert missing.get_wait_s(5) == 0.0
    missing.add_gap(5, 6)
    assert missing.get_wait_s(5) == NACK_AGE_MAX_S, "nothing is known yet"
    for step in range(60):
        missing.take_due(step * STEP_S)
    assert missing.given_up == 1
    assert missing.get_wait_s(5) == 0.0
    missing.add_gap(6, 7)
    assert missing.get_wait_s(6) == pytest.approx(0.25), "nobody answered: as nearby"
    missing.clear()
    missing.add_gap(6, 7)
    assert missing.get_wait_s(6) == NACK_AGE_MAX_S


def test_a_packet_repeated_in_another_stream_was_lost_and_is_not_missing() -> None:
    reception = Reception(100, 90_000)
    reception.apply_packet(0, 0, 1.0)
    reception.apply_packet(2, 0, 1.0)
    assert reception.packets_lost == 1
    reception.apply_repeat(-1)
    assert reception.packets_lost == 0
    report = reception.take_report(2.0)
    assert (report.packets_lost, report.fraction_lost) == (1, 256 // 3)
    assert report.highest_sequence == 102
