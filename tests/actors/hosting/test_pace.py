"""The pace of ticks: none after a quiet time, longer with the load, never beyond its bound."""

import pytest

from actors.hosting.ticks import TICK_FOR_ROWS_MAX_S, TICK_MAX_S, Pace

pytestmark = pytest.mark.unit


def run(pace: Pace, *, every_s: float, ticks: int, rows: int, audience: int = 0) -> float:
    """Tick at a steady rhythm; return the moment of the last tick."""
    now_s = 100.0
    for _ in range(ticks):
        pace.count_tick(now_s, rows, audience)
        now_s += every_s
    return now_s - every_s


def test_the_first_row_after_a_quiet_time_waits_for_nothing():
    pace = Pace()
    assert pace.decide_wait_s(100.0) == 0
    last_s = run(pace, every_s=0.05, ticks=100, rows=10)
    assert pace.decide_wait_s(last_s + 1.0) == 0


def test_a_burst_after_a_quiet_time_does_not_slow_what_follows():
    pace = Pace()
    pace.count_tick(100.0, 1, 0)
    pace.count_tick(110.0, 100, 0)
    assert pace.decide_wait_s(110.0) <= 0.010 + 1e-9


@pytest.mark.parametrize(("rows_per_s", "tick_s"), [(10, 0.010), (20, 0.020), (40, 0.040)])
def test_the_tick_grows_with_the_load(rows_per_s: int, tick_s: float):
    pace = Pace()
    last_s = run(pace, every_s=1 / rows_per_s, ticks=10 * rows_per_s, rows=1)
    assert pace.decide_wait_s(last_s) == pytest.approx(tick_s, rel=0.05)


def test_the_tick_has_a_bound_however_many_rows_come():
    pace = Pace()
    last_s = run(pace, every_s=0.05, ticks=200, rows=500)
    assert pace.decide_wait_s(last_s) == pytest.approx(TICK_FOR_ROWS_MAX_S)


def test_the_pace_falls_back_when_the_load_is_over():
    pace = Pace()
    last_s = run(pace, every_s=0.05, ticks=200, rows=50)
    pace.count_tick(last_s + 5.0, 1, 0)
    assert pace.decide_wait_s(last_s + 5.0) < 0.001


@pytest.mark.parametrize(
    ("audience", "tick_s"), [(100, 0.008), (500, 0.04), (1_000, TICK_MAX_S), (50_000, TICK_MAX_S)]
)
def test_the_tick_grows_with_those_who_are_shown_it(audience: int, tick_s: float):
    pace = Pace()
    pace.count_tick(100.0, 1, audience)
    assert pace.decide_wait_s(100.0) == pytest.approx(tick_s, rel=0.01)
    assert pace.decide_wait_s(100.0 + TICK_MAX_S) == 0


def test_a_tick_that_few_were_shown_delays_nobody_after_a_large_one():
    pace = Pace()
    pace.count_tick(100.0, 1, 1_000)
    pace.count_tick(100.1, 1, 3)
    assert pace.decide_wait_s(100.1) < 0.01
