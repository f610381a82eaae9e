"""When Ray begins with nothing: after it failed to come back twice, not because it was killed."""

import pytest

from cluster.watch import STAYED_AFTER_S, Revivals

pytestmark = pytest.mark.unit


def test_ray_that_stayed_is_brought_back_with_its_state_however_often_it_is_killed():
    revivals = Revivals()
    for number in range(10):
        now_s = number * (STAYED_AFTER_S + 2)
        assert not revivals.begin(now_s)
        revivals.end(now_s + 1, is_back=True)


def test_two_attempts_that_fail_are_the_last_with_the_state():
    revivals = Revivals()
    for now_s in (0.0, 100.0):
        assert not revivals.begin(now_s)
        revivals.end(now_s + 1, is_back=False)
    assert revivals.begin(200.0)
    revivals.end(201.0, is_back=True)
    assert not revivals.begin(300.0)


def test_two_that_did_not_stay_count_as_much():
    revivals = Revivals()
    assert not revivals.begin(0.0)
    for began_s in (0.0, 3.0):
        revivals.end(began_s + 1, is_back=True)
        is_over = revivals.begin(began_s + 1 + STAYED_AFTER_S / 2)
    assert is_over
