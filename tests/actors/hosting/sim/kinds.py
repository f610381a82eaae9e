"""The kinds of objects in a site: their rows, and what a host reads of them when it loads one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from asyncpg.pgproto.pgproto import UUID

from actors.feed_ranker.kind import FEED_KIND
from actors.feed_ranker.ranker import BOUNDS, RankerFacts, ShownBook
from actors.hosting.core import Kind, ObjectKey
from actors.live_room.chat_state import ChatState, StoredRoom
from actors.live_room.entries import RoomFacts, RoomStatus
from actors.user_session.kind import USER_KIND
from actors.user_session.session import SessionFacts
from storage.placements import FEED, ROOM, USER
from tests.actors.hosting.sim.server import ObjectRow

OTHER_KINDS: tuple[Kind, ...] = (USER_KIND, FEED_KIND)
"""What hosts run beside rooms."""
ON_AIR = (RoomStatus.LIVE, RoomStatus.INTERRUPTED)


def make_stored_id(number: int) -> uuid.UUID:
    """Return an id of the type that asyncpg reads, which is hashed and printed in C."""
    return UUID(number.to_bytes(16, "big"))


OWNER = make_stored_id(5)
EPOCH = make_stored_id(7)


def make_row(key: ObjectKey) -> ObjectRow:
    """Return the row of an object with which nothing was done yet."""
    return make_room_row(key) if key.kind == ROOM else ObjectRow(FRESH[key.kind](key.id))


def read_facts(row: ObjectRow) -> Any:
    """Return an object's facts after all that was written."""
    if isinstance(row.facts, StoredRoom):
        return read_room_facts(row)
    return replace(row.facts, head=row.entries[-1].seq) if row.entries else row.facts


def make_room_row(key: ObjectKey) -> ObjectRow:
    """Return the row of a broadcast that has not begun."""
    status = RoomStatus.CREATED
    facts = StoredRoom(key.id, OWNER, EPOCH, 0, status, None, 0, 0, ChatState())
    row = ObjectRow(facts)
    row.needs_owner = lambda: bool(row.changes) and row.changes[-1].status in ON_AIR
    return row


def read_room_facts(row: ObjectRow) -> RoomFacts:
    """Return the room's facts after all changes that were written."""
    facts: RoomFacts = row.facts
    if not row.changes:
        return replace(facts, head=row.entries[-1].seq) if row.entries else facts
    last = row.changes[-1]
    return replace(
        facts,
        head=row.entries[-1].seq,
        status=last.status,
        origin=last.origin,
        origin_gen=last.origin_gen,
        viewers_peak=max(change.viewers_peak for change in row.changes),
    )


def read_shown(row: ObjectRow) -> Mapping[str, str]:
    """Return what a ranker knows that has folded all of its entries."""
    return ShownBook(BOUNDS, row.entries).describe()


FRESH: Mapping[str, Callable[[uuid.UUID], Any]] = {
    USER: lambda user_id: SessionFacts(user_id, EPOCH, 0),
    FEED: lambda user_id: RankerFacts(user_id, 0),
}
