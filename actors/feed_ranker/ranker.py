"""One reader's feed: in which order they read, and what they were shown. Rules alone, no I/O.

Newest first, with posts set back that the reader was shown on an earlier visit. What was shown is
a durable channel: each entry lists posts shown for the first time, and what the ranker knows is
the fold of the newest entries, bounded. Losing an entry costs nothing but a post not set back.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from actors.feed_ranker.messages import CANDIDATES_MAX, Candidate, Rank, Ranking
from actors.hosting.effects import Answer, Effect, Refuse, Requester, Show
from actors.hosting.entries import Entry
from actors.hosting.log import Draft, Log
from kit.clock import Clock
from kit.errors import MalformedRequest

SHOWN_KIND = "posts_shown"
VISIT_S = 600.0
"""A post is set back from then on: whoever reloads a page meets it as it was."""
DRAFTS_MAX = 4
"""Entries that may wait for storage; beyond it nothing more is noted."""


class TooManyCandidates(MalformedRequest):
    """More posts than a page of a list has."""

    code, message = "too_many_candidates", "A ranker orders one page at a time."


@dataclass(frozen=True)
class RankerFacts:
    """Whose feed, and where its channel stands."""

    id: uuid.UUID
    head: int


@dataclass(frozen=True)
class Bounds:
    """How far back a ranker remembers; the longest known is forgotten first."""

    entries_max: int = 100
    """Entries that storage keeps, and that the fold looks back on."""
    posts_max: int = 1000


BOUNDS = Bounds()


@dataclass(frozen=True)
class RankerTerms:
    """What a ranker takes from outside."""

    clock: Clock
    make_id: Callable[[], uuid.UUID]
    bounds: Bounds = BOUNDS


class ShownBook:
    """When posts were first shown: the fold of the newest `posts_shown` entries."""

    def __init__(self, bounds: Bounds, history: Sequence[Entry] = ()) -> None:
        self._bounds = bounds
        self._entries: deque[tuple[datetime, tuple[uuid.UUID, ...]]] = deque()
        self._shown_at: dict[uuid.UUID, datetime] = {}
        self._size = 0
        for entry in history:
            self.apply(entry.body, entry.created_at)

    def __len__(self) -> int:
        return len(self._shown_at)

    def find(self, post_id: uuid.UUID) -> datetime | None:
        """Return when a post was first shown; None: not yet, or too long ago to be known."""
        return self._shown_at.get(post_id)

    def apply(self, body: dict[str, Any], at: datetime) -> None:
        """Fold one entry in, and forget the oldest entries beyond the bounds.

        What is known follows from the entries that are left alone, so that another owner, who
        loads no others, knows the same.
        """
        posts = tuple(uuid.UUID(text) for text in body["posts"])
        self._entries.append((at, posts))
        self._size += len(posts)
        has_forgotten = False
        bounds = self._bounds
        while len(self._entries) > bounds.entries_max or self._size > bounds.posts_max:
            self._size -= len(self._entries.popleft()[1])
            has_forgotten = True
        if has_forgotten:
            self._shown_at.clear()
        for shown_at, shown in self._entries if has_forgotten else [(at, posts)]:
            for post_id in shown:
                self._shown_at.setdefault(post_id, shown_at)

    def describe(self) -> dict[str, str]:
        """Return posts with the moment of their first showing, the earliest first."""
        return {str(post_id): at.isoformat() for post_id, at in self._shown_at.items()}


def decide_order(
    candidates: Sequence[Candidate], book: ShownBook, now: datetime
) -> list[uuid.UUID]:
    """Return the candidates' ids: newest first, what an earlier visit was shown behind the rest."""
    visit_began = now - timedelta(seconds=VISIT_S)

    def is_set_back(post: Candidate) -> bool:
        shown_at = book.find(post.id)
        return shown_at is not None and shown_at < visit_began

    newest_first = sorted(candidates, key=lambda post: (post.created_at, post.id), reverse=True)
    return [post.id for post in sorted(newest_first, key=is_set_back)]


class FeedRanker:
    """The state of one reader's ranker on the host that owns it."""

    def __init__(self, facts: RankerFacts, history: Sequence[Entry], terms: RankerTerms) -> None:
        self.id = self.epoch = facts.id
        self.log = Log(facts.head, history, terms.clock, self._take_stored)
        self._book = ShownBook(terms.bounds, history)
        self._terms = terms

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost if the ranker were put away."""
        return self.log.depth == 0

    @property
    def due_s(self) -> float | None:
        """Nothing is ever due: order is a matter of the moment in which it is asked for."""
        return None

    def describe(self) -> dict[str, str]:
        """Return what operators see."""
        return {"shown": str(len(self._book))}

    def snapshot(self) -> list[Show]:
        """Return what was shown; entries up to `offset` are in it."""
        return [Show("shown", {"posts": self._book.describe(), "offset": self.log.head})]

    def handle(self, requester: Requester, command: Any) -> list[Effect]:
        """Order a page, and remember that it was shown."""
        assert isinstance(command, Rank), "the kind's commands are all handled here"
        if len(command.candidates) > CANDIDATES_MAX:
            return [Refuse(requester, TooManyCandidates())]
        order = decide_order(command.candidates, self._book, self._terms.clock.now())
        self._note(order)
        return [Answer(requester, Ranking(order))]

    @property
    def audience(self) -> int:
        """Nobody is shown what a ranker stores."""
        return 0

    def pass_time(self) -> list[Effect]:
        """Do nothing."""
        return []

    def forget_link(self, _link: str) -> list[Effect]:
        """Nobody's presence matters here."""
        return []

    # Within

    def _note(self, shown: Sequence[uuid.UUID]) -> None:
        """Queue an entry of what was not shown before; with too many waiting it is let be."""
        drafts = self.log.list_drafts()
        if len(drafts) >= DRAFTS_MAX:
            return
        noting = {text for draft in drafts for text in draft.body["posts"]}
        fresh = [
            str(post_id)
            for post_id in dict.fromkeys(shown)
            if self._book.find(post_id) is None and str(post_id) not in noting
        ]
        if fresh:
            self.log.add(Draft(self._terms.make_id(), SHOWN_KIND, {"posts": fresh}, []))

    def _take_stored(self, entry: Entry, _change: Any) -> list[Effect]:
        self._book.apply(entry.body, entry.created_at)
        return []
