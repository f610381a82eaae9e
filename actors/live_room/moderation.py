"""What moderators decide, turned into durable entries. Pure.

`room.py` asks here with the state as it will be once everything that waits is stored; an empty
answer means that it is so already. Refusals are raised.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from actors.live_room import chat_state as kinds
from actors.live_room.chat_state import ChatState, write_member
from actors.live_room.entries import Speaker, describe_speaker
from actors.live_room.members import (
    MEMBERS_MAX,
    MODERATORS_MAX,
    Member,
    Rank,
    TooManyMembers,
    check_above,
    check_rank,
    decide_rank,
)
from actors.live_room.messages import (
    HeldDecide,
    LineDelete,
    LinePin,
    MemberAct,
    MemberChange,
    RulesChange,
)
from actors.live_room.rules import clean_rules, read_rules, write_rules
from kit.clock import format_time
from kit.errors import Conflict, MalformedRequest, NotFound

PINS_MAX = 3
TIME_OUT_S_MAX = 14 * 24 * 3600
REASON_CHARS_MAX = 200

Command = LineDelete | LinePin | MemberChange | RulesChange | HeldDecide
Decision = tuple[str, dict[str, Any]]
"""Kind and body of an entry."""


class TooManyPins(Conflict):
    """More pinned lines than a room shows."""

    code, message = "too_many_pins", f"A room shows {PINS_MAX} pinned lines; take one down first."


class TimeOutInvalid(MalformedRequest):
    """A time-out of no length, or longer than two weeks."""

    code, message = "time_out_invalid", "A time-out lasts from a second to 14 days."


class HeldLineNotFound(NotFound):
    """The line does not wait (any more)."""

    code, message = "held_line_not_found", "This line does not wait for a decision any more."


class Scene(msgspec.Struct, frozen=True):
    """What a decision looks at."""

    owner_id: uuid.UUID
    state: ChatState
    now: datetime

    def rank(self, person: Speaker) -> Rank:
        """Return a person's rank here."""
        return decide_rank(person, self.owner_id, self.state.members)


def decide(scene: Scene, command: Command) -> list[Decision]:
    """Return the entries that carry the command out; raises what refuses it."""
    if isinstance(command, LineDelete):
        return _delete_line(scene, command)
    if isinstance(command, LinePin):
        return _pin_line(scene, command)
    if isinstance(command, MemberChange):
        return _change_member(scene, command)
    if isinstance(command, RulesChange):
        return _change_rules(scene, command)
    return _decide_held(scene, command)


def _delete_line(scene: Scene, command: LineDelete) -> list[Decision]:
    """Whoever wrote a line may take it back; moderators may take down anybody's."""
    line = command.line
    if line.user.get("id") != str(command.by.user_id):
        check_rank(scene.rank(command.by), Rank.MODERATOR)
    body: dict[str, Any] = {
        "message_id": str(line.id),
        "offset": line.seq,
        "by": describe_speaker(command.by),
    }
    kept = [pin for pin in scene.state.pins if pin["id"] != str(line.id)]
    if len(kept) < len(scene.state.pins):
        body["pins"] = kept  # in the same entry: a line is never gone and still pinned
    return [(kinds.MESSAGE_DELETED, body)]


def _pin_line(scene: Scene, command: LinePin) -> list[Decision]:
    check_rank(scene.rank(command.by), Rank.MODERATOR)
    line, pins = command.line, list(scene.state.pins)
    is_pinned = any(pin["id"] == str(line.id) for pin in pins)
    if is_pinned == command.is_pinned:
        return []
    if not command.is_pinned:
        return [_set_pins(command.by, [pin for pin in pins if pin["id"] != str(line.id)])]
    if len(pins) >= PINS_MAX:
        raise TooManyPins
    pin = {
        "id": str(line.id),
        "user": line.user,
        "text": line.text,
        "created_at": format_time(line.created_at),
    }
    return [_set_pins(command.by, [*pins, pin])]


def _set_pins(by: Speaker, pins: list[dict[str, Any]]) -> Decision:
    return kinds.PINS_CHANGED, {"pins": pins, "by": describe_speaker(by)}


def _change_member(scene: Scene, command: MemberChange) -> list[Decision]:
    rank, person = scene.rank(command.by), command.person
    if command.act in (MemberAct.APPOINT, MemberAct.DISMISS):
        check_rank(rank, Rank.OWNER)
    check_above(rank, scene.rank(person))
    members = scene.state.members
    before = members.get(person.user_id, Member(person))
    after = replace(_act_on(before, command, scene.now), person=person)
    if after == replace(before, person=person):
        return []
    if command.act is MemberAct.APPOINT:
        moderators = sum(member.is_moderator for member in members.values())
        if moderators >= MODERATORS_MAX:
            raise TooManyMembers
    if person.user_id not in members and len(members) >= MEMBERS_MAX:
        raise TooManyMembers
    reason = command.reason[:REASON_CHARS_MAX]
    return [(kinds.MEMBER_CHANGED, write_member(after, command.by, reason))]


def _act_on(member: Member, command: MemberChange, now: datetime) -> Member:
    """Return the member after one act; a ban and a time-out end being a moderator."""
    act = command.act
    if act is MemberAct.APPOINT:
        return Member(member.person, is_moderator=True)
    if act is MemberAct.DISMISS:
        return replace(member, is_moderator=False)
    if act is MemberAct.BAN:
        return Member(member.person, is_banned=True)
    if act is MemberAct.TIME_OUT:
        if not 1 <= command.duration_s <= TIME_OUT_S_MAX:
            raise TimeOutInvalid
        until = now + timedelta(seconds=command.duration_s)
        return replace(member, is_moderator=False, timed_out_until=until)
    return replace(member, is_banned=False, timed_out_until=None)


def _change_rules(scene: Scene, command: RulesChange) -> list[Decision]:
    """Take the fields that were sent; the others stay as they are."""
    check_rank(scene.rank(command.by), Rank.OWNER)
    present = write_rules(scene.state.rules)
    rules = clean_rules(read_rules({**present, **command.rules}))
    if rules == scene.state.rules:
        return []
    body = {"rules": write_rules(rules), "by": describe_speaker(command.by)}
    return [(kinds.RULES_CHANGED, body)]


def _decide_held(scene: Scene, command: HeldDecide) -> list[Decision]:
    check_rank(scene.rank(command.by), Rank.MODERATOR)
    line = scene.state.held.get(command.held_id)
    if line is None:
        raise HeldLineNotFound
    by = describe_speaker(command.by)
    if not command.is_approved:
        return [(kinds.HELD_REFUSED, {"held_id": str(line.id), "by": by})]
    body = {
        "user": line.user,
        "text": line.text,
        "client_id": line.client_id,
        "held_id": str(line.id),
    }
    return [(kinds.CHAT_MESSAGE, body)]
