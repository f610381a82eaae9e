"""Frames, channel names, counting watchers and slow viewers: without sockets."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.hosting.core import ObjectKey
from actors.hosting.messages import EntryLine, Opened
from actors.live_room.client import RoomClient
from actors.live_room.messages import Way
from actors.live_room.viewers import Viewers
from kit.errors import RateLimited
from serve_apps.edge.channel_mirrors import RING_MAX
from serve_apps.edge.followers import LAG_BYTES, UNREAD_BYTES_MAX
from serve_apps.edge.room_mirrors import RoomMirror, Watchers
from serve_apps.edge.socket_frames import (
    build_frame,
    join_events,
    write_durable_event,
    write_ephemeral_event,
    write_error,
)
from serve_apps.edge.socket_words import ChannelUnknown, Position, read_channel
from serve_apps.edge.sockets import Socket

pytestmark = pytest.mark.unit

ROOM = uuid.UUID(int=1)
EPOCH = str(uuid.UUID(int=2))


@dataclass
class Pipe:
    """A transport that keeps what is written until it is read."""

    frames: list[bytes] = field(default_factory=list)
    unread: int = 0

    def write(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.unread += len(frame)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return False

    def read_all(self) -> list[dict[str, Any]]:
        """Read everything as events, batches taken apart."""
        self.unread = 0
        frames, self.frames = self.frames, []
        events = []
        for frame in frames:
            body = msgspec.json.decode(read_payload(frame))
            events += body["events"] if body["type"] == "batch" else [body]
        return events


class Goodbyes:
    """A response that can be closed."""

    async def close(self, *, code: int, message: bytes) -> None:
        self.code = code


class StoredRoom:
    """A way to the room's host that serves older entries."""

    def __init__(self, entries: list[EntryLine]) -> None:
        self.entries = entries
        self.asked: list[int] = []

    async def read_history(self, _key: ObjectKey, seq: int, limit: int) -> list[EntryLine]:
        self.asked.append(seq)
        return [entry for entry in self.entries if entry.seq > seq][:limit]


