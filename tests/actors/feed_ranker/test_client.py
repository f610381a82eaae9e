"""The port of feeds: an order in time, or the one the page came in."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from actors.feed_ranker.client import ASKED_MAX, FeedRankers, RankContext, Ranked
from actors.feed_ranker.messages import Candidate, Rank, Ranking
from actors.hosting.client import HostClient, ObjectUnanswered
from actors.hosting.core import ObjectKey
from actors.hosting.messages import Answered

pytestmark = pytest.mark.unit

AT = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = [Candidate(uuid.UUID(int=number), AT) for number in (3, 2, 1)]
CAME = [post.id for post in PAGE]
ADA = uuid.UUID(int=9)
AT_ONCE = RankContext(ADA, 0.0)
PATIENT = RankContext(ADA, 60.0)
Asking = Callable[[Rank], Awaitable[list[uuid.UUID]]]


def make_rankers(answer: Asking) -> FeedRankers:
    """Return the port over hosts that answer so."""

    class Hosts:
        async def ask(self, key: ObjectKey, command: Rank, _kind: Any) -> Answered[Ranking]:
            assert key == ObjectKey("feed", ADA)
            return Answered(1, Ranking(await answer(command)))

    return FeedRankers(cast(HostClient, Hosts()))


async def turn_round(command: Rank) -> list[uuid.UUID]:
    return [post.id for post in reversed(command.candidates)]


async def hang(_command: Rank) -> list[uuid.UUID]:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody answers the future")


async def fail(_command: Rank) -> list[uuid.UUID]:
    raise ObjectUnanswered


async def break_down(_command: Rank) -> list[uuid.UUID]:
    raise ZeroDivisionError


async def forget_one(command: Rank) -> list[uuid.UUID]:
    return [post.id for post in command.candidates[1:]]


async def test_the_ranker_decides_the_order() -> None:
    ranked = await make_rankers(turn_round).rank(PAGE, PATIENT)
    assert ranked == Ranked(CAME[::-1], is_ranked=True)


@pytest.mark.parametrize("answer", [fail, break_down, forget_one])
async def test_a_ranker_that_fails_or_answers_wrongly_leaves_the_page_as_it_came(
    answer: Asking,
) -> None:
    assert await make_rankers(answer).rank(PAGE, PATIENT) == Ranked(CAME, is_ranked=False)


async def test_nobody_waits_for_a_late_ranker_and_few_await_it() -> None:
    rankers = make_rankers(hang)
    before = asyncio.all_tasks()
    for _ in range(ASKED_MAX + 10):
        assert await rankers.rank(PAGE, AT_ONCE) == Ranked(CAME, is_ranked=False)
    assert len(asyncio.all_tasks() - before) == ASKED_MAX
    assert not (await asyncio.wait_for(rankers.rank(PAGE, PATIENT), 30)).is_ranked
    await rankers.close()
    assert asyncio.all_tasks() == before


async def test_an_empty_page_asks_nobody() -> None:
    assert await make_rankers(break_down).rank([], PATIENT) == Ranked([], is_ranked=False)
