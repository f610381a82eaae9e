"""Lines that wait for the moderation port's verdict before anybody sees them. Pure.

The port is asked once per line, in whatever order it answers; one person's lines are let go in
the order in which they were written. A port that does not answer in time counts as having said
what the site's settings state (`limits.chat_moderation_default`).
"""

from __future__ import annotations

import enum
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from actors.hosting.effects import ObjectBusy, Requester
from actors.hosting.entries import Sender
from actors.live_room.messages import ChatSend
from kit.errors import PermissionDenied

PER_SPEAKER_MAX = 20
LINES_MAX = 1000


class LineRefused(PermissionDenied):
    """Moderation refuses the line."""

    code, message = "line_refused", "This line was refused by moderation."


class Verdict(enum.StrEnum):
    """What moderation says of a line."""

    ALLOW = "allow"
    HOLD = "hold"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Question:
    """What the moderation port is shown."""

    room_id: uuid.UUID
    line_id: uuid.UUID
    user_id: uuid.UUID
    text: str


ModerationPort = Callable[[Question], Awaitable[Verdict]]
"""Looks at a line before anybody sees it; called with a deadline, and may fail."""


class WaitingLine(msgspec.Struct, eq=False):
    """A line and whoever wants to hear what became of it; `verdict` None: not known yet."""

    id: uuid.UUID
    line: ChatSend
    text: str
    requesters: list[Requester]
    verdict: Verdict | None
    why: str = ""

    @property
    def sender(self) -> Sender:
        """Who sent it under which id of their own."""
        return (self.line.speaker.user_id, self.line.client_id)


@dataclass
class ReviewDesk:
    """Waiting lines by speaker, each speaker's in order."""

    _lines: dict[uuid.UUID, deque[WaitingLine]] = field(default_factory=dict)
    _speakers: dict[uuid.UUID, uuid.UUID] = field(default_factory=dict)
    """Speakers by the id of a line that has no verdict yet."""
    _senders: dict[Sender, WaitingLine] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._senders)

    def find(self, sender: Sender) -> WaitingLine | None:
        """Return the waiting line that a sender repeats."""
        return self._senders.get(sender)

    def must_queue(self, user_id: uuid.UUID) -> bool:
        """Whether an earlier line of this person waits, so that the next one must too."""
        return user_id in self._lines

    def check_space(self, user_id: uuid.UUID) -> None:
        """Raise ObjectBusy when too much waits, of everybody or of one person."""
        if len(self) >= LINES_MAX or len(self._lines.get(user_id, ())) >= PER_SPEAKER_MAX:
            raise ObjectBusy(retry_after_s=1)

    def add(self, waiting: WaitingLine) -> None:
        """Keep a line, behind the earlier ones of its speaker."""
        user_id = waiting.line.speaker.user_id
        self._lines.setdefault(user_id, deque()).append(waiting)
        self._senders[waiting.sender] = waiting
        if waiting.verdict is None:
            self._speakers[waiting.id] = user_id

    def take_all(self) -> list[WaitingLine]:
        """Return every waiting line, each speaker's in order, and forget them."""
        waiting = [line for lines in self._lines.values() for line in lines]
        self._lines.clear()
        self._speakers.clear()
        self._senders.clear()
        return waiting

    def take_verdict(self, line_id: uuid.UUID, verdict: Verdict, why: str) -> list[WaitingLine]:
        """Note a verdict; returns the lines that may go now, in their speaker's order."""
        user_id = self._speakers.pop(line_id, None)
        if user_id is None:
            return []
        lines = self._lines[user_id]
        for waiting in lines:
            if waiting.id == line_id:
                waiting.verdict, waiting.why = verdict, why
        free: list[WaitingLine] = []
        while lines and lines[0].verdict is not None:
            free.append(lines.popleft())
            del self._senders[free[-1].sender]
        if not lines:
            del self._lines[user_id]
        return free
