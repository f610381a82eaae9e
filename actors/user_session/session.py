"""One person's session: where they are connected, whether they are there, what they are told.

No I/O: commands and a clock go in, effects come out. Presence is a latest state and is never
stored. A connection counts while the edge that holds it says so; edges repeat it to every owner.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from actors.hosting.effects import Effect, Refuse, Requester, Show
from actors.hosting.entries import Entry
from actors.hosting.log import Draft, Log
from actors.user_session.messages import ActivityReport, Deliver, SocketsReport
from kit.clock import Clock
from kit.errors import AppError, MalformedRequest

OFFLINE_AFTER_S = 10.0
"""A page that reloads comes back within this time, and nobody sees it go."""
AWAY_AFTER_S = 300.0
NOTICE_KIND = "notification"
NOTICE_BYTES_MAX = 8 << 10
NAME_CHARS_MAX = 64


class Presence(enum.StrEnum):
    """Whether a person is there."""

    ONLINE = "online"
    AWAY = "away"
    OFFLINE = "offline"


class NoticeTooLarge(MalformedRequest):
    """More than a notice may carry: the rest can be asked for."""

    code, message = "notice_too_large", "This notice is too large."


@dataclass(frozen=True)
class SessionFacts:
    """What storage knows of a session when it is activated."""

    id: uuid.UUID
    epoch: uuid.UUID
    head: int


@dataclass(frozen=True)
class SessionTerms:
    """What the rules take from outside: time and ids."""

    clock: Clock
    make_id: Callable[[], uuid.UUID]
    offline_after_s: float = OFFLINE_AFTER_S
    away_after_s: float = AWAY_AFTER_S


class UserSession:
    """The state of one person's session on the host that owns it."""

    def __init__(self, facts: SessionFacts, history: Sequence[Entry], terms: SessionTerms) -> None:
        self.id = facts.id
        self.epoch = facts.epoch
        self.log = Log(facts.head, history, terms.clock, _take_stored)
        self._terms = terms
        self._sockets: dict[str, SocketsReport] = {}
        self._presence: Presence | None = None
        """None: edges may not have reported yet, so nobody is said to be offline."""
        self._active_at_s = terms.clock.monotonic_s()
        self._offline_due_s: float | None = self._active_at_s + terms.offline_after_s

    # What can be asked

    @property
    def presence(self) -> Presence | None:
        """Whether the person is there; None: not known yet."""
        return self._presence

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost if the session were put away."""
        return self._presence is Presence.OFFLINE and self.log.depth == 0

    @property
    def due_s(self) -> float | None:
        """When the person goes away or offline if nothing happens."""
        if self._offline_due_s is not None:
            return self._offline_due_s
        if self._presence is Presence.ONLINE:
            return self._active_at_s + self._terms.away_after_s
        return None

    @property
    def audience(self) -> int:
        """How many sockets the person has open."""
        return sum(sum(at_edge.logins.values()) for at_edge in self._sockets.values())

    def describe(self) -> dict[str, str]:
        """Return how many devices and sockets the person is connected with."""
        logins = {login for at_edge in self._sockets.values() for login in at_edge.logins}
        return {"devices": str(len(logins)), "sockets": str(self.audience)}

    def snapshot(self) -> list[Show]:
        """Return the latest states as a fresh follower is shown them."""
        return [] if self._presence is None else [self._show()]

    # Commands

    def handle(self, requester: Requester, command: Any) -> list[Effect]:
        """Act on what an edge or the job runner says."""
        if isinstance(command, SocketsReport):
            return self.report_sockets(requester.link, command)
        if isinstance(command, ActivityReport):
            return self.report_activity()
        assert isinstance(command, Deliver), "the kind's commands are all handled here"
        return self.deliver(requester, command)

    def report_sockets(self, link: str, report: SocketsReport) -> list[Effect]:
        """Take an edge's sockets of the person; another one, or one come back to, is activity."""
        if not report.logins:
            return self.forget_link(link)
        before = self._sockets.get(link, SocketsReport({}, is_attended=False))
        is_more = sum(report.logins.values()) > sum(before.logins.values())
        if report.is_attended and (is_more or not before.is_attended):
            self._active_at_s = self._terms.clock.monotonic_s()
        self._sockets[link] = report
        return self._look()

    def report_activity(self) -> list[Effect]:
        """The person did something."""
        self._active_at_s = self._terms.clock.monotonic_s()
        return self._look()

    def forget_link(self, link: str) -> list[Effect]:
        """An edge is out of reach, or has no socket of the person any more."""
        self._sockets.pop(link, None)
        return self._look()

    def deliver(self, requester: Requester, notice: Deliver) -> list[Effect]:
        """Accept, repeat or refuse something to tell the person."""
        sender = (self.id, str(notice.event_id))
        repeated = self.log.find_answer(sender, requester)
        if repeated is not None:
            return repeated
        body = {"kind": notice.kind, "data": notice.data}
        try:
            _check_size(notice.kind, body)
            self.log.check_space()
        except AppError as error:
            return [Refuse(requester, error)]
        draft = Draft(self._terms.make_id(), NOTICE_KIND, body, [requester], sender)
        self.log.add(draft)
        return []

    def pass_time(self) -> list[Effect]:
        """Do what is due: away, or offline."""
        return self._look()

    # Within

    def _look(self) -> list[Effect]:
        """Decide whether the person is there, and show it when that changed."""
        now_s = self._terms.clock.monotonic_s()
        seen = self._presence
        if self._sockets:
            self._offline_due_s = None
            is_attended = any(report.is_attended for report in self._sockets.values())
            is_away = not is_attended or now_s - self._active_at_s >= self._terms.away_after_s
            self._presence = Presence.AWAY if is_away else Presence.ONLINE
        elif self._offline_due_s is None:
            if self._presence is not Presence.OFFLINE:
                self._offline_due_s = now_s + self._terms.offline_after_s
        elif now_s >= self._offline_due_s:
            self._offline_due_s = None
            self._presence = Presence.OFFLINE
        return [] if self._presence is seen else [self._show()]

    def _show(self) -> Show:
        return Show("presence", {"user_id": str(self.id), "status": str(self._presence)})


def _take_stored(_entry: Entry, _change: Any) -> list[Effect]:
    """Nothing of the session follows from what is stored."""
    return []


def _check_size(kind: str, body: dict[str, Any]) -> None:
    if not 1 <= len(kind) <= NAME_CHARS_MAX:
        raise NoticeTooLarge
    if len(msgspec.json.encode(body)) > NOTICE_BYTES_MAX:
        raise NoticeTooLarge
