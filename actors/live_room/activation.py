"""Between a room's rows and its core: loading a room, and turning batches into rows and back.

The host calls it; no rules here.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

import msgspec

from actors.live_room.entries import Batch, Entry, RoomFacts, RoomStatus, RoomTerms, describe_entry
from actors.live_room.messages import EntryLine
from actors.live_room.room import HISTORY_MAX, Room
from storage.database import Connection, Database
from storage.rooms import (
    RoomMessage,
    StatusChange,
    find_owned_room,
    list_messages_after,
    list_messages_before,
)

READ_MAX = 1000
JSON = msgspec.json.Encoder()


async def load_room(
    database: Database, host: tuple[str, int], room_id: uuid.UUID, terms: RoomTerms
) -> Room | None:
    """Build the room from storage; None when `host` (id, incarnation) does not own it."""
    async with database.connection() as connection:
        record = await find_owned_room(connection, host, room_id)
        if record is None:
            return None
        recent = await list_messages_before(connection, room_id, None, HISTORY_MAX)
    history = [read_entry(message) for message in reversed(recent)]
    facts = RoomFacts(
        id=record.id,
        owner_id=record.owner_id,
        epoch=record.epoch,
        head=history[-1].seq if history else record.head,
        status=RoomStatus(record.status),
        origin=record.origin,
        origin_gen=record.origin_gen,
        viewers_peak=record.viewers_peak,
    )
    return Room(facts, history, terms)


async def read_entries_after(
    connection: Connection, room_id: uuid.UUID, seq: int, entries_max: int
) -> list[Entry]:
    """Return stored entries after `seq`, at most `entries_max`, oldest first."""
    entries: list[Entry] = []
    while len(entries) < entries_max:
        limit = min(READ_MAX, entries_max - len(entries))
        rows = await list_messages_after(connection, room_id, seq, limit)
        entries += [read_entry(row) for row in rows]
        if len(rows) < limit:
            break
        seq = entries[-1].seq
    return entries


def read_entry(message: RoomMessage) -> Entry:
    """Turn a row into an entry."""
    return Entry(
        seq=message.seq,
        id=message.id,
        kind=message.kind,
        user_id=message.user_id,
        client_id=message.client_id,
        body=message.body,
        created_at=message.created_at,
    )


def list_rows(batches: Mapping[uuid.UUID, Batch]) -> tuple[list[RoomMessage], list[StatusChange]]:
    """Turn the batches of one tick into rows and changes."""
    messages = [
        RoomMessage(
            room_id=room_id,
            seq=entry.seq,
            id=entry.id,
            kind=entry.kind,
            user_id=entry.user_id,
            client_id=entry.client_id,
            body=entry.body,
            created_at=entry.created_at,
        )
        for room_id, batch in batches.items()
        for entry in batch.entries
    ]
    changes = [
        StatusChange(
            room_id=room_id,
            status=str(batch.change.status),
            origin=batch.change.origin,
            origin_gen=batch.change.origin_gen,
            viewers_peak=batch.change.viewers_peak,
            at=batch.change.at,
            event_id=batch.change.event_id,
            event_name=batch.change.event_name,
        )
        for room_id, batch in batches.items()
        if batch.change is not None
    ]
    return messages, changes


def write_lines(room_id: uuid.UUID, entries: Sequence[Entry]) -> list[EntryLine]:
    """Write entries as links carry them: their data as JSON, once for everybody."""
    return [
        EntryLine(entry.seq, entry.kind, JSON.encode(describe_entry(room_id, entry)))
        for entry in entries
    ]
