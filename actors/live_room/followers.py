"""One running room and the edges that follow it: what they missed, what they are sent.

`host.py` keeps these; the rules are in `room.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from actors.link.frames import LinkLost
from actors.link.link import Link
from actors.live_room.activation import JSON, read_entries_after, write_lines
from actors.live_room.entries import (
    Acknowledge,
    Effect,
    EndSession,
    Entry,
    Finish,
    Publish,
    RoomMoved,
    Show,
    StorageAway,
)
from actors.live_room.messages import (
    ChatStored,
    HistoryAsk,
    HistoryPage,
    RequestDone,
    RequestRefused,
    RoomEntries,
    RoomOpen,
    RoomOpened,
    RoomShow,
    SessionEnd,
)
from actors.live_room.room import Room
from kit.clock import Clock
from kit.errors import AppError
from kit.settings import Settings
from storage.database import LOST_CONNECTION, Database

MISSED_MAX = 2000
PAGE_MAX = 200


@dataclass(frozen=True)
class HostPorts:
    """What a host uses; whoever made it opens and closes the database."""

    settings: Settings
    database: Database
    clock: Clock
    node: str


@dataclass
class HostedRoom:
    """A running room, and its followers by the name of their link."""

    room: Room
    touched_s: float
    followers: dict[str, Link] = field(default_factory=dict)

    def admit(self, link: Link, missed: list[Entry] | None) -> None:
        """Begin telling an edge of the room: first what it missed (None: it must begin anew)."""
        room = self.room
        self.followers[name_link(link)] = link
        link.send(
            RoomOpened(
                room_id=room.id,
                owner_id=room.owner_id,
                epoch=str(room.epoch),
                head=room.head,
                status=str(room.status),
                missed=write_lines(room.id, missed or []),
                is_complete=missed is not None,
            )
        )
        link.send(RoomShow(room.id, "viewer_count", JSON.encode(room.get_counts())))

    def carry_out(self, effect: Effect, links: Mapping[str, Link]) -> None:
        """Send what an effect says to whom it concerns; lost links are passed over."""
        room_id = self.room.id
        if isinstance(effect, Publish):
            self._tell(RoomEntries(room_id, write_lines(room_id, effect.entries)))
        elif isinstance(effect, Show):
            self._tell(RoomShow(room_id, effect.kind, JSON.encode(effect.data)))
        elif isinstance(effect, EndSession):
            _send(links.get(effect.link), SessionEnd(room_id, effect.session_id))
        else:
            link = links.get(effect.requester.link)
            request_id = effect.requester.request_id
            if isinstance(effect, Acknowledge):
                epoch = str(self.room.epoch)
                stored = ChatStored(request_id, str(effect.message_id), epoch, effect.seq)
                _send(link, stored)
            elif isinstance(effect, Finish):
                _send(link, RequestDone(request_id))
            elif link is not None:
                self.refuse(link, request_id, effect.error)

    @staticmethod
    def refuse(link: Link, request_id: int, error: AppError) -> None:
        """Answer a request with an error."""
        details = {key: value for key, value in error.details.items() if isinstance(value, int)}
        refusal = RequestRefused(request_id, error.code, error.text, error.retryable, details)
        _send(link, refusal)

    def _tell(self, message: RoomEntries | RoomShow) -> None:
        for link in list(self.followers.values()):
            _send(link, message)


async def read_missed(
    database: Database, hosted: HostedRoom, message: RoomOpen
) -> list[Entry] | None:
    """Return what an edge missed, from memory or storage; None when it must begin anew.

    The answer is complete at the moment it is returned: call `admit` before awaiting again.
    """
    room = hosted.room
    if message.epoch is None:
        return []
    if message.epoch != str(room.epoch) or message.seq > room.head:
        return None
    entries = room.find_entries_after(message.seq)
    if entries is not None:
        return entries
    if room.head - message.seq > MISSED_MAX:
        return None
    async with database.connection() as connection:
        stored = await read_entries_after(connection, room.id, message.seq, MISSED_MAX)
    older = [entry for entry in stored if entry.seq <= room.head]
    newer = room.find_entries_after(older[-1].seq if older else message.seq)
    return None if newer is None else older + newer


async def send_page(
    database: Database, hosted: HostedRoom | None, link: Link, ask: HistoryAsk
) -> None:
    """Answer an edge that wants older entries."""
    if hosted is None:
        HostedRoom.refuse(link, ask.request_id, RoomMoved())
        return
    room, limit = hosted.room, max(1, min(ask.limit, PAGE_MAX))
    entries = room.find_entries_after(ask.seq)
    if entries is None:
        try:
            async with database.connection() as connection:
                entries = await read_entries_after(connection, room.id, ask.seq, limit)
        except (AppError, *LOST_CONNECTION):
            HostedRoom.refuse(link, ask.request_id, StorageAway(retry_after_s=1))
            return
        entries = [entry for entry in entries if entry.seq <= room.head]
    _send(link, HistoryPage(ask.request_id, write_lines(room.id, entries[:limit])))


def name_link(link: Link) -> str:
    """Return the name under which a host knows a peer: another incarnation is another peer."""
    return f"{link.peer.role}/{link.peer.name}/{link.peer.incarnation}"


def _send(link: Link | None, message: msgspec.Struct) -> None:
    if link is not None:
        with contextlib.suppress(LinkLost):
            link.send(message)
