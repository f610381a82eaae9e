"""One followed object and one request, as the client of a host keeps them.

`client.py` moves them from host to host; what they remember makes that invisible.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from actors.hosting.core import ObjectKey
from actors.hosting.effects import ObjectMoved
from actors.hosting.messages import Close, Denied, EntryLine, Open, Opened, Tell
from actors.hosting.ports import HostLink
from actors.link.frames import LinkLost
from kit.errors import AppError, Unavailable

RETRIED = frozenset({ObjectMoved.code})
"""Refusals that mean: ask the object's present owner."""
NOT_OPEN = "This cannot be opened right now; try again in a moment."


class RequestFailed(Unavailable):
    """The host refused; `refusal` says why in its own words."""

    code = "request_failed"

    def __init__(self, refusal: Denied) -> None:
        super().__init__(refusal.message, **refusal.details)
        self.refusal = refusal


class Followed:
    """A followed object: where it is open, how far its entries were delivered, and the standing
    facts that every owner is told when it opens the object.
    """

    def __init__(self, key: ObjectKey) -> None:
        self.key = key
        self.link: HostLink | None = None
        self.epoch: str | None = None
        self.seq = 0
        self.number = 0
        """Of the question that is, or was last, asked of an owner."""
        self.keeper: asyncio.Task[None] | None = None
        self._standing: dict[str, Any] = {}
        self._open = asyncio.Event()
        self._lost = asyncio.Event()
        self._outcome: asyncio.Future[Denied | None] | None = None
        """Of the present attempt to open, for whoever waits for it; a refusal ends the waiting."""
        self._answered: asyncio.Future[None] | None = None
        """Whoever asks to open waits for this: opened, refused or lost."""
        self._refusal = ""

    @property
    def is_open(self) -> bool:
        """Whether the owner is telling us of the object."""
        return self._open.is_set()

    async def wait_open(self) -> HostLink:
        """Return the owner's link once the object is open.

        Raises RequestFailed as soon as the owner refuses to open it; one that moved is waited for.
        """
        while self.link is None or not self._open.is_set():
            if self._outcome is None:
                self._outcome = asyncio.get_running_loop().create_future()
            # Shielded: one who goes away must not take the others' answer with them.
            refusal = await asyncio.shield(self._outcome)
            if refusal is not None:
                raise RequestFailed(refusal)
        return self.link

    def end_waiting(self, refusal: Denied | None) -> None:
        """Tell whoever waits for the object that it is open (None), or why it is not."""
        outcome, self._outcome = self._outcome, None
        if outcome is not None and not outcome.done():
            outcome.set_result(refusal)

    async def wait_lost(self) -> None:
        """Return when the object must be opened again."""
        await self._lost.wait()

    async def ask_to_open(self, link: HostLink, number: int) -> None:
        """Ask the owner and wait for its answer; raises LinkLost or RequestFailed.

        Answers that carry another number are to earlier questions, maybe of an earlier follower.
        """
        self.link, self._refusal, self.number = link, "", number
        self._lost.clear()
        link.send(Open(number, self.key, self.epoch, self.seq))
        self._answered = asyncio.get_running_loop().create_future()
        try:
            await self._answered
        finally:
            self._answered = None
        if self._lost.is_set():
            if self._refusal:
                raise RequestFailed(Denied(0, self._refusal, NOT_OPEN, True))
            raise LinkLost

    def be_opened(self, message: Opened) -> list[EntryLine]:
        """Take the owner's answer, tell it what stands here; returns what to deliver now."""
        is_fresh = self.epoch is None
        if is_fresh or not message.is_complete:
            self.epoch, self.seq = message.epoch, message.head
            missed: list[EntryLine] = []
        else:
            missed = self.take_fresh(message.missed)
        self._open.set()
        self._note_answer()
        self.end_waiting(None)
        for command in self._standing.values():
            self.tell(command)
        return missed

    def take_fresh(self, entries: list[EntryLine]) -> list[EntryLine]:
        """Return the entries not yet delivered, and count them as delivered."""
        fresh = [entry for entry in entries if entry.seq > self.seq]
        if fresh:
            self.seq = fresh[-1].seq
        return fresh

    def be_refused(self, code: str) -> None:
        """The host does not have the object (any more)."""
        self._refusal = code
        if self.link is not None:
            self.lose_link(self.link)

    def lose_link(self, link: HostLink) -> None:
        """The object is not open over this link any more."""
        if self.link is link:
            self.link = None
            self._open.clear()
            self._lost.set()
            self._note_answer()

    def _note_answer(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def tell(self, command: Any) -> None:
        """Tell the owner when the object is open; else the word is lost."""
        if self.link is not None and self._open.is_set():
            with contextlib.suppress(LinkLost):
                self.link.send(Tell(self.key, command))

    def keep_told(self, slot: str, command: Any, change: Any = None) -> None:
        """Tell the owner now, and every later owner, until the slot is told anew or dropped.

        An owner that knows what stood in the slot until now needs the `change` alone.
        """
        if self._standing.get(slot) != command:
            self._standing[slot] = command
            self.tell(command if change is None else change)

    def find_told(self, slot: str) -> Any | None:
        """Return what stands in a slot."""
        return self._standing.get(slot)

    def drop_told(self, slot: str) -> None:
        """Tell later owners nothing of this slot."""
        self._standing.pop(slot, None)

    def say_goodbye(self) -> None:
        """Tell the owner that nobody here follows the object."""
        if self.link is not None:
            with contextlib.suppress(LinkLost):
                self.link.send(Close(self.key))
        self.link = None
        self._open.clear()


class Request:
    """Something asked of an object; it may be asked of several owners until one answers."""

    def __init__(self, number: int, message: Any) -> None:
        self.number = number
        self._message = message
        self._link: HostLink | None = None
        self._answer: asyncio.Future[Any] | None = None

    async def ask(self, link: HostLink) -> Any:
        """Send to this owner and wait; raises RequestFailed or LinkLost."""
        self._answer = asyncio.get_running_loop().create_future()
        self._link = link
        link.send(self._message)
        return await self._answer

    def answer(self, message: Any) -> None:
        """Take the answer."""
        if isinstance(message, Denied):
            self._fail(RequestFailed(message))
        elif self._answer is not None and not self._answer.done():
            self._answer.set_result(message)

    def lose_link(self, link: HostLink) -> None:
        """The owner that was asked is out of reach."""
        if self._link is link:
            self._fail(LinkLost())

    def _fail(self, error: AppError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
