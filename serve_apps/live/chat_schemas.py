"""What the chat's moderation API takes and gives, as documented in OpenAPI."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from actors.live_room.chat_state import ChatState
from actors.live_room.members import Rank
from actors.live_room.reactions import Mark
from actors.live_room.rules import (
    FOLLOW_AGE_S_MAX,
    SLOW_MODE_S_MAX,
    WORD_CHARS_MAX,
    WORDS_MAX,
    RoomRules,
)
from kit.clock import format_time
from serve_apps.http.schemas import PersonBody
from serve_apps.live.chat_service import ChatView
from serve_apps.live.schemas import EXAMPLE_ID, EXAMPLE_USER
from storage.room_rules import HeldRow, MemberRow

EXAMPLE_LINE_ID = "01980f62-6666-7d3e-9f10-2b6f0c9a4d18"
EXAMPLE_RULES: dict[str, JsonValue] = {
    "slow_mode_s": 10,
    "followers_only": True,
    "follow_age_min_s": 600,
    "subscribers_only": False,
    "holds_links": True,
}
EXAMPLE_WORDS: dict[str, JsonValue] = {"blocked_words": ["spoiler"], "held_words": ["giveaway"]}
EXAMPLE_PIN: dict[str, JsonValue] = {
    "id": EXAMPLE_LINE_ID,
    "user": EXAMPLE_USER,
    "text": "Next stop: the bridge.",
    "created_at": "2026-01-01T21:12:31.000Z",
}
EXAMPLE_SILENCED: dict[str, JsonValue] = {
    "user": {**EXAMPLE_USER, "username": "mallory", "display_name": "Mallory"},
    "is_banned": False,
    "timed_out_until": "2026-01-01T21:30:00.000Z",
    "reason": "flooding",
    "changed_at": "2026-01-01T21:20:00.000Z",
}
Word = Annotated[str, StringConstraints(strip_whitespace=True, max_length=WORD_CHARS_MAX)]
Words = Annotated[list[Word], Field(max_length=WORDS_MAX)]
Username = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class RulesChangeRequest(BaseModel):
    """Changes what is given and leaves the rest."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"slow_mode_s": 10, "blocked_words": ["spoiler"]}]},
    )

    slow_mode_s: Annotated[int, Field(ge=0, le=SLOW_MODE_S_MAX)] | None = None
    followers_only: bool | None = None
    follow_age_min_s: Annotated[int, Field(ge=0, le=FOLLOW_AGE_S_MAX)] | None = None
    subscribers_only: bool | None = None
    blocked_words: Words | None = None
    held_words: Words | None = None
    holds_links: bool | None = None


class PersonRequest(BaseModel):
    """Names somebody."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"username": "ada"}]})

    username: Username


class BanRequest(BaseModel):
    """Bans somebody from the chat until they are pardoned."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"username": "mallory", "reason": "spam"}]}
    )

    username: Username
    reason: Reason = ""


class TimeOutRequest(BaseModel):
    """Silences somebody for a while."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"username": "mallory", "duration_s": 600, "reason": "flooding"}]
        },
    )

    username: Username
    duration_s: Annotated[int, Field(ge=1, le=14 * 24 * 3600)]
    reason: Reason = ""


class PinRequest(BaseModel):
    """Pins a line above the chat."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"message_id": EXAMPLE_LINE_ID}]}
    )

    message_id: uuid.UUID


class AnnouncementRequest(BaseModel):
    """Says something in the room's name; the same `client_id` again says it once."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"client_id": "9c41-3", "text": "We start in five minutes."}]
        },
    )

    client_id: str | None = Field(default=None, min_length=1, max_length=64)
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class ReactionRequest(BaseModel):
    """One reaction, as the socket's `react`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reaction": "🔥"}]})

    reaction: Mark


class RaidRequest(BaseModel):
    """Names the live that the viewers are sent to."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"live_id": "01980f61-7777-7d3e-9f10-2b6f0c9a4d19"}]},
    )

    live_id: uuid.UUID


class HeldRequest(BaseModel):
    """Decides on a line that waits."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"decision": "approve"}]}
    )

    decision: Literal["approve", "refuse"]


