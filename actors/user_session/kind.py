"""Sessions as a kind of hosted object: how one is loaded, written and shown. No rules here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from actors.hosting.core import CoreTerms, HostRef, Kind, KindStore, Loaded, TickOutcome
from actors.hosting.entries import Batch, Entry, Known, Repeats
from actors.hosting.messages import API, EDGE
from actors.user_session.messages import ActivityReport, Deliver, SocketsReport
from actors.user_session.session import (
    AWAY_AFTER_S,
    NOTICE_KIND,
    OFFLINE_AFTER_S,
    SessionFacts,
    SessionTerms,
    UserSession,
)
from kit.clock import format_time
from storage.database import Connection
from storage.placements import USER
from storage.user_entries import (
    UserEntry,
    find_owned_channel,
    list_entries_after,
    list_newest_entries,
    write_user_tick,
)


async def load_session(
    connection: Connection, host: HostRef, user_id: uuid.UUID, history_max: int
) -> Loaded | None:
    """Read a person's channel and recent entries; None when `host` does not own it."""
    channel = await find_owned_channel(connection, host, user_id)
    if channel is None:
        return None
    recent = await list_newest_entries(connection, user_id, history_max)
    history = [read_entry(entry) for entry in reversed(recent)]
    head = history[-1].seq if history else channel.head
    facts = SessionFacts(channel.id, channel.epoch, head)
    return Loaded(facts, history, channel.placement)


def make_session(
    loaded: Loaded,
    terms: CoreTerms,
    *,
    offline_after_s: float = OFFLINE_AFTER_S,
    away_after_s: float = AWAY_AFTER_S,
) -> UserSession:
    """Build the session from what was loaded."""
    rules = SessionTerms(terms.clock, terms.make_id, offline_after_s, away_after_s)
    return UserSession(loaded.facts, loaded.history, rules)


async def write_sessions(
    connection: Connection, host: HostRef, batches: Mapping[uuid.UUID, Batch]
) -> TickOutcome:
    """Write the batches of one tick in one statement."""
    entries = [
        _write_entry(user_id, entry)
        for user_id, batch in batches.items()
        for entry in batch.entries
    ]
    outcome = await write_user_tick(connection, host, entries)
    repeated: dict[uuid.UUID, Repeats] = {}
    for (user_id, event_id), (entry_id, seq) in outcome.repeated.items():
        known = Known(entry_id, seq, NOTICE_KIND)
        repeated.setdefault(user_id, {})[(user_id, str(event_id))] = known
    return TickOutcome(outcome.fenced, repeated)


async def read_entries_after(
    connection: Connection, user_id: uuid.UUID, seq: int, entries_max: int
) -> list[Entry]:
    """Return stored entries after `seq`, at most `entries_max`, oldest first."""
    rows = await list_entries_after(connection, user_id, seq, entries_max)
    return [read_entry(row) for row in rows]


def read_entry(row: UserEntry) -> Entry:
    """Turn a row into an entry."""
    return Entry(
        seq=row.seq,
        id=row.id,
        kind=row.kind,
        user_id=row.user_id,
        client_id=str(row.event_id),
        body=row.body,
        created_at=row.created_at,
    )


def describe_entry(_user_id: uuid.UUID, entry: Entry) -> dict[str, Any]:
    """Return the `data` of the event that tells of an entry."""
    return {
        "id": str(entry.id),
        "kind": entry.body["kind"],
        **entry.body["data"],
        "created_at": format_time(entry.created_at),
    }


def _write_entry(user_id: uuid.UUID, entry: Entry) -> UserEntry:
    assert entry.client_id is not None, "every notice carries the id of its event"
    return UserEntry(
        user_id=user_id,
        seq=entry.seq,
        id=entry.id,
        kind=entry.kind,
        event_id=uuid.UUID(entry.client_id),
        body=entry.body,
        created_at=entry.created_at,
    )


USER_KIND = Kind(
    name=USER,
    make_core=make_session,
    describe_entry=describe_entry,
    commands={EDGE: (SocketsReport, ActivityReport), API: (Deliver,)},
    durable=(Deliver,),
    signals=(),
    objects_max=40_000,
    store=KindStore(
        load=load_session,
        write=write_sessions,
        read_after=read_entries_after,
        connections_max=1,  # no room, publisher or chat waits for who is there
    ),
)
"""People's sessions, for the hosts that run them and the clients that ask them."""
