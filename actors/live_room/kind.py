"""Rooms as a kind of hosted object: how one is loaded, written and shown. No rules here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from actors.hosting.core import CoreTerms, HostRef, Kind, KindStore, Loaded, TickOutcome
from actors.hosting.entries import Batch, Entry, Known, Repeats
from actors.hosting.messages import API, EDGE
from actors.live_room.boards import run_room_boards
from actors.live_room.chat_state import ChatState, StoredRoom, read_held
from actors.live_room.entries import (
    Change,
    Patience,
    RoomStatus,
    RoomTerms,
    Speaker,
    describe_entry,
)
from actors.live_room.health import HealthAsk, HealthShown, IngestReport
from actors.live_room.members import MEMBERS_MAX, Member
from actors.live_room.messages import (
    Announce,
    ChatSend,
    HeldDecide,
    LineDelete,
    LinePin,
    LiveEnd,
    MemberChange,
    PublisherCut,
    PublisherDown,
    PublisherUp,
    RaidArrive,
    RaidStart,
    ReactionSend,
    RulesChange,
    SessionEnd,
    TypingSend,
    ViewersReport,
)
from actors.live_room.quality import QualityReport
from actors.live_room.review import ModerationPort
from actors.live_room.room import Room
from actors.live_room.rules import read_rules
from actors.live_room.talk import HELD_MAX
from storage.database import Connection
from storage.placements import ROOM
from storage.room_rules import MemberRow, find_rules, list_held, list_members, list_pins
from storage.rooms import (
    RoomMessage,
    StatusChange,
    find_owned_room,
    list_messages_after,
    list_messages_before,
    list_unowned_rooms,
    write_tick,
)

READ_MAX = 1000
PATIENCE = Patience()


async def load_room(
    connection: Connection, host: HostRef, room_id: uuid.UUID, history_max: int
) -> Loaded | None:
    """Read a room and its recent entries; None when `host` does not own it."""
    record = await find_owned_room(connection, host, room_id)
    if record is None:
        return None
    recent = await list_messages_before(connection, room_id, None, history_max)
    history = [read_entry(message) for message in reversed(recent)]
    facts = StoredRoom(
        id=record.id,
        owner_id=record.owner_id,
        epoch=record.epoch,
        head=history[-1].seq if history else record.head,
        status=RoomStatus(record.status),
        origin=record.origin,
        origin_gen=record.origin_gen,
        viewers_peak=record.viewers_peak,
        chat=await load_chat(connection, room_id),
    )
    return Loaded(facts, history, record.placement)


async def load_chat(connection: Connection, room_id: uuid.UUID) -> ChatState:
    """Read what a room knows of its chat beyond lines."""
    now = datetime.now(UTC)
    members = await list_members(connection, room_id, now, MEMBERS_MAX)
    held = await list_held(connection, room_id, HELD_MAX)
    return ChatState(
        rules=read_rules(await find_rules(connection, room_id)),
        members={row.user_id: read_row(row) for row in members},
        pins=tuple(await list_pins(connection, room_id)),
        held={row.id: read_held(row.id, row.body) for row in held},
    )


def read_row(row: MemberRow) -> Member:
    """Turn a row of a room's member into what the room remembers."""
    return Member(
        person=Speaker(row.user_id, row.username, row.display_name),
        is_moderator=row.role == "moderator",
        is_banned=row.is_banned,
        timed_out_until=row.timed_out_until,
    )


def make_room(
    loaded: Loaded,
    terms: CoreTerms,
    *,
    is_moderated: bool = False,
    patience: Patience = PATIENCE,
) -> Room:
    """Build the room from what was loaded."""
    limits = terms.limits
    rules = RoomTerms(
        clock=terms.clock,
        make_id=terms.make_id,
        chat_chars_max=limits.chat_chars_max,
        chat_per_10_s_max=limits.chat_per_10_s_max,
        is_moderated=is_moderated,
        moderation_timeout_s=limits.chat_moderation_timeout_s,
        moderation_default=limits.chat_moderation_default,
        patience=patience,
    )
    return Room(loaded.facts, loaded.history, rules, loaded.facts.chat.copy())


async def write_rooms(
    connection: Connection, host: HostRef, batches: Mapping[uuid.UUID, Batch]
) -> TickOutcome:
    """Write the batches of one tick in one statement."""
    messages = [
        write_message(room_id, entry)
        for room_id, batch in batches.items()
        for entry in batch.entries
    ]
    changes = [
        _write_change(room_id, batch.change)
        for room_id, batch in batches.items()
        if batch.change is not None
    ]
    outcome = await write_tick(connection, host, messages, changes)
    repeated: dict[uuid.UUID, Repeats] = {}
    for (room_id, user_id, client_id), known in outcome.repeated.items():
        repeated.setdefault(room_id, {})[(user_id, client_id)] = Known(*known)
    return TickOutcome(outcome.fenced, repeated)


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


def write_message(room_id: uuid.UUID, entry: Entry) -> RoomMessage:
    """Turn an entry into a row."""
    return RoomMessage(
        room_id=room_id,
        seq=entry.seq,
        id=entry.id,
        kind=entry.kind,
        user_id=entry.user_id,
        client_id=entry.client_id,
        body=entry.body,
        created_at=entry.created_at,
    )


def _write_change(room_id: uuid.UUID, change: Change) -> StatusChange:
    return StatusChange(
        room_id=room_id,
        status=str(change.status),
        origin=change.origin,
        origin_gen=change.origin_gen,
        viewers_peak=change.viewers_peak,
        at=change.at,
        event_id=change.event_id,
        event_name=change.event_name,
    )


MODERATING = (LineDelete, LinePin, MemberChange, RulesChange, HeldDecide, Announce)
WATCHING = (
    ChatSend,
    TypingSend,
    ReactionSend,
    ViewersReport,
    QualityReport,
    PublisherUp,
    PublisherDown,
    IngestReport,
)
RUNNING = (ChatSend, ReactionSend, PublisherCut, LiveEnd, RaidStart, RaidArrive, HealthAsk)


def make_room_kind(moderation: ModerationPort | None = None) -> Kind:
    """Return the kind; with a port, it looks at guests' lines before anybody sees them."""
    return Kind(
        name=ROOM,
        make_core=partial(make_room, is_moderated=moderation is not None),
        describe_entry=describe_entry,
        commands={EDGE: (*WATCHING, *MODERATING), API: (*RUNNING, *MODERATING)},
        durable=(ChatSend, RaidStart, RaidArrive, *MODERATING),
        signals=(SessionEnd,),
        answers=(HealthShown,),
        store=KindStore(
            load=load_room,
            write=write_rooms,
            read_after=read_entries_after,
            list_unowned=list_unowned_rooms,
        ),
        consult=moderation,
        run_beside=run_room_boards,
    )


ROOM_KIND = make_room_kind()
