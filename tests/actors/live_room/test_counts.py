"""Which counts a host's board writes, and when again."""

from __future__ import annotations

import uuid

import pytest

from actors.live_room.counts import (
    COUNTS_PER_STEP_MAX,
    REPEAT_EVERY_S,
    ROUND_S,
    Written,
    decide_due,
)
from storage.viewers import COUNT_TTL_S

pytestmark = pytest.mark.unit

A, B = uuid.UUID(int=1), uuid.UUID(int=2)


def test_unknown_and_changed_counts_are_due_and_others_are_not():
    written = {A: Written(3, 10.0)}
    assert decide_due({A: 3, B: 1}, written, 11.0) == {B: 1}
    assert decide_due({A: 4}, written, 11.0) == {A: 4}
    assert decide_due({}, written, 11.0) == {}


def test_an_unchanged_count_is_repeated_well_before_it_expires():
    written = {A: Written(3, 10.0)}
    assert decide_due({A: 3}, written, 10.0 + REPEAT_EVERY_S) == {A: 3}
    assert REPEAT_EVERY_S + ROUND_S < COUNT_TTL_S / 2


def test_a_round_is_bounded_and_takes_the_oldest_first():
    many = {uuid.UUID(int=n): n for n in range(3, COUNTS_PER_STEP_MAX + 3)}
    written = {key: Written(0, 50.0) for key in many} | {A: Written(0, 1.0)}
    due = decide_due({**many, A: 1, B: 2}, written, 51.0)
    assert len(due) == COUNTS_PER_STEP_MAX
    assert list(due)[:2] == [B, A]
