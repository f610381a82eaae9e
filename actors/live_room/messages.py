"""What edges and the API may ask of a room, and what a room tells one edge alone.

They travel inside the runtime's messages (`actors/hosting/messages.py`), which name the room.
"""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from typing import Any

import msgspec

from actors.hosting.messages import Message
from actors.live_room.entries import Speaker


class Membership(msgspec.Struct, array_like=True, frozen=True):
    """What somebody is to the room's owner, as storage says."""

    follows_since: datetime | None
    is_subscriber: bool


class LineRef(msgspec.Struct, array_like=True, frozen=True):
    """A stored chat line, as whoever asks read it."""

    id: uuid.UUID
    seq: int
    user: dict[str, str]
    text: str
    created_at: datetime


class MemberAct(enum.StrEnum):
    """What can be done to a person in a room."""

    APPOINT = "appoint"
    DISMISS = "dismiss"
    BAN = "ban"
    TIME_OUT = "time_out"
    PARDON = "pardon"
    """Ends a ban and a time-out."""


class Way(enum.StrEnum):
    """How somebody watches; each counts once, by the best way they have."""

    WEBRTC = "webrtc"
    HLS = "hls"
    CHAT = "chat"
    """They follow the room without a picture."""


PERSON_BYTES = 16
"""A person's id as it stands in a report of viewers."""

# From an edge


class ChatSend(Message, frozen=True):
    """A line somebody wants to write; `client_id` makes repeats recognisable.

    `membership` may be left out: a room whose rules need it asks for it (MembershipNeeded).
    """

    speaker: Speaker
    client_id: str
    text: str
    membership: Membership | None = None


class TypingSend(Message, frozen=True):
    """Somebody is writing."""

    speaker: Speaker


class ReactionSend(Message, frozen=True):
    """Somebody reacts."""

    speaker: Speaker
    reaction: str


class ViewersReport(Message, frozen=True):
    """Who watches the room at this edge: players and sockets of strangers, and which people.

    A stranger's page has a player and a socket, maybe at another edge: the room takes the one off
    the other. People are ids of `PERSON_BYTES`, one after another, by the best way they have here.
    `is_whole`: that is all of them; else they came or changed their way since the last report,
    `gone` left.
    """

    strangers: dict[Way, int]
    people: dict[Way, bytes] = msgspec.field(default_factory=dict)
    gone: bytes = b""
    is_whole: bool = True
    visitors: bytes = b""
    """Marks of strangers who came since the last report (`visitors.py`), one after another."""


class PublisherUp(Message, frozen=True):
    """Media enters here; `edge` is what others need to find it."""

    session_id: str
    edge: dict[str, Any]


class PublisherDown(Message, frozen=True):
    """Media stopped entering here."""

    session_id: str
    reason: str


# From an edge or the API: what moderators do


class LineDelete(Message, frozen=True):
    """Take a line down."""

    by: Speaker
    line: LineRef


class LinePin(Message, frozen=True):
    """Show a line above the chat, or no longer."""

    by: Speaker
    line: LineRef
    is_pinned: bool


class MemberChange(Message, frozen=True):
    """Appoint, dismiss, ban, time out or pardon somebody."""

    by: Speaker
    person: Speaker
    act: MemberAct
    duration_s: int = 0
    reason: str = ""


class RulesChange(Message, frozen=True):
    """Change the rules that are named; see `rules.RoomRules`."""

    by: Speaker
    rules: dict[str, Any]


class HeldDecide(Message, frozen=True):
    """Let a held line through, or not."""

    by: Speaker
    held_id: uuid.UUID
    is_approved: bool


class Announce(Message, frozen=True):
    """Say something to everybody in the room's name."""

    by: Speaker
    client_id: str
    text: str


# From the API


class PublisherCut(Message, frozen=True):
    """End the present publisher's session: its stream key is void. The live goes on without."""


class LiveEnd(Message, frozen=True):
    """The owner ends the broadcast."""

    reason: str


class RaidStart(Message, frozen=True):
    """Send the viewers on to another live; `target` says which, as events show it."""

    by: Speaker
    client_id: str
    target: dict[str, str]


class RaidArrive(Message, frozen=True):
    """Viewers of another live, `source`, come here."""

    by: Speaker
    client_id: str
    source: dict[str, str]
    viewers: int


# To an edge


class SessionEnd(Message, frozen=True):
    """Close this media session: the room is over or has a newer publisher."""

    session_id: str
