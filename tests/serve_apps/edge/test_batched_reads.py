"""Many callers, one query: shared, kept for a moment, and failing for everybody who waited."""

from __future__ import annotations

import asyncio

import pytest

from kit.clock import ManualClock
from serve_apps.edge.batched_reads import BATCH_MAX, BatchedReads

pytestmark = pytest.mark.unit


class Table:
    """Rows 0 to 9999, and the queries that were made."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.error: Exception | None = None

    async def read(self, keys: list[int]) -> dict[int, str]:
        self.asked.append(keys)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return {key: f"row {key}" for key in keys if key < 10_000}


async def test_who_asks_at_once_shares_a_query_and_an_answer_is_kept_for_a_moment() -> None:
    table, clock = Table(), ManualClock()
    reads = BatchedReads(table.read, clock, fresh_s=1.0)
    answers = await asyncio.gather(*(reads.get(key) for key in [1, 2, 1, 2, 3]))
    assert answers == ["row 1", "row 2", "row 1", "row 2", "row 3"]
    clock.advance(0.9)
    assert await reads.get(2) == "row 2"
    assert table.asked == [[1, 2, 3]]
    clock.advance(0.2)
    await reads.get(2)
    reads.forget(2)
    clock.advance(0.1)
    await reads.get(2)
    assert table.asked == [[1, 2, 3], [2], [2]]


async def test_what_is_not_found_is_asked_for_again() -> None:
    table, clock = Table(), ManualClock()
    reads = BatchedReads(table.read, clock, fresh_s=1.0)
    assert await reads.get(10_001) is None
    clock.advance(0.5)
    assert await reads.get(10_001) is None
    assert table.asked == [[10_001], [10_001]]


async def test_an_error_reaches_everybody_and_is_not_kept() -> None:
    table, clock = Table(), ManualClock()
    reads = BatchedReads(table.read, clock, fresh_s=1.0)
    table.error = OSError("away")
    failures = await asyncio.gather(reads.get(1), reads.get(2), return_exceptions=True)
    assert [type(failure) for failure in failures] == [OSError, OSError]
    table.error = None
    clock.advance(0.5)
    assert await reads.get(1) == "row 1"


async def test_a_caller_that_goes_away_leaves_the_others_their_answer() -> None:
    table, clock = Table(), ManualClock()
    reads = BatchedReads(table.read, clock, fresh_s=1.0)
    leaving = asyncio.create_task(reads.get(1))
    staying = asyncio.create_task(reads.get(1))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == "row 1"


async def test_who_hears_nothing_for_long_is_told_so_and_the_answer_is_kept_all_the_same() -> None:
    is_silent = asyncio.Event()

    async def read(keys: list[int]) -> dict[int, str]:
        await is_silent.wait()
        return {key: f"row {key}" for key in keys}

    reads = BatchedReads(read, ManualClock(), fresh_s=1.0, patience_s=0.05)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await reads.get(1)
    is_silent.set()
    assert await reads.get(1) == "row 1"


async def test_a_query_asks_for_a_bounded_number() -> None:
    table, clock = Table(), ManualClock()
    reads = BatchedReads(table.read, clock, fresh_s=1.0)
    await asyncio.gather(*(reads.get(key) for key in range(BATCH_MAX * 2 + 1)))
    assert [len(keys) for keys in table.asked] == [BATCH_MAX, BATCH_MAX, 1]
