"""What is missing is asked for as often as its answers take, and what is lost stays counted."""

from __future__ import annotations

import pytest

from media.sfu.reception import (
    NACK_AGE_MAX_S,
    NACK_EVERY_S,
    NACK_TRIES_MAX,
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
        missing.discard(index, index + round_trip_s)


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


def test_what_came_after_several_tries_says_nothing_of_the_round_trip() -> None:
    missing = MissingPackets()
    for index in range(50):
        missing.add_gap(index, index + 1)
        missing.take_due(float(index))
        missing.take_due(index + 0.5)
        missing.discard(index, index + 0.9)
    assert len(list_asked(missing)) == NACK_TRIES_MAX


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
