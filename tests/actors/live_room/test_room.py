"""The rules of a room: numbers, acknowledgements, status, counts."""

from __future__ import annotations

import uuid

import pytest

from actors.hosting.effects import (
    Acknowledge,
    Effect,
    Finish,
    ObjectBusy,
    Publish,
    Refuse,
    Requester,
    Show,
    Signal,
    StorageAway,
)
from actors.hosting.entries import Entry
from actors.hosting.log import MAILBOX_MAX
from actors.live_room.entries import (
    ChatTooFast,
    Origin,
    Patience,
    RoomEnded,
    RoomFacts,
    RoomStatus,
    RoomTerms,
    Speaker,
)
from actors.live_room.messages import ChatSend, SessionEnd, ViewersReport, Way
from actors.live_room.room import Room
from kit.clock import ManualClock
from kit.errors import AppError

pytestmark = pytest.mark.unit

EDGE = "edge/edge-0/1"
ADA = Speaker(uuid.UUID(int=1), "ada", "Ada")
BOB = Speaker(uuid.UUID(int=2), "bob", "Bob")
PATIENCE = Patience()
ORIGIN = Origin(EDGE, "s1", {"edge": "http://edge"})


def make_room(clock: ManualClock, status: RoomStatus = RoomStatus.CREATED, **limits: int) -> Room:
    facts = RoomFacts(
        id=uuid.UUID(int=9),
        owner_id=ADA.user_id,
        epoch=uuid.UUID(int=10),
        head=0,
        status=status,
        origin=None,
        origin_gen=0,
        viewers_peak=0,
    )
    return Room(facts, [], RoomTerms(clock, uuid.uuid4, **limits))


def say(
    room: Room, client_id: str, *, speaker: Speaker = ADA, request_id: int = 1, text: str = "hello"
) -> list[Effect]:
    return room.handle(Requester(EDGE, request_id), ChatSend(speaker, client_id, text))


def store(room: Room) -> list[Effect]:
    """Take everything that waits through storage; returns the effects."""
    effects: list[Effect] = []
    while room.log.take_batch(100) is not None:
        effects += room.log.confirm()
    return effects


def refusal(effects: list[Effect]) -> AppError:
    (effect,) = effects
    assert isinstance(effect, Refuse)
    return effect.error


def acks(effects: list[Effect]) -> list[tuple[int, int]]:
    return [(e.requester.request_id, e.seq) for e in effects if isinstance(e, Acknowledge)]


def published(effects: list[Effect]) -> list[Entry]:
    return [entry for e in effects if isinstance(e, Publish) for entry in e.entries]


def statuses(effects: list[Effect]) -> list[str]:
    return [entry.body["status"] for entry in published(effects) if entry.kind == "state"]


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "chat_line_empty"), (" \n\t", "chat_line_empty"), ("x" * 501, "chat_line_too_long")],
)
def test_a_line_of_the_wrong_length_is_refused(clock: ManualClock, text: str, code: str) -> None:
    assert refusal(say(make_room(clock), "a", text=text)).code == code


@pytest.mark.parametrize("client_id", ["", "x" * 65, "a\n"])
def test_an_unusable_client_id_is_refused(clock: ManualClock, client_id: str) -> None:
    assert refusal(say(make_room(clock), client_id)).code == "client_id_invalid"


def test_too_many_lines_in_ten_seconds_are_refused_until_the_window_moved(
    clock: ManualClock,
) -> None:
    room = make_room(clock, chat_per_10_s_max=2)
    assert say(room, "a") == []
    assert say(room, "b") == []
    assert isinstance(refusal(say(room, "c")), ChatTooFast)
    assert say(room, "c", speaker=BOB) == []
    clock.advance(10.1)
    assert say(room, "d") == []


def test_a_full_mailbox_refuses_and_says_that_it_passes(clock: ManualClock) -> None:
    room = make_room(clock, chat_per_10_s_max=MAILBOX_MAX + 1)
    for number in range(MAILBOX_MAX):
        say(room, str(number))
    error = refusal(say(room, "over"))
    assert isinstance(error, ObjectBusy)
    assert error.retryable


