"""The port through which a feed asks for its order; each process of the API keeps one.

It answers within its deadline, whatever became of the ranker: late, busy, or on a host that died,
the order is the one the candidates came in. A ranker that is late goes on in the background, so
that one which is being loaded is there for the next page.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from actors.feed_ranker.messages import CANDIDATES_MAX, Candidate, Rank, Ranking
from actors.hosting.client import HostClient
from actors.hosting.core import ObjectKey
from actors.hosting.messages import Answered
from kit.errors import AppError
from kit.logs import get_log
from kit.metrics import FEEDS_RANKED
from storage.placements import FEED

log = get_log("feed_ranker")

ASKED_MAX = 64
"""Pages that may await their ranker at once in one process; beyond it nobody waits."""
GIVE_UP_S = 2.0
"""How long a late ranker is still asked, for the sake of the next page."""


@dataclass(frozen=True)
class RankContext:
    """Whose feed is read, and how long its page can wait."""

    reader_id: uuid.UUID
    timeout_s: float


@dataclass(frozen=True)
class Ranked:
    """The order to read in; not `is_ranked`: as the candidates came."""

    order: list[uuid.UUID]
    is_ranked: bool


class NewestFirst:
    """The port where no hosts run: every page stays as it came."""

    async def rank(self, candidates: Sequence[Candidate], _context: RankContext) -> Ranked:
        """Return the candidates' ids as they came."""
        return Ranked([post.id for post in candidates], is_ranked=False)


class FeedRankers:
    """Asks readers' rankers."""

    def __init__(self, hosts: HostClient) -> None:
        self._hosts = hosts
        self._asked: set[asyncio.Task[list[uuid.UUID]]] = set()

    async def rank(self, candidates: Sequence[Candidate], context: RankContext) -> Ranked:
        """Return the candidates' ids in the order to read them; never raises, never late."""
        came = [post.id for post in candidates]
        if not candidates or len(candidates) > CANDIDATES_MAX:
            return self._leave(came, "unasked")
        if len(self._asked) >= ASKED_MAX:
            return self._leave(came, "busy")
        task = asyncio.create_task(self._ask(list(candidates), context.reader_id), name="feed-rank")
        self._asked.add(task)
        task.add_done_callback(self._drop)
        done, _ = await asyncio.wait((task,), timeout=context.timeout_s)
        if not done:
            return self._leave(came, "late")
        if task.cancelled() or task.exception() is not None:
            return self._leave(came, "failed")
        order = task.result()
        if sorted(order) != sorted(came):
            log.error("feed.order_wrong", asked=len(came), answered=len(order))
            return self._leave(came, "failed")
        FEEDS_RANKED.labels("ranked").inc()
        return Ranked(order, is_ranked=True)

    async def close(self) -> None:
        """End what is still being asked."""
        for task in list(self._asked):
            task.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)

    async def _ask(self, candidates: list[Candidate], reader_id: uuid.UUID) -> list[uuid.UUID]:
        async with asyncio.timeout(GIVE_UP_S):
            answered = await self._hosts.ask(ObjectKey(FEED, reader_id), Rank(candidates), Answered)
        assert isinstance(answered.answer, Ranking), "rankers answer with a ranking"
        return answered.answer.order

    def _drop(self, task: asyncio.Task[list[uuid.UUID]]) -> None:
        self._asked.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, AppError | TimeoutError):
            log.info("feed.not_ranked", error=type(error).__name__)
        else:
            log.error("feed.not_ranked", error=type(error).__name__, exc_info=error)

    def _leave(self, came: list[uuid.UUID], why: str) -> Ranked:
        FEEDS_RANKED.labels(why).inc()
        return Ranked(came, is_ranked=False)