def read_payload(frame: bytes) -> bytes:
    """Take a text frame apart as RFC 6455 §5.2 says."""
    assert frame[0] == 0x81
    size, start = frame[1], 2
    if size == 126:
        size, start = int.from_bytes(frame[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(frame[2:10], "big"), 10
    assert len(frame) == start + size
    return frame[start:]


def make_socket() -> tuple[Socket, Pipe]:
    pipe = Pipe()
    socket = Socket(cast(Any, Goodbyes()), cast(Any, pipe))
    socket.channels.add(f"room:{ROOM}")
    return socket, pipe


def make_entries(first: int, last: int, text: str = "x") -> list[EntryLine]:
    data = msgspec.json.encode({"text": text})
    return [EntryLine(seq, "chat_message", data) for seq in range(first, last + 1)]


def make_opened(epoch: str, head: int, *, is_complete: bool) -> Opened:
    facts = {"owner_id": str(uuid.UUID(int=3)), "status": "live"}
    return Opened(1, ObjectKey("room", ROOM), epoch, head, facts, [], is_complete)


def open_mirror(head: int, entries: list[EntryLine] | None = None) -> RoomMirror:
    mirror = RoomMirror(ObjectKey("room", ROOM), StoredRoom(entries or []), cast(RoomClient, None))
    mirror.be_opened(make_opened(EPOCH, head, is_complete=True))
    return mirror


def offsets(events: list[dict[str, Any]]) -> list[int]:
    return [event["offset"] for event in events]


@given(st.binary(max_size=70_000))
def test_a_frame_says_how_long_it_is(payload: bytes) -> None:
    assert read_payload(build_frame(payload)) == payload


def test_events_are_json_and_several_share_a_frame() -> None:
    durable = write_durable_event("state", "room:1", EPOCH, 7, b'{"a":"\xc3\xa9"}')
    assert msgspec.json.decode(durable) == {
        "type": "state",
        "channel": "room:1",
        "epoch": EPOCH,
        "offset": 7,
        "data": {"a": "é"},
    }
    hint = write_ephemeral_event("feed_hint", "user:1", b"{}")
    assert msgspec.json.decode(hint) == {"type": "feed_hint", "channel": "user:1", "data": {}}
    batch = msgspec.json.decode(read_payload(join_events([durable, hint])))
    assert [event["type"] for event in batch["events"]] == ["state", "feed_hint"]
    error = msgspec.json.decode(read_payload(write_error(RateLimited(), client_id="c")))
    assert (error["error"], error["client_id"], error["retryable"]) == ("rate_limited", "c", True)


@pytest.mark.parametrize("name", ["", "room", "room:1", "disk:" + str(ROOM), f"room:{ROOM.hex}"])
def test_a_channel_has_one_spelling(name: str) -> None:
    with pytest.raises(ChannelUnknown):
        read_channel(name)
    assert str(read_channel(f"room:{ROOM}")) == f"room:{ROOM}"


def test_watchers_are_people_once_and_strangers_by_their_larger_half() -> None:
    ada = uuid.uuid4()
    watchers, room = Watchers(), Viewers(uuid.uuid4())

    def count() -> dict[str, int]:
        """Report what changed, as to the room, and hold it against the whole."""
        whole, change = watchers.take_reports()
        room.report("edge", change)
        fresh = Viewers(uuid.uuid4())
        fresh.report("edge", whole)
        assert fresh.ways == room.ways
        return room.ways

    watchers.add(ada, Way.CHAT, +1)
    watchers.add(ada, Way.WEBRTC, +1)
    for way, times in ((Way.CHAT, 3), (Way.WEBRTC, 2)):
        for _ in range(times):
            watchers.add(None, way, +1)
    assert count() == {Way.WEBRTC: 3, Way.HLS: 0, Way.CHAT: 1}
    watchers.add(ada, Way.CHAT, -1)
    assert count() == {Way.WEBRTC: 3, Way.HLS: 0, Way.CHAT: 1}
    watchers.add(ada, Way.CHAT, +1)
    watchers.add(ada, Way.WEBRTC, -1)
    assert count() == {Way.WEBRTC: 2, Way.HLS: 0, Way.CHAT: 2}
    watchers.add(ada, Way.CHAT, -1)
    watchers.add(None, Way.CHAT, -1)
    assert count() == {Way.WEBRTC: 2, Way.HLS: 0, Way.CHAT: 0}


async def test_a_follower_continues_where_it_left_off_from_memory_or_the_host() -> None:
    mirror = open_mirror(head=450, entries=make_entries(1, 450))
    mirror.add_entries(make_entries(451, 460))
    socket, pipe = make_socket()
    assert await mirror.attach(socket, 455)
    assert offsets(pipe.read_all()) == [456, 457, 458, 459, 460]
    other, pipe = make_socket()
    assert await mirror.attach(other, 10)
    mirror.add_entries(make_entries(461, 461))
    assert offsets(pipe.read_all()) == list(range(11, 462))


async def test_the_ring_is_bounded_and_what_fell_out_comes_from_the_host() -> None:
    mirror = open_mirror(head=0, entries=make_entries(1, RING_MAX + 50))
    mirror.add_entries(make_entries(1, RING_MAX + 50))
    socket, pipe = make_socket()
    assert await mirror.attach(socket, 0)
    assert offsets(pipe.read_all()) == list(range(1, RING_MAX + 51))


async def test_a_gap_nobody_can_fill_is_not_hidden() -> None:
    mirror = open_mirror(head=100)
    socket, _ = make_socket()
    assert not await mirror.attach(socket, 10)


def test_a_start_is_the_clients_own_only_within_the_epoch_and_the_kept_range() -> None:
    mirror = open_mirror(head=20_000)
    assert mirror.decide_start(None) == (20_000, False)
    assert mirror.decide_start(Position(EPOCH, 19_990)) == (19_990, True)
    assert mirror.decide_start(Position(EPOCH, 20_001)) == (20_000, False)
    assert mirror.decide_start(Position(EPOCH, 9_999)) == (20_000, False)
    assert mirror.decide_start(Position("other", 19_990)) == (20_000, False)


async def test_a_viewer_that_does_not_read_is_held_back_and_continues_without_a_gap() -> None:
    mirror = open_mirror(head=0)
    slow, pipe = make_socket()
    await mirror.attach(slow, 0)
    quick, quick_pipe = make_socket()
    await mirror.attach(quick, 0)
    heard: list[int] = []
    for seq in range(1, 13):
        mirror.add_entries(make_entries(seq, seq, "x" * (LAG_BYTES // 8)))
        heard += offsets(quick_pipe.read_all())
    assert heard == list(range(1, 13))
    assert slow.lagging_since_s is not None
    before = offsets(pipe.read_all())
    assert before == list(range(1, 9))
    slow.lagging_since_s = None
    await mirror.catch_up(slow)
    assert before + offsets(pipe.read_all()) == list(range(1, 13))


async def test_a_frame_beyond_the_bound_is_held_back_and_an_answer_beyond_it_ends_the_socket() -> (
    None
):
    mirror = open_mirror(head=0)
    slow, pipe = make_socket()
    await mirror.attach(slow, 0)
    pipe.unread = UNREAD_BYTES_MAX - 100
    mirror.add_entries(make_entries(1, 1, "x" * 100))
    assert (pipe.frames, slow.held_back) == ([], {f"room:{ROOM}": 0})
    slow.answer(b"x" * 101)
    assert pipe.frames == []
    assert not slow.is_open


async def test_everybody_who_comes_back_shares_the_pages_of_the_host() -> None:
    mirror = open_mirror(head=450, entries=make_entries(1, 450))
    pipes = []
    for offset in range(200, 260):
        socket, pipe = make_socket()
        pipes.append((offset, pipe, asyncio.create_task(mirror.attach(socket, offset))))
    for offset, pipe, attaching in pipes:
        assert await attaching
        assert offsets(pipe.read_all()) == list(range(offset + 1, 451))
    assert cast(StoredRoom, mirror._history).asked == [200, 400]


async def test_a_room_that_could_not_be_continued_tells_its_followers_to_begin_anew() -> None:
    mirror = open_mirror(head=5)
    socket, pipe = make_socket()
    await mirror.attach(socket, 5)
    mirror.be_opened(make_opened("fresh", 2, is_complete=False))
    assert pipe.read_all() == [
        {"type": "reload", "channel": f"room:{ROOM}", "epoch": "fresh", "offset": 2}
    ]
    mirror.add_entries(make_entries(3, 3))
    assert [(e["epoch"], e["offset"]) for e in pipe.read_all()] == [("fresh", 3)]
