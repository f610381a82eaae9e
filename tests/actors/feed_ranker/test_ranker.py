"""In which order a reader reads, and that snapshot and events since give the new snapshot."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.feed_ranker.kind import describe_entry
from actors.feed_ranker.messages import CANDIDATES_MAX, Candidate, Rank
from actors.feed_ranker.ranker import (
    BOUNDS,
    DRAFTS_MAX,
    VISIT_S,
    Bounds,
    FeedRanker,
    RankerFacts,
    RankerTerms,
    ShownBook,
)
from actors.hosting.effects import Answer, Publish, Refuse, Requester, StorageAway
from actors.hosting.entries import Entry
from kit.clock import ManualClock

pytestmark = pytest.mark.unit

ADA = uuid.UUID(int=1)
API = Requester("api/a/1", 7)
AT = datetime(2026, 1, 1, tzinfo=UTC)
POSTS = [Candidate(uuid.UUID(int=100 + n), AT + timedelta(seconds=n)) for n in range(60)]


@dataclass
class Stage:
    """A ranker, what storage holds of it, and a page that follows its channel."""

    bounds: Bounds = BOUNDS
    clock: ManualClock = field(default_factory=ManualClock)
    rows: list[Entry] = field(default_factory=list)
    told: list[Entry] = field(default_factory=list)
    ids: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        self.take_over()

    def take_over(self) -> None:
        """Load the ranker as another host does: no more rows than storage keeps."""
        self.rows = self.rows[-self.bounds.entries_max :]
        facts = RankerFacts(ADA, self.rows[-1].seq if self.rows else 0)
        terms = RankerTerms(
            self.clock, lambda: uuid.UUID(int=self.ids.getrandbits(128)), self.bounds
        )
        self.ranker = FeedRanker(facts, self.rows, terms)

    def ask(self, posts: list[Candidate]) -> list[int]:
        """Return the numbers of the posts in the order of the answer."""
        (answer,) = self.ranker.handle(API, Rank(posts))
        assert isinstance(answer, Answer)
        assert answer.requester == API
        return [post_id.int - 100 for post_id in answer.message.order]

    def store(self, outcome: str = "ok") -> None:
        """Let one tick be written, refused, or end unknown: not stored, or stored."""
        log = self.ranker.log
        batch = log.take_batch(100) if log.has_work else None
        if batch is None:
            return
        if outcome in ("ok", "kept"):
            self.rows += batch.entries
        if outcome == "ok":
            effects = log.confirm()
        elif outcome == "no":
            effects = log.revert(StorageAway())
        else:
            effects = log.resolve([row for row in self.rows if row.seq > log.head])
        for effect in effects:
            assert isinstance(effect, Publish)
            self.told += effect.entries

    @property
    def snapshot(self) -> dict[str, Any]:
        (show,) = self.ranker.snapshot()
        return show.data


def test_a_page_is_newest_first_whatever_the_order_it_came_in() -> None:
    assert Stage().ask([POSTS[1], POSTS[3], POSTS[2]]) == [3, 2, 1]


def test_what_an_earlier_visit_was_shown_is_set_back() -> None:
    stage = Stage()
    stage.ask([POSTS[5], POSTS[3]])
    stage.store()
    stage.clock.advance(VISIT_S + 1)
    assert stage.ask(POSTS[2:7]) == [6, 4, 2, 5, 3]


def test_a_page_that_is_reloaded_keeps_its_order() -> None:
    stage = Stage()
    stage.ask(POSTS[:2])
    stage.store()
    stage.clock.advance(VISIT_S + 1)
    first = stage.ask(POSTS[:5])
    stage.store()
    stage.clock.advance(VISIT_S - 1)
    assert stage.ask(POSTS[:5]) == first == [4, 3, 2, 1, 0]


def test_a_post_is_noted_once_while_it_waits_for_storage_and_afterwards() -> None:
    stage = Stage()
    for _ in range(3):
        stage.ask(POSTS[:2])
    assert stage.ranker.log.depth == 1
    stage.store()
    stage.ask(POSTS[:3])
    stage.store()
    assert [row.body["posts"] for row in stage.rows] == [
        [str(POSTS[1].id), str(POSTS[0].id)],
        [str(POSTS[2].id)],
    ]


def test_without_storage_pages_are_ordered_and_little_waits() -> None:
    stage = Stage()
    for number in range(20):
        assert stage.ask([POSTS[number]]) == [number]
    assert stage.ranker.log.depth == DRAFTS_MAX
    assert not stage.ranker.is_idle
    stage.store("no")
    assert stage.ranker.is_idle


def test_more_than_a_page_is_refused_and_not_noted() -> None:
    stage = Stage()
    (refusal,) = stage.ranker.handle(API, Rank(POSTS[:1] * (CANDIDATES_MAX + 1)))
    assert isinstance(refusal, Refuse)
    assert refusal.error.code == "too_many_candidates"
    assert stage.ranker.is_idle


def test_what_is_remembered_is_bounded() -> None:
    book = ShownBook(BOUNDS)
    for number in range(300):
        ids = [str(uuid.UUID(int=number * 50 + n)) for n in range(50)]
        book.apply({"posts": ids}, AT)
    assert len(book) == BOUNDS.posts_max
    for number in range(BOUNDS.entries_max + 50):
        book.apply({"posts": [str(uuid.UUID(int=10**6 + number))]}, AT)
    assert len(book) == BOUNDS.entries_max


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("ask"), st.sets(st.integers(0, 59), max_size=8)),
            st.tuples(st.just("store"), st.sampled_from(("ok", "ok", "no", "lost", "kept"))),
            st.tuples(st.just("pass"), st.sampled_from((1.0, 400.0))),
            st.tuples(st.just("takeover"), st.none()),
        ),
        max_size=60,
    ),
    st.sampled_from((Bounds(3, 8), BOUNDS)),
)
def test_snapshot_and_events_since_give_the_new_snapshot(
    steps: list[tuple[str, Any]], bounds: Bounds
) -> None:
    stage, page = Stage(bounds), ShownBook(bounds)
    for what, detail in steps:
        if what == "ask":
            posts = [POSTS[number] for number in sorted(detail)]
            assert sorted(stage.ask(posts)) == sorted(detail)
        elif what == "store":
            stage.store(detail)
        elif what == "pass":
            stage.clock.advance(detail)
        else:
            stage.take_over()
        for entry in stage.told:
            page.apply(describe_entry(ADA, entry), entry.created_at)
        stage.told.clear()
        assert stage.snapshot["posts"] == page.describe()
        assert stage.snapshot["offset"] == stage.ranker.log.head
        assert stage.ranker.log.depth <= DRAFTS_MAX
