"""Rankers as a kind of hosted object: how one is loaded and written. No rules here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from actors.feed_ranker.messages import Rank, Ranking
from actors.feed_ranker.ranker import (
    BOUNDS,
    SHOWN_KIND,
    FeedRanker,
    RankerFacts,
    RankerTerms,
)
from actors.hosting.core import CoreTerms, HostRef, Kind, KindStore, Loaded, TickOutcome
from actors.hosting.entries import Batch, Entry
from actors.hosting.messages import API
from storage.database import Connection
from storage.feed_shown import (
    ShownPosts,
    find_owned_ranker,
    list_newest_shown,
    list_shown_after,
    write_shown_tick,
)
from storage.placements import FEED

RANKERS_MAX = 5_000
"""Of the objects that a host runs; a ranker is put away after a minute without a page."""


async def load_ranker(
    connection: Connection, host: HostRef, user_id: uuid.UUID, _history_max: int
) -> Loaded | None:
    """Read what a reader was shown; None when `host` does not own it."""
    placement = await find_owned_ranker(connection, host, user_id)
    if placement is None:
        return None
    recent = await list_newest_shown(connection, user_id, BOUNDS.entries_max)
    history = [read_entry(row) for row in reversed(recent)]
    return Loaded(RankerFacts(user_id, history[-1].seq if history else 0), history, placement)


def make_ranker(loaded: Loaded, terms: CoreTerms) -> FeedRanker:
    """Build the ranker from what was loaded."""
    return FeedRanker(loaded.facts, loaded.history, RankerTerms(terms.clock, terms.make_id))


async def write_rankers(
    connection: Connection, host: HostRef, batches: Mapping[uuid.UUID, Batch]
) -> TickOutcome:
    """Write the batches of one tick in one statement."""
    rows = [
        ShownPosts(user_id, entry.seq, entry.id, _read_posts(entry), entry.created_at)
        for user_id, batch in batches.items()
        for entry in batch.entries
    ]
    fenced = await write_shown_tick(connection, host, rows, keep_max=BOUNDS.entries_max)
    return TickOutcome(fenced, {})


async def read_entries_after(
    connection: Connection, user_id: uuid.UUID, seq: int, entries_max: int
) -> list[Entry]:
    """Return stored entries after `seq`, at most `entries_max`, oldest first."""
    rows = await list_shown_after(connection, user_id, seq, entries_max)
    return [read_entry(row) for row in rows]


def read_entry(row: ShownPosts) -> Entry:
    """Turn a row into an entry."""
    body = {"posts": [str(post_id) for post_id in row.posts]}
    return Entry(row.seq, row.id, SHOWN_KIND, None, None, body, row.created_at)


def describe_entry(_user_id: uuid.UUID, entry: Entry) -> dict[str, Any]:
    """Return the `data` of the event that tells of an entry."""
    return entry.body


def _read_posts(entry: Entry) -> list[uuid.UUID]:
    return [uuid.UUID(text) for text in entry.body["posts"]]


FEED_KIND = Kind(
    name=FEED,
    make_core=make_ranker,
    describe_entry=describe_entry,
    commands={API: (Rank,)},
    durable=(),
    signals=(),
    answers=(Ranking,),
    objects_max=RANKERS_MAX,
    store=KindStore(
        load=load_ranker,
        write=write_rankers,
        read_after=read_entries_after,
        connections_max=1,  # no room, publisher or chat waits for a feed's order
    ),
)
"""Readers' rankers, for the hosts that run them and the API that asks them."""
