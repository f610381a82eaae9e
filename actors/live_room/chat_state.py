"""What a room knows of its chat beyond lines: rules, members, pins, and what waits for review.

Pure, and a fold: `apply` takes one durable entry after another, whoever decided it, so that the
state loaded from storage plus the entries since is the state. The same entries change the same
rows (`storage/room_rules.py`), and every client folds what `describe` showed it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from actors.live_room.entries import RoomFacts, Speaker, describe_speaker, read_speaker
from actors.live_room.members import Member
from actors.live_room.rules import RoomRules, WordFilter, describe_rules, read_rules

RULES_CHANGED = "rules_changed"
MEMBER_CHANGED = "member_changed"
PINS_CHANGED = "pins_changed"
MESSAGE_DELETED = "message_deleted"
MESSAGE_HELD = "message_held"
HELD_REFUSED = "held_refused"
CHAT_MESSAGE = "chat_message"
ANNOUNCEMENT = "announcement"
RAID = "raid"
RAIDED = "raided"

STATE_KINDS = frozenset(
    {RULES_CHANGED, MEMBER_CHANGED, PINS_CHANGED, MESSAGE_DELETED, MESSAGE_HELD, HELD_REFUSED}
)
"""Entries that change this state; a chat message does when it was held before."""


@dataclass(frozen=True)
class HeldLine:
    """A line that waits for a moderator; nobody else sees it."""

    id: uuid.UUID
    user: dict[str, str]
    text: str
    client_id: str
    why: str


@dataclass
class ChatState:
    """The state of one room's chat."""

    rules: RoomRules = field(default_factory=RoomRules)
    members: dict[uuid.UUID, Member] = field(default_factory=dict)
    pins: tuple[dict[str, Any], ...] = ()
    held: dict[uuid.UUID, HeldLine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.words = WordFilter(self.rules)

    def copy(self) -> ChatState:
        """Return a state of its own with the same content."""
        return ChatState(self.rules, dict(self.members), self.pins, dict(self.held))

    def apply(self, kind: str, entry_id: uuid.UUID, body: Mapping[str, Any]) -> None:
        """Take one entry of the durable channel."""
        if kind == RULES_CHANGED:
            self.rules = read_rules(body["rules"])
            self.words = WordFilter(self.rules)
        elif kind == MEMBER_CHANGED:
            self._apply_member(read_member(body))
        elif kind == PINS_CHANGED or (kind == MESSAGE_DELETED and "pins" in body):
            self.pins = tuple(body["pins"])
        elif kind == MESSAGE_HELD:
            self.held[entry_id] = read_held(entry_id, body)
        elif kind == HELD_REFUSED or (kind == CHAT_MESSAGE and "held_id" in body):
            self.held.pop(uuid.UUID(body["held_id"]), None)

    def list_moderators(self) -> list[dict[str, str]]:
        """Return the room's moderators as events show people."""
        return [describe_speaker(m.person) for m in self.members.values() if m.is_moderator]

    def describe(self) -> dict[str, Any]:
        """Return what everybody may see, as a fresh follower is shown it."""
        return {
            "rules": describe_rules(self.rules),
            "pins": list(self.pins),
            "moderators": sorted(self.list_moderators(), key=lambda person: person["id"]),
        }

    def forget_plain(self, now: datetime) -> None:
        """Drop people of whom nothing needs to be remembered any more."""
        self.members = {
            user_id: member for user_id, member in self.members.items() if not member.is_plain(now)
        }

    def _apply_member(self, member: Member) -> None:
        is_plain = not (member.is_moderator or member.is_banned or member.timed_out_until)
        if is_plain:
            self.members.pop(member.person.user_id, None)
        else:
            self.members[member.person.user_id] = member


@dataclass(frozen=True)
class StoredRoom(RoomFacts):
    """What storage knows of a room, its chat included."""

    chat: ChatState


def write_member(member: Member, by: Speaker, reason: str) -> dict[str, Any]:
    """Write a member as the body of the entry that tells of them."""
    until = member.timed_out_until
    return {
        "user": describe_speaker(member.person),
        "role": "moderator" if member.is_moderator else "guest",
        "is_banned": member.is_banned,
        "timed_out_until": None if until is None else until.isoformat(),
        "reason": reason,
        "by": describe_speaker(by),
    }


def read_member(body: Mapping[str, Any]) -> Member:
    """Read the member an entry tells of."""
    until = body["timed_out_until"]
    return Member(
        person=read_speaker(body["user"]),
        is_moderator=body["role"] == "moderator",
        is_banned=body["is_banned"],
        timed_out_until=None if until is None else datetime.fromisoformat(until),
    )


def read_held(entry_id: uuid.UUID, body: Mapping[str, Any]) -> HeldLine:
    """Read a line that waits from its entry."""
    return HeldLine(entry_id, body["user"], body["text"], body["client_id"], body["why"])
