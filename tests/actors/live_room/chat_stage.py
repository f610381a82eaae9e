"""A room without a host: commands go in, storage always works, and clients fold what they hear."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass, field
from typing import Any

from actors.hosting.effects import (
    Acknowledge,
    Consult,
    Effect,
    Finish,
    Publish,
    Refuse,
    Requester,
    Show,
)
from actors.hosting.entries import Entry
from actors.live_room.chat_state import ChatState
from actors.live_room.entries import (
    RoomFacts,
    RoomStatus,
    RoomTerms,
    Speaker,
    describe_entry,
)
from actors.live_room.messages import (
    ChatSend,
    HeldDecide,
    LineDelete,
    LinePin,
    LineRef,
    MemberAct,
    MemberChange,
    Membership,
    RulesChange,
)
from actors.live_room.room import Room
from kit.clock import ManualClock
from kit.errors import AppError

EDGE = "edge/edge-0/1"
ADA = Speaker(uuid.UUID(int=1), "ada", "Ada")
BOB = Speaker(uuid.UUID(int=2), "bob", "Bob")
CYD = Speaker(uuid.UUID(int=3), "cyd", "Cyd")
DAN = Speaker(uuid.UUID(int=4), "dan", "Dan")
ADMIN = Speaker(uuid.UUID(int=8), "root", "Root", "admin")
GUARD = Speaker(uuid.UUID(int=9), "guard", "Guard", "moderator")
ROOM_ID = uuid.UUID(int=99)


@dataclass
class ChatStage:
    """Ada's room; every accepted entry is stored when `store` is called."""

    clock: ManualClock
    terms: dict[str, Any] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    room: Room = field(init=False)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.room = self.open([], ChatState())

    def open(self, history: list[Entry], chat: ChatState, status: str = "live") -> Room:
        """Return the room as a host makes it from rows."""
        facts = RoomFacts(
            id=ROOM_ID,
            owner_id=ADA.user_id,
            epoch=uuid.UUID(int=10),
            head=history[-1].seq if history else 0,
            status=RoomStatus(status),
            origin=None,
            origin_gen=0,
            viewers_peak=0,
        )
        return Room(facts, history, RoomTerms(self.clock, uuid.uuid4, **self.terms), chat)

    # Doing

    def do(self, command: Any, *, stored: bool = True) -> int:
        """Give the room a command; returns the number its answer carries."""
        number = next(self._numbers)
        self.effects += self.room.handle(Requester(EDGE, number), command)
        if stored:
            self.store()
        return number

    def store(self) -> None:
        """Take everything that waits through storage."""
        while (batch := self.room.log.take_batch(100)) is not None:
            self.entries += batch.entries
            self.effects += self.room.log.confirm()

    def say(
        self,
        text: str,
        by: Speaker = BOB,
        membership: Membership | None = None,
        client_id: str = "",
    ) -> int:
        """Write a line; returns the number its answer carries."""
        client_id = client_id or f"c{next(self._numbers)}"
        return self.do(ChatSend(by, client_id, text, membership))

    def act(self, act: MemberAct, person: Speaker, by: Speaker = ADA, duration_s: int = 0) -> int:
        """Act on a person."""
        return self.do(MemberChange(by, person, act, duration_s))

    def rule(self, by: Speaker = ADA, **rules: Any) -> int:
        """Change rules."""
        return self.do(RulesChange(by, rules))

    def delete(self, line: LineRef, by: Speaker = ADA) -> int:
        """Take a line down."""
        return self.do(LineDelete(by, line))

    def pin(self, line: LineRef, by: Speaker = ADA, *, is_pinned: bool = True) -> int:
        """Pin a line, or take it from the wall."""
        return self.do(LinePin(by, line, is_pinned))

    def judge(self, held_id: uuid.UUID, by: Speaker = ADA, *, is_approved: bool) -> int:
        """Decide on a held line."""
        return self.do(HeldDecide(by, held_id, is_approved))

    # Looking

    def answer(self, number: int) -> str:
        """Return what was answered: `done`, an entry's kind, or the code of a refusal."""
        for effect in self.effects:
            if not isinstance(effect, Refuse | Finish | Acknowledge):
                continue
            if effect.requester.request_id != number:
                continue
            if isinstance(effect, Refuse):
                return effect.error.code
            return "done" if isinstance(effect, Finish) else effect.kind
        return "nothing"

    def refusal(self, number: int) -> AppError:
        """Return the error that answered."""
        (error,) = [
            effect.error
            for effect in self.effects
            if isinstance(effect, Refuse) and effect.requester.request_id == number
        ]
        return error

    def last_line(self) -> LineRef:
        """Return the newest chat line as a moderator points at it."""
        entry = [entry for entry in self.entries if entry.kind == "chat_message"][-1]
        return LineRef(
            entry.id, entry.seq, entry.body["user"], entry.body["text"], entry.created_at
        )

    def published(self) -> list[Entry]:
        """Return the entries shown so far."""
        shown = [effect for effect in self.effects if isinstance(effect, Publish)]
        return [entry for effect in shown for entry in effect.entries]

    def events(self) -> list[dict[str, Any]]:
        """Return what clients were told, with its kind."""
        return [
            {"kind": entry.kind, **describe_entry(ROOM_ID, entry)} for entry in self.published()
        ]

    def lines(self) -> list[str]:
        """Return the texts shown."""
        return [event["text"] for event in self.events() if event["kind"] == "chat_message"]

    def consults(self) -> list[Consult]:
        """Return what the port was asked."""
        return [effect for effect in self.effects if isinstance(effect, Consult)]

    def snapshot(self) -> dict[str, Any]:
        """Return what a fresh follower is shown of the chat."""
        (show,) = [show for show in self.room.snapshot() if show.kind == "room"]
        return show.data


def shown(effects: list[Effect], kind: str) -> list[dict[str, Any]]:
    """Return the latest states of a kind among effects."""
    return [effect.data for effect in effects if isinstance(effect, Show) and effect.kind == kind]