def test_a_broadcast_goes_live_is_interrupted_and_comes_back(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    batch = room.log.take_batch(100)
    assert batch is not None
    assert batch.change is not None
    assert batch.change.event_name == "stream.started"
    assert batch.change.origin == {"edge": "http://edge", "session": "s1"}
    assert statuses(room.log.confirm()) == ["live"]
    room.lose_publisher(EDGE, "s1", "timeout")
    assert statuses(store(room)) == ["interrupted"]
    room.connect_publisher(Origin(EDGE, "s2", {}))
    batch = room.log.take_batch(100)
    assert batch is not None
    assert batch.change is not None
    assert batch.change.event_name is None
    assert statuses(room.log.confirm()) == ["live"]


def test_a_publisher_that_stays_away_for_a_minute_ends_the_broadcast(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    room.lose_publisher(EDGE, "s1", "timeout")
    store(room)
    clock.advance(PATIENCE.interrupted_max_s - 1)
    room.pass_time()
    assert not room.log.has_work
    clock.advance(2)
    room.pass_time()
    assert statuses(store(room)) == ["ended"]
    assert isinstance(refusal(say(room, "late")), RoomEnded)


def test_a_newer_publisher_ends_the_session_of_the_older(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    other = Origin("edge/edge-1/2", "s2", {})
    assert room.connect_publisher(other) == [Signal(EDGE, SessionEnd("s1"))]
    assert room.lose_publisher(EDGE, "s1", "closed") == []
    store(room)
    assert room.status == RoomStatus.LIVE


def test_an_edge_that_was_out_of_reach_takes_the_live_from_nobody(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    room.forget_link(EDGE)
    other = Origin("edge/edge-1/2", "s2", {})
    assert room.connect_publisher(other) == []
    # The edge says again what it said before; its publisher has been at the other one since.
    assert room.connect_publisher(ORIGIN) == [Signal(EDGE, SessionEnd("s1"))]
    assert room.lose_publisher(EDGE, "s1", "closed") == []
    assert statuses(store(room)) == ["live", "live"]
    assert room.connect_publisher(Origin(EDGE, "s3", {})) == [
        Signal("edge/edge-1/2", SessionEnd("s2"))
    ]


def test_an_edge_that_comes_back_in_time_interrupts_nothing(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    store(room)
    room.forget_link(EDGE)
    clock.advance(PATIENCE.origin_grace_s - 1)
    room.connect_publisher(ORIGIN)
    clock.advance(60)
    room.pass_time()
    assert not room.log.has_work
    room.forget_link(EDGE)
    clock.advance(PATIENCE.origin_grace_s)
    room.pass_time()
    assert statuses(store(room)) == ["interrupted"]


def test_a_session_that_was_out_of_reach_keeps_the_generation_it_was_granted(
    clock: ManualClock,
) -> None:
    room = make_room(clock)

    def write() -> tuple[str, int, str]:
        batch = room.log.take_batch(100)
        assert batch is not None
        room.log.confirm()
        change = batch.change
        return change.status, change.origin_gen, change.origin["session"]

    def be_out_of_reach() -> None:
        room.forget_link(EDGE)
        clock.advance(PATIENCE.origin_grace_s)
        room.pass_time()

    room.connect_publisher(ORIGIN)
    assert write() == ("live", 1, "s1")
    be_out_of_reach()
    assert write() == ("interrupted", 1, "s1")
    room.connect_publisher(ORIGIN)
    assert write() == ("live", 1, "s1"), "its edge lists segments under this generation"
    be_out_of_reach()  # storage is away: nobody wrote yet that it is interrupted
    room.connect_publisher(ORIGIN)
    assert [write(), write()] == [("interrupted", 1, "s1"), ("live", 1, "s1")]
    room.lose_publisher(EDGE, "s1", "left")
    room.connect_publisher(Origin(EDGE, "s2", {}))
    assert [write(), write()] == [("interrupted", 1, "s1"), ("live", 2, "s2")]


def test_a_live_room_without_its_publisher_after_activation_is_interrupted(
    clock: ManualClock,
) -> None:
    room = make_room(clock, RoomStatus.LIVE)
    clock.advance(PATIENCE.origin_grace_s)
    room.pass_time()
    assert statuses(store(room)) == ["interrupted"]


def test_the_owner_ends_it_once_and_the_session_with_it(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    store(room)
    assert room.end("ended_by_owner", Requester(EDGE, 7)) == [Signal(EDGE, SessionEnd("s1"))]
    room.log.take_batch(100)
    assert room.end("again", Requester(EDGE, 8)) == []
    effects = room.log.confirm()
    assert [e.requester.request_id for e in effects if isinstance(e, Finish)] == [7, 8]
    assert room.end("again", Requester(EDGE, 9)) == [Finish(Requester(EDGE, 9))]
    assert room.connect_publisher(ORIGIN) == [Signal(EDGE, SessionEnd("s1"))]


def test_a_change_of_status_survives_storage_being_away(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    room.log.take_batch(100)
    assert room.log.revert(StorageAway()) == []
    assert statuses(store(room)) == ["live"]


def test_two_changes_of_status_never_share_a_batch(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    room.lose_publisher(EDGE, "s1", "left")
    first = room.log.take_batch(100)
    assert first is not None
    assert len(first.entries) == 1
    room.log.confirm()
    assert statuses(store(room)) == ["interrupted"]


def test_counts_are_shown_when_they_changed_at_most_once_a_second(clock: ManualClock) -> None:
    room = make_room(clock)
    room.pass_time()
    clock.advance(1)
    room.report_viewers(EDGE, ViewersReport({Way.WEBRTC: 2, Way.CHAT: 5}))
    room.report_viewers("edge/edge-1/2", ViewersReport({Way.WEBRTC: 2}))
    counts = {"viewers": 5, "ways": {"webrtc": 4, "hls": 0, "chat": 1}, "publishers": 0}
    assert room.pass_time() == [Show("viewer_count", counts)]
    room.report_viewers(EDGE, ViewersReport({Way.WEBRTC: 0, Way.CHAT: 3}))
    assert room.pass_time() == []
    clock.advance(1)
    counts = {"viewers": 3, "ways": {"webrtc": 2, "hls": 0, "chat": 1}, "publishers": 0}
    assert room.pass_time() == [Show("viewer_count", counts)]
    room.forget_link("edge/edge-1/2")
    assert room.get_counts()["viewers"] == 3
