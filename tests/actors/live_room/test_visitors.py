"""Counting different visitors: exactly while few, closely when many, whoever counts."""

from __future__ import annotations

import random

import pytest

from actors.live_room.visitors import FEW_MAX, REGISTERS, VisitorBook, count_visitors

pytestmark = pytest.mark.unit


def make_book(marks: list[bytes]) -> VisitorBook:
    book = VisitorBook()
    for mark in marks:
        book.add(mark)
    return book


def make_marks(count: int) -> list[bytes]:
    source = random.Random(count)
    return [source.randbytes(8) for _ in range(count)]


def test_few_are_counted_exactly_over_all_books() -> None:
    marks = make_marks(FEW_MAX)
    assert make_book(marks + marks).count() == FEW_MAX
    halves = [make_book(marks[:300]).pack(), make_book(marks[200:]).pack()]
    assert count_visitors(halves) == FEW_MAX
    assert count_visitors([]) == 0


@pytest.mark.parametrize("count", [FEW_MAX + 1, 5_000, 30_000])
def test_many_are_counted_within_five_per_cent_in_four_kibibytes(count: int) -> None:
    marks = make_marks(count)
    packed = make_book(marks).pack()
    assert len(packed) == REGISTERS
    few = make_book(marks[:10]).pack()
    assert abs(count_visitors([few, packed, few]) - count) < 0.05 * count