class RulesBody(BaseModel):
    """The rules as everybody may see them."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_RULES]})

    slow_mode_s: int = Field(description="Seconds between two lines of one person; 0: off.")
    followers_only: bool
    follow_age_min_s: int
    subscribers_only: bool
    holds_links: bool


class FullRulesBody(RulesBody):
    """The rules with their words, for moderators."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**EXAMPLE_RULES, **EXAMPLE_WORDS}]})

    blocked_words: list[str]
    held_words: list[str]


class MyChatBody(BaseModel):
    """What the caller is in this chat."""

    rank: Literal["guest", "moderator", "owner"]
    is_banned: bool
    timed_out_until: str | None


class ChatStateBody(BaseModel):
    """A chat beyond its lines; `me` is null for strangers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rules": EXAMPLE_RULES,
                    "pins": [EXAMPLE_PIN],
                    "moderators": [EXAMPLE_USER],
                    "me": {"rank": "guest", "is_banned": False, "timed_out_until": None},
                }
            ]
        }
    )

    rules: RulesBody
    pins: list[dict[str, Any]]
    moderators: list[PersonBody]
    me: MyChatBody | None


class SilencedBody(BaseModel):
    """Somebody who may not write."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_SILENCED]})

    user: PersonBody
    is_banned: bool
    timed_out_until: str | None
    reason: str
    changed_at: str


class SilencedList(BaseModel):
    """Everybody who may not write."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [EXAMPLE_SILENCED]}]})

    items: list[SilencedBody]


class HeldBody(BaseModel):
    """A line that waits, and why: `word`, `link`, `moderation` or `moderation_slow`."""

    id: uuid.UUID
    user: PersonBody
    text: str
    why: str
    created_at: str


class HeldList(BaseModel):
    """Lines that wait for a moderator, the oldest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "id": EXAMPLE_ID,
                            "user": EXAMPLE_USER,
                            "text": "giveaway at my place",
                            "why": "word",
                            "created_at": "2026-01-01T21:12:31.000Z",
                        }
                    ]
                }
            ]
        }
    )

    items: list[HeldBody]


def describe_chat(view: ChatView, viewer_id: uuid.UUID | None) -> ChatStateBody:
    """Write a chat's state for one viewer."""
    shown = view.state.describe()
    return ChatStateBody(
        rules=RulesBody(**shown["rules"]),
        pins=shown["pins"],
        moderators=[PersonBody(**person) for person in shown["moderators"]],
        me=None if viewer_id is None else _describe_me(view.state, view.rank, viewer_id),
    )


def describe_full_rules(rules: RoomRules) -> FullRulesBody:
    """Write the rules with their words."""
    return FullRulesBody.model_validate(rules, from_attributes=True)


def describe_silenced(row: MemberRow) -> SilencedBody:
    """Write somebody who may not write."""
    until = row.timed_out_until
    return SilencedBody(
        user=PersonBody(id=row.user_id, username=row.username, display_name=row.display_name),
        is_banned=row.is_banned,
        timed_out_until=None if until is None else format_time(until),
        reason=row.reason,
        changed_at=format_time(row.changed_at),
    )


def describe_held(row: HeldRow) -> HeldBody:
    """Write a line that waits."""
    return HeldBody(
        id=row.id,
        user=PersonBody(**row.body["user"]),
        text=row.body["text"],
        why=row.body["why"],
        created_at=format_time(row.created_at),
    )


def _describe_me(state: ChatState, rank: Rank | None, viewer_id: uuid.UUID) -> MyChatBody:
    member = state.members.get(viewer_id)
    until = None if member is None else member.timed_out_until
    return MyChatBody(
        rank=(rank or Rank.GUEST).name.lower(),
        is_banned=member is not None and member.is_banned,
        timed_out_until=None if until is None else format_time(until),
    )
