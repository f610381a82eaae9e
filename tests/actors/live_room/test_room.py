"""The rules of a room: numbers, acknowledgements, status, counts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.live_room.entries import (
    Acknowledge,
    ChatCommand,
    ChatTooFast,
    Effect,
    EndSession,
    Entry,
    Finish,
    Origin,
    Publish,
    Refuse,
    Requester,
    RoomBusy,
    RoomEnded,
    RoomFacts,
    RoomStatus,
    RoomTerms,
    Show,
    Speaker,
    StorageAway,
)
from actors.live_room.room import INTERRUPTED_MAX_S, ORIGIN_GRACE_S, QUEUE_MAX, Room
from kit.clock import ManualClock
from kit.errors import AppError

pytestmark = pytest.mark.unit

EDGE = "edge/edge-0/1"
ADA = Speaker(uuid.UUID(int=1), "ada", "Ada")
BOB = Speaker(uuid.UUID(int=2), "bob", "Bob")
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
    command = ChatCommand(Requester(EDGE, request_id), speaker, client_id, text)
    return room.send_chat(command)


def store(room: Room) -> list[Effect]:
    """Take everything that waits through storage; returns the effects."""
    effects: list[Effect] = []
    while room.take_batch(100) is not None:
        effects += room.confirm()
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


def test_nothing_is_acknowledged_or_published_before_it_is_stored(clock: ManualClock) -> None:
    room = make_room(clock)
    assert say(room, "a") == []
    batch = room.take_batch(100)
    assert batch is not None
    assert room.head == 0
    effects = room.confirm()
    assert acks(effects) == [(1, 1)]
    assert [entry.seq for entry in published(effects)] == [1]


def test_lines_are_numbered_in_the_order_they_came(clock: ManualClock) -> None:
    room = make_room(clock)
    for number in range(5):
        say(room, f"c{number}", text=str(number))
    entries = published(store(room))
    assert [(entry.seq, entry.body["text"]) for entry in entries] == [
        (n + 1, str(n)) for n in range(5)
    ]


def test_a_repeat_gets_the_first_acknowledgement(clock: ManualClock) -> None:
    room = make_room(clock)
    say(room, "a")
    first = store(room)[0]
    (second,) = say(room, "a", request_id=2)
    assert isinstance(first, Acknowledge)
    assert isinstance(second, Acknowledge)
    assert (first.message_id, first.seq) == (second.message_id, second.seq)
    assert not room.has_work


def test_a_repeat_of_a_line_in_flight_waits_for_the_same_outcome(clock: ManualClock) -> None:
    room = make_room(clock)
    say(room, "a")
    room.take_batch(100)
    assert say(room, "a", request_id=2) == []
    assert acks(room.confirm()) == [(1, 1), (2, 1)]


def test_two_people_may_use_the_same_client_id(clock: ManualClock) -> None:
    room = make_room(clock)
    say(room, "a")
    say(room, "a", speaker=BOB, request_id=2)
    assert acks(store(room)) == [(1, 1), (2, 2)]


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


def test_a_full_queue_refuses_and_says_that_it_passes(clock: ManualClock) -> None:
    room = make_room(clock, chat_per_10_s_max=QUEUE_MAX + 1)
    for number in range(QUEUE_MAX):
        say(room, str(number))
    error = refusal(say(room, "over"))
    assert isinstance(error, RoomBusy)
    assert error.retryable


def test_what_was_surely_not_stored_is_refused_and_its_numbers_are_used_again(
    clock: ManualClock,
) -> None:
    room = make_room(clock)
    say(room, "a")
    room.take_batch(100)
    say(room, "b", request_id=2)
    assert isinstance(refusal(room.revert(StorageAway())), StorageAway)
    assert acks(store(room)) == [(2, 1)]
    say(room, "a", request_id=3)
    assert acks(store(room)) == [(3, 2)]


def test_an_unknown_outcome_is_resolved_by_what_storage_holds(clock: ManualClock) -> None:
    room = make_room(clock)
    say(room, "a")
    say(room, "b", request_id=2)
    batch = room.take_batch(1)
    assert batch is not None
    effects = room.resolve(batch.entries)
    assert acks(effects) == [(1, 1)]
    room.take_batch(100)
    assert room.resolve([]) == []
    assert acks(store(room)) == [(2, 2)]


def test_lines_another_owner_stored_are_published_when_found(clock: ManualClock) -> None:
    room = make_room(clock)
    say(room, "mine")
    room.take_batch(100)
    other = Entry(1, uuid.uuid4(), "chat_message", BOB.user_id, "x", {}, clock.now())
    effects = room.resolve([other])
    assert published(effects) == [other]
    assert acks(store(room)) == [(1, 2)]


def test_a_line_storage_already_had_is_acknowledged_as_it_stands(clock: ManualClock) -> None:
    room = make_room(clock)
    say(room, "old")
    say(room, "fresh", request_id=2)
    room.take_batch(100)
    stored_id = uuid.uuid4()
    effects = room.drop_repeats({(ADA.user_id, "old"): (stored_id, 0)})
    assert effects == [Acknowledge(Requester(EDGE, 1), stored_id, 0)]
    assert acks(store(room)) == [(2, 1)]


def test_times_never_go_backwards_within_a_room(clock: ManualClock) -> None:
    room = make_room(clock)
    say(room, "a")
    (first,) = published(store(room))
    clock._now = clock._now.replace(year=2020)
    say(room, "b")
    (second,) = published(store(room))
    assert second.created_at >= first.created_at


def test_a_broadcast_goes_live_is_interrupted_and_comes_back(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    batch = room.take_batch(100)
    assert batch is not None
    assert batch.change is not None
    assert batch.change.event_name == "stream.started"
    assert batch.change.origin == {"edge": "http://edge", "session": "s1"}
    assert statuses(room.confirm()) == ["live"]
    room.lose_publisher(EDGE, "s1", "timeout")
    assert statuses(store(room)) == ["interrupted"]
    room.connect_publisher(Origin(EDGE, "s2", {}))
    batch = room.take_batch(100)
    assert batch is not None
    assert batch.change is not None
    assert batch.change.event_name is None
    assert statuses(room.confirm()) == ["live"]


def test_a_publisher_that_stays_away_for_a_minute_ends_the_broadcast(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    room.lose_publisher(EDGE, "s1", "timeout")
    store(room)
    clock.advance(INTERRUPTED_MAX_S - 1)
    room.pass_time()
    assert not room.has_work
    clock.advance(2)
    room.pass_time()
    assert statuses(store(room)) == ["ended"]
    assert isinstance(refusal(say(room, "late")), RoomEnded)


def test_a_newer_publisher_ends_the_session_of_the_older(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    other = Origin("edge/edge-1/2", "s2", {})
    assert room.connect_publisher(other) == [EndSession(EDGE, "s1")]
    assert room.lose_publisher(EDGE, "s1", "closed") == []
    store(room)
    assert room.status == RoomStatus.LIVE


def test_an_edge_that_comes_back_in_time_interrupts_nothing(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    store(room)
    room.forget_link(EDGE)
    clock.advance(ORIGIN_GRACE_S - 1)
    room.connect_publisher(ORIGIN)
    clock.advance(60)
    room.pass_time()
    assert not room.has_work
    room.forget_link(EDGE)
    clock.advance(ORIGIN_GRACE_S)
    room.pass_time()
    assert statuses(store(room)) == ["interrupted"]


def test_a_live_room_without_its_publisher_after_activation_is_interrupted(
    clock: ManualClock,
) -> None:
    room = make_room(clock, RoomStatus.LIVE)
    clock.advance(ORIGIN_GRACE_S)
    room.pass_time()
    assert statuses(store(room)) == ["interrupted"]


def test_the_owner_ends_it_once_and_the_session_with_it(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    store(room)
    assert room.end("ended_by_owner", Requester(EDGE, 7)) == [EndSession(EDGE, "s1")]
    room.take_batch(100)
    assert room.end("again", Requester(EDGE, 8)) == []
    effects = room.confirm()
    assert [e.requester.request_id for e in effects if isinstance(e, Finish)] == [7, 8]
    assert room.end("again", Requester(EDGE, 9)) == [Finish(Requester(EDGE, 9))]
    assert room.connect_publisher(ORIGIN) == [EndSession(EDGE, "s1")]


def test_a_change_of_status_survives_storage_being_away(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    room.take_batch(100)
    assert room.revert(StorageAway()) == []
    assert statuses(store(room)) == ["live"]


def test_two_changes_of_status_never_share_a_batch(clock: ManualClock) -> None:
    room = make_room(clock)
    room.connect_publisher(ORIGIN)
    room.lose_publisher(EDGE, "s1", "left")
    first = room.take_batch(100)
    assert first is not None
    assert len(first.entries) == 1
    room.confirm()
    assert statuses(store(room)) == ["interrupted"]


def test_counts_are_shown_when_they_changed_at_most_once_a_second(clock: ManualClock) -> None:
    room = make_room(clock)
    room.pass_time()
    clock.advance(1)
    room.report_viewers(EDGE, 3)
    room.report_viewers("edge/edge-1/2", 2)
    assert room.pass_time() == [Show("viewer_count", {"viewers": 5, "publishers": 0})]
    room.report_viewers(EDGE, 1)
    assert room.pass_time() == []
    clock.advance(1)
    assert room.pass_time() == [Show("viewer_count", {"viewers": 3, "publishers": 0})]
    room.forget_link("edge/edge-1/2")
    assert room.get_counts()["viewers"] == 1


@dataclass
class Ledger:
    """Storage as the rooms of this test see it, and what clients were told."""

    rows: list[Entry] = field(default_factory=list)
    acknowledged: dict[str, int] = field(default_factory=dict)
    shown: list[int] = field(default_factory=list)

    def hear(self, effects: list[Effect], names: dict[int, str]) -> None:
        for effect in effects:
            if isinstance(effect, Acknowledge):
                name = names[effect.requester.request_id]
                assert self.acknowledged.setdefault(name, effect.seq) == effect.seq
        self.shown += [entry.seq for entry in published(effects)]


STEPS = st.lists(
    st.sampled_from(["say", "repeat", "stored", "refused", "lost_stored", "lost_unstored"]),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_whatever_happens_acknowledged_lines_are_stored_once_and_shown_once_in_order(
    steps: list[str],
) -> None:
    clock = ManualClock()
    room = make_room(clock, chat_per_10_s_max=1000)
    ledger = Ledger()
    names: dict[int, str] = {}
    for number, step in enumerate(steps):
        if step in ("say", "repeat"):
            name = f"c{number if step == 'say' else number // 2}"
            names[number] = name
            ledger.hear(say(room, name, request_id=number), names)
            continue
        batch = room.take_batch(3)
        if batch is None:
            continue
        if step in ("stored", "lost_stored"):
            ledger.rows += batch.entries
        if step == "stored":
            effects = room.confirm()
        elif step == "refused":
            effects = room.revert(StorageAway())
        else:
            effects = room.resolve([row for row in ledger.rows if row.seq > room.head])
        ledger.hear(effects, names)
    seqs = [row.seq for row in ledger.rows]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len({(row.user_id, row.client_id) for row in ledger.rows}) == len(ledger.rows)
    assert ledger.shown == seqs
    stored = {row.client_id: row.seq for row in ledger.rows}
    assert all(stored[name] == seq for name, seq in ledger.acknowledged.items())
