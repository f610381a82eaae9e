"""Restart intensity, and what a guard lets through."""

from __future__ import annotations

import asyncio

import pytest

from actors.hosting.supervision import FailureBook, Guard, Intensity
from kit.clock import ManualClock
from kit.errors import NotFound

pytestmark = pytest.mark.unit

INTENSITY = Intensity(failures_max=2, within_s=60.0, pause_s=30.0)


def test_failures_are_borne_up_to_the_intensity_then_comes_a_pause(clock: ManualClock) -> None:
    book = FailureBook(INTENSITY, clock)
    assert [book.note("a"), book.note("a")] == [False, False]
    assert book.find_pause_s("a") is None
    assert book.note("a")
    assert book.find_pause_s("a") == 30.0
    assert book.find_pause_s("b") is None
    clock.advance(30.0)
    assert book.find_pause_s("a") is None
    assert not book.note("a"), "after the pause it starts anew"


def test_failures_that_are_far_apart_never_add_up(clock: ManualClock) -> None:
    book = FailureBook(INTENSITY, clock)
    for _ in range(20):
        assert not book.note("a")
        clock.advance(30.1)
        book.tidy()


def test_what_is_past_is_forgotten(clock: ManualClock) -> None:
    book = FailureBook(INTENSITY, clock)
    for who in range(1000):
        book.note(who)
    for _ in range(3):
        book.note("a")
    clock.advance(61.0)
    book.tidy()
    assert (book._times_s, book._paused_until_s) == ({}, {})


def test_a_guard_takes_what_breaks_and_lets_pass_what_it_was_told() -> None:
    broken: list[Exception] = []
    with Guard(broken.append, NotFound) as guard:
        raise AssertionError("numbers go up")
    assert guard.is_broken
    assert [str(error) for error in broken] == ["numbers go up"]
    with pytest.raises(NotFound), Guard(broken.append, NotFound):
        raise NotFound
    with pytest.raises(asyncio.CancelledError), Guard(broken.append):
        raise asyncio.CancelledError
    assert len(broken) == 1
