"""What clients may say on a socket, and the codes with which the edge closes one.

Codes from 4000 ask the client to come back with jitter, codes from 4500 not to.
"""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from kit.errors import AppError, MalformedRequest
from kit.ids import parse_id

FRAME_BYTES_MAX = 64 << 10
CHANNELS_PER_REQUEST_MAX = 50
CHANNELS_PER_SOCKET_MAX = 200


class CloseCode(enum.IntEnum):
    """Why the edge closed a socket."""

    RESTART = 1012
    """This edge is stopping; another one answers."""
    TOO_SLOW = 4008
    """The viewer does not read as fast as the room talks: come back and resume."""
    TOO_FAST = 4009
    """More requests than one socket may send: come back later."""
    SESSION_REVOKED = 4501
    """The login ended: log in again first."""
    MALFORMED = 4502
    """Not the language of this socket."""
    IDLE = 4503
    """Neither authenticated nor subscribed within half a minute."""


class FrameMalformed(MalformedRequest):
    """The frame is not one of the socket's messages."""

    code, message = "frame_malformed", "This frame is not one that the socket understands."


class ChannelUnknown(MalformedRequest):
    """There are no such channels."""

    code, message = "channel_unknown", "There is no channel of this name."


class TooManyChannels(MalformedRequest):
    """More channels than one socket may follow."""

    code, message = "too_many_channels", "This socket follows too many channels."


class AlreadyAuthenticated(MalformedRequest):
    """The socket speaks for somebody else already."""

    code, message = "already_authenticated", "Open another socket to become somebody else."


class Position(msgspec.Struct, frozen=True):
    """The last event a client has of a durable channel."""

    epoch: str
    offset: int


class Authenticate(msgspec.Struct, frozen=True, tag="authenticate"):
    """Say who you are, with an access token or a ticket of `join`."""

    token: str


class Subscribe(msgspec.Struct, frozen=True, tag="subscribe"):
    """Follow channels, from where the client left off."""

    channels: list[str]
    since: dict[str, Position] = {}


class Unsubscribe(msgspec.Struct, frozen=True, tag="unsubscribe"):
    """Stop following channels."""

    channels: list[str]


class ChatSend(msgspec.Struct, frozen=True, tag="chat_send"):
    """Write a line in a room."""

    room: str
    client_id: str
    text: str


class Typing(msgspec.Struct, frozen=True, tag="typing"):
    """Say that a line is being written."""

    room: str


class Reaction(msgspec.Struct, frozen=True, tag="react"):
    """React to what happens in a room; only sums are shown."""

    room: str
    reaction: str


class WatchReport(msgspec.Struct, frozen=True, tag="watch_report"):
    """How watching a room went for this client's player since its last report."""

    room: str
    way: Literal["webrtc", "hls"]
    span_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)]
    freezes: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 0
    stalled_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0
    lost: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    received: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    """Packets; both 0 where there are none to count."""
    latency_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] | None = None
    """None: unknown, or watching what is past."""
    join_ms: Annotated[int, msgspec.Meta(ge=0, le=600_000)] | None = None
    """From asking to the first picture."""
    rung: Annotated[str, msgspec.Meta(pattern="^[a-z0-9_]{0,12}$")] = ""


class ModerateAct(enum.StrEnum):
    """What a moderator does."""

    DELETE = "delete"
    PIN = "pin"
    UNPIN = "unpin"
    BAN = "ban"
    TIME_OUT = "time_out"
    PARDON = "pardon"
    APPROVE = "approve"
    REFUSE = "refuse"


class Moderate(msgspec.Struct, frozen=True, tag="moderate"):
    """Act on a line (`message_id`), a person (`user_id`) or a held line (`held_id`)."""

    room: str
    client_id: str
    act: ModerateAct
    message_id: uuid.UUID | None = None
    user_id: uuid.UUID | None = None
    held_id: uuid.UUID | None = None
    duration_s: int = 0
    reason: str = ""


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Ask whether anybody is there, where a client cannot send the protocol's own ping."""


class Active(msgspec.Struct, frozen=True, tag="active"):
    """Say that somebody is at the page, though there is nothing else to say."""


class Away(msgspec.Struct, frozen=True, tag="away"):
    """Say that nobody is at the page: it has been hidden for a while."""


Words = (
    Authenticate
    | Subscribe
    | Unsubscribe
    | ChatSend
    | Typing
    | Reaction
    | Moderate
    | WatchReport
    | Ping
    | Active
    | Away
)
DECODER: msgspec.json.Decoder[Words] = msgspec.json.Decoder(Words)


class ChannelKind(enum.StrEnum):
    """What a channel is about: the part of its name before the colon."""

    ROOM = "room"
    USER = "user"
    POST = "post"
    VIDEO = "video"
    PRESENCE = "presence"


@dataclass(frozen=True)
class ChannelName:
    """A channel, read from its name."""

    kind: ChannelKind
    id: uuid.UUID

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


def read_words(text: str) -> Words:
    """Read one frame; raises FrameMalformed."""
    try:
        return DECODER.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise FrameMalformed(str(error)) from error


def read_channel(name: str) -> ChannelName:
    """Read a channel's name in its one spelling; raises ChannelUnknown."""
    kind, _, text = name.partition(":")
    channel_id = parse_id(text)
    if kind not in set(ChannelKind) or channel_id is None or str(channel_id) != text:
        raise ChannelUnknown
    return ChannelName(ChannelKind(kind), channel_id)


def read_room(text: str) -> uuid.UUID:
    """Read a room's id; raises ChannelUnknown."""
    return read_channel(f"{ChannelKind.ROOM}:{text}").id


class RequestRefusedByHost(AppError):
    """A refusal in the host's own words."""

    def __init__(self, code: str, message: str, *, retryable: bool, **details: object) -> None:
        super().__init__(message, **details)
        self.code = code  # type: ignore[misc]  # the host's code, one per refusal
        self.retryable = retryable  # type: ignore[misc]  # likewise
