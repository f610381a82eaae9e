"""Counting calls: the same answers from Valkey and from memory, and without Valkey at all."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio as redis

from kit.clock import ManualClock
from storage.cache import Cache
from storage.rates import PAUSE_S, RateBook, RateLimit

pytestmark = pytest.mark.db

THREE = (RateLimit(3, 60),)
PATIENT_S = 60.0
"""A busy machine's Valkey answers late; counting in memory meanwhile would be right, and another
test."""


class AskedCache(Cache):
    """Counts how often somebody reaches for Valkey."""

    asked = 0

    @property
    def client(self) -> redis.Redis:
        self.asked += 1
        return super().client


@pytest.fixture(params=["valkey", "memory"])
def book(request: pytest.FixtureRequest, cache: Cache, clock: ManualClock) -> RateBook:
    return RateBook(cache if request.param == "valkey" else None, clock, PATIENT_S)


async def test_a_limit_admits_its_number_at_once_and_then_refuses(book: RateBook):
    verdicts = [await book.count("ada", THREE) for _ in range(5)]
    assert [verdict.admitted for verdict in verdicts] == [True] * 3 + [False] * 2
    assert [verdict.remaining for verdict in verdicts] == [2, 1, 0, 0, 0]
    assert {verdict.limit for verdict in verdicts} == {3}
    assert 19 < verdicts[-1].retry_after_s <= 20
    assert 59 < verdicts[-1].full_in_s <= 60


async def test_keys_are_counted_apart(book: RateBook):
    for _ in range(3):
        await book.count("ada", THREE)
    assert not (await book.count("ada", THREE)).admitted
    assert (await book.count("bob", THREE)).admitted


async def test_the_longest_refusal_speaks_and_a_refused_call_counts_nowhere(book: RateBook):
    limits = (RateLimit(100, 43_200), RateLimit(2, 86_400))
    for _ in range(2):
        assert (await book.count("ada", limits)).admitted
    for _ in range(50):
        refused = await book.count("ada", limits)
        assert (refused.admitted, refused.limit) == (False, 2)
    assert (await book.count("ada", limits[:1])).remaining == 97


async def test_the_limit_with_least_left_speaks(book: RateBook):
    verdict = await book.count("ada", (RateLimit(5, 60), RateLimit(100, 3600)))
    assert (verdict.limit, verdict.remaining) == (5, 4)


async def test_no_limits_count_nothing(book: RateBook):
    assert await book.count("ada", ()) is None


async def test_forgetting_gives_the_whole_allowance_back(book: RateBook):
    for _ in range(4):
        await book.count("ada", THREE)
    await book.forget("ada", THREE)
    assert (await book.count("ada", THREE)).remaining == 2


async def test_many_at_once_are_admitted_exactly_as_often(book: RateBook):
    verdicts = await asyncio.gather(*(book.count("ada", (RateLimit(7, 60),)) for _ in range(20)))
    assert sum(verdict.admitted for verdict in verdicts) == 7


async def test_memory_refills_evenly(clock: ManualClock):
    book = RateBook(None, clock)
    for _ in range(3):
        await book.count("ada", THREE)
    clock.advance(20)
    assert (await book.count("ada", THREE)).admitted
    assert not (await book.count("ada", THREE)).admitted
    clock.advance(60)
    assert [(await book.count("ada", THREE)).admitted for _ in range(4)] == [True] * 3 + [False]


async def test_what_valkey_said_counts_on_while_it_is_silent(cache: Cache, clock: ManualClock):
    book = RateBook(cache, clock, wait_s=1.0)
    for _ in range(2):
        assert (await book.count("ada", THREE)).admitted
    await cache.client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    try:
        verdicts = [await book.count("ada", THREE) for _ in range(2)]
    finally:
        await cache.client.execute_command("CLIENT", "UNPAUSE")
    assert [verdict.admitted for verdict in verdicts] == [True, False]


async def test_valkey_away_means_counting_here_without_waiting_each_time(clock: ManualClock):
    away = AskedCache("redis://127.0.0.1:1")
    await away.open()
    book = RateBook(away, clock)
    verdicts = [await book.count("ada", THREE) for _ in range(50)]
    assert sum(verdict.admitted for verdict in verdicts) == 3
    assert away.asked == 1
    clock.advance(PAUSE_S)
    await book.count("ada", THREE)
    assert away.asked == 2
    await away.close()
