"""What the lives API takes and gives, as documented in OpenAPI."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from actors.live_room.entries import describe_entry, describe_held
from actors.live_room.kind import read_entry
from kit.clock import format_time
from serve_apps.access.visibility import Visibility
from serve_apps.live.schedule import decide_status
from serve_apps.live.service import LiveAddresses
from storage.lives import LiveRow
from storage.rooms import RoomMessage

TITLE_CHARS_MAX = 200
LINE_CHARS_MAX = 10_000
"""Of a request; how long a line may be is the room's to say (`limits.chat_chars_max`)."""
Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=TITLE_CHARS_MAX)
]
EntryKind = Literal[
    "chat_message",
    "state",
    "message_deleted",
    "message_held",
    "held_refused",
    "rules_changed",
    "member_changed",
    "pins_changed",
    "announcement",
    "raid",
    "raided",
]
Status = Literal["created", "scheduled", "live", "interrupted", "ended"]

EXAMPLE_ID = "01980f61-4444-7d3e-9f10-2b6f0c9a4d16"
EXAMPLE_USER: dict[str, JsonValue] = {
    "id": "01980f5d-2222-7d3e-9f10-2b6f0c9a4d13",
    "username": "ada",
    "display_name": "Ada",
}
EXAMPLE_PLAYBACK: dict[str, JsonValue] = {
    "whep": f"http://localhost:8000/whep/{EXAMPLE_ID}",
    "hls": f"http://localhost:8000/live/{EXAMPLE_ID}/index.m3u8",
}
EXAMPLE_CHAT: dict[str, JsonValue] = {
    "socket": "ws://localhost:8001/ws",
    "channel": f"room:{EXAMPLE_ID}",
}
EXAMPLE_KEY: dict[str, JsonValue] = {
    "stream_key": "live_p4bXq0Zt8mS2vH6yKc1uJw9eRd3gTa7nLf5oBi-xYzQ",
    "ingest": {
        "whip": "http://localhost:8000/whip",
        "rtmp": "rtmp://localhost:1935/live",
    },
}
EXAMPLE_LIVE: dict[str, JsonValue] = {
    "id": EXAMPLE_ID,
    "title": "Night drive",
    "status": "live",
    "visibility": "public",
    "owner": EXAMPLE_USER,
    "viewers": 42,
    "viewers_peak": 57,
    "created_at": "2026-01-01T20:55:00.000Z",
    "scheduled_at": None,
    "started_at": "2026-01-01T21:00:00.000Z",
    "ended_at": None,
    "record": True,
    "recording_id": None,
    "nothing_kept": False,
    "playback": EXAMPLE_PLAYBACK,
    "chat": EXAMPLE_CHAT,
}
EXAMPLE_ANNOUNCED: dict[str, JsonValue] = {
    **EXAMPLE_LIVE,
    "status": "created",
    "viewers": None,
    "viewers_peak": 0,
    "started_at": None,
}
EXAMPLE_ENDED: dict[str, JsonValue] = {
    **EXAMPLE_LIVE,
    "status": "ended",
    "viewers": 3,
    "ended_at": "2026-01-01T22:30:00.000Z",
}
EXAMPLE_MESSAGE: dict[str, JsonValue] = {
    "type": "chat_message",
    "channel": f"room:{EXAMPLE_ID}",
    "epoch": "01980f61-5555-7d3e-9f10-2b6f0c9a4d17",
    "offset": 128,
    "data": {
        "id": "01980f62-6666-7d3e-9f10-2b6f0c9a4d18",
        "room": EXAMPLE_ID,
        "user": EXAMPLE_USER,
        "text": "Where is that bridge?",
        "client_id": "b1f0-17",
        "created_at": "2026-01-01T21:12:31.000Z",
    },
}
EXAMPLE_TICKET = (
    "q5hVb0yN3mXc7Rk2Tz9wLd4Jf8Gs1Pa6UeQoIiHnBvMxKyStZrWjEuCgOlDpFhYA2b4d6f8h0jXq1w3e5r7t9y"
    "lsQBmA9fYURET55_ECtvDJpNFrZHR0cDovL2xvY2FsaG9zdDo4MDAx"
)


class LiveRequest(BaseModel):
    """Announces a live; nobody sees it before media arrives."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"title": "Night drive"}]}
    )

    title: Title
    visibility: Visibility = Visibility.PUBLIC
    scheduled_at: AwareDatetime | None = Field(
        default=None, description="When it will begin: it is listed as coming up until it does."
    )
    record: bool = Field(default=True, description="Whether it becomes a video when it ends.")


class LiveChangeRequest(BaseModel):
    """Changes what is given and leaves the rest."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"visibility": "followers"}]}
    )

    title: Title | None = None
    visibility: Visibility | None = None
    scheduled_at: AwareDatetime | None = Field(
        default=None, description="Another time to begin; null takes the time back."
    )
    record: bool | None = Field(
        default=None, description="Whether it becomes a video when it ends; until it has ended."
    )


class LineRequest(BaseModel):
    """A chat line; the same `client_id` again never doubles it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"client_id": "5e0c7a51-2f", "text": "What a view over the harbour"}]
        },
    )

    client_id: str = Field(min_length=1, max_length=64)
    text: str = Field(max_length=LINE_CHARS_MAX)


class LineBody(BaseModel):
    """Where the line stands in the room's durable channel."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "client_id": "5e0c7a51-2f",
                    "message_id": "0198c1a2-7b1e-7d40-9f00-0242ac120002",
                    "epoch": "0198c1a2-5a00-7d40-9f00-0242ac120002",
                    "offset": 42,
                    "held": False,
                }
            ]
        }
    )

    client_id: str
    message_id: uuid.UUID
    epoch: uuid.UUID
    offset: int
    held: bool = Field(description="It waits for a moderator; nobody else sees it.")


