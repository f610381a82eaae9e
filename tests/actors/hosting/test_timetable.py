"""What is due when, and how fast something happens."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.hosting.core import ObjectKey
from actors.hosting.rates import RateMeter
from actors.hosting.timetable import Timetable

pytestmark = pytest.mark.unit

KEYS = [ObjectKey("room", uuid.UUID(int=n)) for n in range(5)]


def test_what_is_longest_due_comes_first_and_once() -> None:
    table = Timetable()
    for key, due_s in zip(KEYS, (5.0, 1.0, 3.0, 2.0, 9.0), strict=True):
        table.set_due(key, due_s)
    assert table.take_due(5.0, 3) == [KEYS[1], KEYS[3], KEYS[2]]
    assert table.take_due(5.0, 3) == [KEYS[0]]
    assert table.take_due(5.0, 3) == []


@given(st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(0, 50))))
def test_only_the_last_word_about_an_object_counts(words: list[tuple[int, int | None]]) -> None:
    table = Timetable()
    last: dict[int, int] = {}
    for number, due_s in words:
        table.set_due(KEYS[number], due_s)
        last.pop(number, None)
        if due_s is not None:
            last[number] = due_s
    due = {number for number, due_s in last.items() if due_s <= 25}
    assert sorted(table.take_due(25, 100)) == sorted(KEYS[number] for number in due)
    assert len(table) == len(last) - len(due)


def test_an_object_that_is_put_off_for_ever_costs_no_memory() -> None:
    table = Timetable()
    for number in range(10_000):
        table.set_due(KEYS[0], float(number))
    assert len(table._heap) < 200
    assert table.take_due(1e9, 10) == [KEYS[0]]


def test_a_rate_is_that_of_the_last_minute_or_so() -> None:
    meter = RateMeter()
    for second in range(600):
        meter.count(2, float(second))
    assert meter.read_per_min(600.0) == pytest.approx(120, rel=0.02)
    assert meter.read_per_min(660.0) == pytest.approx(120 / 2.718, rel=0.05)
    assert meter.read_per_min(1200.0) < 0.1


async def test_what_becomes_due_sooner_ends_the_wait() -> None:
    table = Timetable()
    table.set_due(KEYS[0], 1e9)
    waiting = asyncio.create_task(table.wait_due(0.0))
    await asyncio.sleep(0)
    table.set_due(KEYS[1], 2e9)
    assert not waiting.done()
    table.set_due(KEYS[2], 0.001)
    await waiting
    assert table.take_due(1.0, 10) == [KEYS[2]]


async def test_what_is_due_is_not_waited_for() -> None:
    table = Timetable()
    table.set_due(KEYS[0], 5.0)
    waiting = table.wait_due(5.0)
    with pytest.raises(StopIteration):
        waiting.send(None)
