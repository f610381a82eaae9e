"""What the edge says on a socket: its answers, and what every kind of event carries. Shapes alone.

Beside `socket_words.py`, which is what clients say. The page's types are made from both
(`cluster/page_messages.py`); the tests of the socket hold every frame against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from actors.hosting.shapes import Person, Shape
from actors.live_room.events import ROOM_EVENTS
from actors.user_session.events import USER_EVENTS


class Me(Shape, frozen=True):
    """Whom a socket speaks for."""

    id: str
    username: str
    display_name: str
    role: str


class Authenticated(Shape, frozen=True, tag="authenticated"):
    """The login counts; null: the ticket was a stranger's."""

    user: Me | None


class ChannelState(Shape, frozen=True):
    """Where a channel stands for a subscriber; only durable ones have a position."""

    recovered: bool
    epoch: str | UnsetType = UNSET
    offset: int | UnsetType = UNSET


class Unsubscribed(Shape, frozen=True, tag="unsubscribed"):
    """These channels are not followed any more."""

    channels: list[str]


class Ack(Shape, frozen=True, tag="ack"):
    """A line is stored; `held`: it waits for a moderator."""

    client_id: str
    message_id: str
    epoch: str
    offset: int
    held: bool | UnsetType = UNSET


class Done(Shape, frozen=True, tag="done"):
    """A moderator's act is stored."""

    client_id: str


class Refusal(Shape, frozen=True, tag="error"):
    """A line, an act, a channel or a word is refused."""

    error: str
    message: str
    retryable: bool
    client_id: str | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    retry_after_s: int | UnsetType = UNSET


class Reload(Shape, frozen=True, tag="reload"):
    """What was missed cannot be replayed: load the channel's state anew."""

    channel: str
    epoch: str
    offset: int


class Pong(Shape, frozen=True, tag="pong"):
    """Somebody is there."""


class Stream(Shape, frozen=True, tag="stream"):
    """The first message of a stream: what is posted to `/events` under this key is said there."""

    key: str


class Closed(Shape, frozen=True, tag="closed"):
    """The last message of a stream, in place of a close frame."""

    code: int
    reason: str


class PostCounters(Shape, frozen=True):
    """A post's counts as they are now."""

    likes: int
    comments: int


class VideoCounters(Shape, frozen=True):
    """A video's counts as they are now."""

    likes: int


class PostComment(Shape, frozen=True):
    """A comment below a post or a video, as it was written or as it is now."""

    id: str
    post_id: str | None
    video_id: str | None
    parent_id: str | None
    author: Person
    text: str
    created_at: str
    edited_at: str | None
    pinned: bool
    likes: int
    replies: int


class PostCommentDeleted(Shape, frozen=True):
    """A comment was taken down, with the replies to it."""

    id: str


class VideoFailure(Shape, frozen=True):
    """Why a video did not come through."""

    code: str
    message: str


class VideoProgress(Shape, frozen=True):
    """How far a video is, from 0 to 1."""

    status: Literal["uploading", "queued", "processing", "ready", "failed"]
    progress: float
    error: VideoFailure | None
    quality: str | None = None
    """The largest one in work."""
    speed: float | None = None
    """Seconds of the video, in all its qualities, made per second."""
    left_s: float | None = None


class VideoHeadStart(Shape, frozen=True):
    """How much of a video is made already, from 0 to 1, while its file still arrives."""

    progress: float
    reason: str | None
    """Why nothing is made before more of the file, or all of it, is there."""


class VideoReencoding(Shape, frozen=True):
    """How far the next version of a video is that plays already; `ready`: it plays now."""

    status: Literal["queued", "processing", "ready", "failed"]
    progress: float
    error: VideoFailure | None
    quality: str | None = None
    speed: float | None = None
    left_s: float | None = None


class FeedHint(Shape, frozen=True):
    """There is a newer post."""

    post_id: str
    author_id: str


EVENTS: dict[str, type[Shape]] = {
    **ROOM_EVENTS,
    **USER_EVENTS,
    "post_counters": PostCounters,
    "post_comment": PostComment,
    "post_comment_changed": PostComment,
    "post_comment_deleted": PostCommentDeleted,
    "video_counters": VideoCounters,
    "video_progress": VideoProgress,
    "video_head_start": VideoHeadStart,
    "video_reencoding": VideoReencoding,
    "feed_hint": FeedHint,
}
Answer = Authenticated | Unsubscribed | Ack | Done | Refusal | Reload | Pong | Stream | Closed


def check_frame(frame: Mapping[str, Any]) -> None:
    """Raise msgspec.ValidationError unless a frame says what is written here."""
    kind = frame["type"]
    if kind == "batch":
        for event in frame["events"]:
            check_frame(event)
    elif kind == "subscribed":
        states = {name: state for name, state in frame.items() if name != "type"}
        msgspec.convert(states, dict[str, ChannelState])
    elif "data" in frame:
        shape = EVENTS.get(kind)
        if shape is None:
            raise msgspec.ValidationError(f"there is no event {kind!r}")
        msgspec.convert(frame["data"], shape)
    else:
        msgspec.convert(dict(frame), Answer)