class LiveOwnerBody(BaseModel):
    """Whose live it is."""

    id: uuid.UUID
    username: str
    display_name: str


class IngestBody(BaseModel):
    """Where media goes in; the stream key is the bearer token of WHIP and the stream of RTMP.

    `rtmp` is null while this site takes none.
    """

    whip: str
    rtmp: str | None


class LivePlaybackBody(BaseModel):
    """Where media comes out: by WebRTC, and by low-latency HLS a second or two later.

    What `join` hands out for `hls` is an edge's own address, with the viewer's right in it: ask
    again after any failure. What comes in by WebRTC in another codec than H.264 cannot be watched
    by HLS (409 `hls_off`).
    """

    whep: str
    hls: str


class ChatBody(BaseModel):
    """The socket to connect to and the channel to subscribe to."""

    socket: str = Field(description="WebSocket of an edge; ask `join` again after any failure.")
    channel: str


class LiveBody(BaseModel):
    """One live."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_LIVE]})

    id: uuid.UUID
    title: str
    status: Status = Field(description="`scheduled`: has not begun and says when it will.")
    visibility: Visibility
    owner: LiveOwnerBody
    viewers: int | None = Field(
        description="How many watch right now, up to a few seconds old; null while nobody knows: "
        "its room does not run, or the site's cache is away."
    )
    viewers_peak: int
    created_at: str
    scheduled_at: str | None
    started_at: str | None
    ended_at: str | None
    record: bool = Field(description="Whether it becomes a video when it ends.")
    recording_id: uuid.UUID | None = Field(
        description="The video it became, a moment after it ended; null when it was not recorded."
    )
    nothing_kept: bool = Field(
        description="It was to become a video and has ended, and none comes: nothing of it was "
        "stored, as of what a browser sends in another codec than H.264."
    )
    playback: LivePlaybackBody
    chat: ChatBody


class CreatedLiveBody(LiveBody):
    """A fresh live with its stream key, which is shown this once."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**EXAMPLE_ANNOUNCED, **EXAMPLE_KEY}]}
    )

    stream_key: str
    ingest: IngestBody


class StreamKeyBody(BaseModel):
    """A fresh stream key; the one before is void."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_KEY]})

    stream_key: str
    ingest: IngestBody


class StreamKeyHintBody(BaseModel):
    """What can be said of a stream key after it was told, which happens once."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"hint": "xYzQ", "ingest": EXAMPLE_KEY["ingest"]}]}
    )

    hint: str | None = Field(
        description="How the key ends; null: it was revoked, or the live has ended."
    )
    ingest: IngestBody


class JoinBody(BaseModel):
    """What a viewer needs to watch and to talk."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"playback": EXAMPLE_PLAYBACK, "chat": EXAMPLE_CHAT, "ticket": EXAMPLE_TICKET}
            ]
        }
    )

    playback: LivePlaybackBody
    chat: ChatBody
    ticket: str = Field(
        description="`token` of the socket's `authenticate`, instead of an access token. It "
        "counts once, at `chat.socket` alone, within 30 seconds, and speaks for whoever joined; "
        "a stranger's leaves the socket anonymous."
    )


class RoomMessageBody(BaseModel):
    """One entry of a room's durable channel, as the socket sends it."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_MESSAGE]})

    type: EntryKind
    channel: str
    epoch: uuid.UUID
    offset: int
    data: dict[str, Any]


def describe_live(live: LiveRow, addresses: LiveAddresses, viewers: int | None) -> LiveBody:
    """Write a live as its answer."""
    return LiveBody(
        id=live.id,
        title=live.title,
        status=decide_status(live),
        visibility=Visibility(live.visibility),
        owner=LiveOwnerBody(
            id=live.owner_id,
            username=live.owner_username,
            display_name=live.owner_display_name,
        ),
        viewers=viewers,
        viewers_peak=live.viewers_peak,
        created_at=format_time(live.created_at),
        scheduled_at=_write_time(live.scheduled_at),
        started_at=_write_time(live.started_at),
        ended_at=_write_time(live.ended_at),
        record=live.is_recorded,
        recording_id=live.recording_id,
        nothing_kept=live.is_nothing_kept,
        playback=LivePlaybackBody(whep=addresses.whep, hls=addresses.hls),
        chat=ChatBody(socket=addresses.socket, channel=addresses.channel),
    )


def describe_created(live: LiveRow, addresses: LiveAddresses, stream_key: str) -> CreatedLiveBody:
    """Write a fresh live with its key."""
    return CreatedLiveBody(
        **dict(describe_live(live, addresses, viewers=None)),
        stream_key=stream_key,
        ingest=IngestBody(whip=addresses.whip, rtmp=addresses.rtmp),
    )


def describe_message(
    message: RoomMessage, epoch: uuid.UUID, *, reveals_held: bool
) -> RoomMessageBody:
    """Write one entry of the durable channel; what a held line says only where it is revealed."""
    entry = read_entry(message)
    revealed = describe_held(entry) if reveals_held else {}
    return RoomMessageBody(
        type=message.kind,
        channel=f"room:{message.room_id}",
        epoch=epoch,
        offset=message.seq,
        data={**describe_entry(message.room_id, entry), **revealed},
    )


def _write_time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)
