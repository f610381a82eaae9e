"""One followed room and one request, as the client of a host keeps them.

`client.py` moves them from host to host; what they remember makes that invisible.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any

from actors.link.frames import LinkLost
from actors.link.link import Link
from actors.live_room.entries import RoomMoved
from actors.live_room.messages import (
    EntryLine,
    PublisherDown,
    PublisherFact,
    PublisherUp,
    RequestRefused,
    RoomClose,
    RoomOpen,
    RoomOpened,
    ViewersReport,
)
from kit.errors import AppError, Unavailable

RETRIED = frozenset({RoomMoved.code})
"""Refusals that mean: ask the room's present owner."""


class RequestFailed(Unavailable):
    """The host refused; `refusal` says why in its own words."""

    code = "request_failed"

    def __init__(self, refusal: RequestRefused) -> None:
        super().__init__(refusal.message, **refusal.details)
        self.refusal = refusal


class ClientRoom:
    """A followed room: where it is open, and how far its entries were delivered."""

    def __init__(self, room_id: uuid.UUID) -> None:
        self.id = room_id
        self.link: Link | None = None
        self.epoch: str | None = None
        self.seq = 0
        self.keeper: asyncio.Task[None] | None = None
        self._viewers = 0
        self._publisher: PublisherFact | None = None
        self._open = asyncio.Event()
        self._lost = asyncio.Event()
        self._refusal = ""
        self._asked: RoomOpen | None = None

    @property
    def is_open(self) -> bool:
        """Whether the owner is telling us of the room."""
        return self._open.is_set()

    async def wait_open(self) -> Link:
        """Return the owner's link once the room is open."""
        while True:
            await self._open.wait()
            if self.link is not None:
                return self.link

    async def wait_lost(self) -> None:
        """Return when the room must be opened again."""
        await self._lost.wait()

    async def ask_to_open(self, link: Link) -> None:
        """Ask the owner and wait for its answer; raises LinkLost or RequestFailed."""
        self.link, self._refusal = link, ""
        self._lost.clear()
        asked = RoomOpen(self.id, self.epoch, self.seq, self._viewers, self._publisher)
        self._asked = asked
        link.send(asked)
        answered = asyncio.create_task(self._open.wait())
        failed = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait((answered, failed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answered.cancel()
            failed.cancel()
        if self._lost.is_set():
            if self._refusal:
                raise RequestFailed(RequestRefused(0, self._refusal, "Not open.", True))
            raise LinkLost

    def be_opened(self, message: RoomOpened) -> list[EntryLine]:
        """Take the owner's answer; returns what to deliver now."""
        is_fresh = self.epoch is None
        if is_fresh or not message.is_complete:
            self.epoch, self.seq = message.epoch, message.head
            missed: list[EntryLine] = []
        else:
            missed = self.take_fresh(message.missed)
        self._open.set()
        self._tell_changes()
        return missed

    def _tell_changes(self) -> None:
        """Tell the owner what changed here while it was opening the room."""
        asked = self._asked
        if asked is None:
            return
        if self._viewers != asked.viewers:
            self.try_send(ViewersReport(self.id, self._viewers))
        before, now = asked.publisher, self._publisher
        if now is not None and now != before:
            self.try_send(PublisherUp(self.id, now))
        elif now is None and before is not None:
            self.try_send(PublisherDown(self.id, before.session_id, "left"))

    def take_fresh(self, entries: list[EntryLine]) -> list[EntryLine]:
        """Return the entries not yet delivered, and count them as delivered."""
        fresh = [entry for entry in entries if entry.seq > self.seq]
        if fresh:
            self.seq = fresh[-1].seq
        return fresh

    def be_refused(self, code: str) -> None:
        """The host does not have the room (any more)."""
        self._refusal = code
        if self.link is not None:
            self.lose_link(self.link)

    def lose_link(self, link: Link) -> None:
        """The room is not open over this link any more."""
        if self.link is link:
            self.link = None
            self._open.clear()
            self._lost.set()

    def try_send(self, message: Any) -> bool:
        """Send to the owner when the room is open; whether that was so."""
        if self.link is None or not self._open.is_set():
            return False
        with contextlib.suppress(LinkLost):
            self.link.send(message)
            return True
        return False

    def report_viewers(self, viewers: int) -> None:
        """Tell the owner now, and every later owner."""
        if viewers != self._viewers:
            self._viewers = viewers
            self.try_send(ViewersReport(self.id, viewers))

    def report_publisher(self, publisher: PublisherFact) -> None:
        """Tell the owner now, and every later owner."""
        self._publisher = publisher
        self.try_send(PublisherUp(self.id, publisher))

    def report_publisher_lost(self, session_id: str, reason: str) -> None:
        """Tell the owner, unless a newer publisher took over here."""
        if self._publisher is not None and self._publisher.session_id == session_id:
            self._publisher = None
        self.try_send(PublisherDown(self.id, session_id, reason))

    def say_goodbye(self) -> None:
        """Tell the owner that nobody here follows the room."""
        if self.link is not None:
            with contextlib.suppress(LinkLost):
                self.link.send(RoomClose(self.id))
        self.link = None
        self._open.clear()


class Request:
    """Something asked of a room; it may be asked of several owners until one answers."""

    def __init__(self, number: int, room_id: uuid.UUID, message: Any) -> None:
        self.number = number
        self.room_id = room_id
        self._message = message
        self._link: Link | None = None
        self._answer: asyncio.Future[Any] | None = None

    async def ask(self, link: Link) -> Any:
        """Send to this owner and wait; raises RequestFailed or LinkLost."""
        self._answer = asyncio.get_running_loop().create_future()
        self._link = link
        link.send(self._message)
        return await self._answer

    def answer(self, message: Any) -> None:
        """Take the answer."""
        if isinstance(message, RequestRefused):
            self._fail(RequestFailed(message))
        elif self._answer is not None and not self._answer.done():
            self._answer.set_result(message)

    def lose_link(self, link: Link) -> None:
        """The owner that was asked is out of reach."""
        if self._link is link:
            self._fail(LinkLost())

    def _fail(self, error: AppError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
