"""The durable channel: numbers, acknowledgements, repeats, and outcomes nobody knows."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.hosting.effects import (
    Acknowledge,
    Effect,
    Finish,
    ObjectBusy,
    Publish,
    Refuse,
    Requester,
    StorageAway,
)
from actors.hosting.entries import Entry
from actors.hosting.log import HISTORY_MAX, MAILBOX_MAX, Draft, Log
from kit.clock import ManualClock

pytestmark = pytest.mark.unit

LINK = "edge/edge-0/1"
ADA, BOB = uuid.UUID(int=1), uuid.UUID(int=2)


@dataclass
class Channel:
    """A log, and what it reported as stored."""

    clock: ManualClock
    stored: list[tuple[int, object]] = field(default_factory=list)
    log: Log = field(init=False)

    def __post_init__(self) -> None:
        self.log = Log(0, [], self.clock, self._note)

    def _note(self, entry: Entry, change: object) -> list[Effect]:
        self.stored.append((entry.seq, change))
        return []

    def send(self, client_id: str, request_id: int = 1, who: uuid.UUID = ADA) -> list[Effect]:
        """Accept a line as a core does."""
        requester = Requester(LINK, request_id)
        answer = self.log.find_answer((who, client_id), requester)
        if answer is not None:
            return answer
        try:
            self.log.check_space()
        except ObjectBusy as error:
            return [Refuse(requester, error)]
        draft = Draft(uuid.uuid4(), "line", {"text": client_id}, [requester], (who, client_id))
        self.log.add(draft)
        return []

    def change(self, change: str, request_id: int) -> None:
        """Accept a change."""
        requester = Requester(LINK, request_id)
        self.log.add(Draft(uuid.uuid4(), "state", {}, [requester], change=change))

    def store(self) -> list[Effect]:
        """Take everything that waits through storage; returns the effects."""
        effects: list[Effect] = []
        while self.log.take_batch(100) is not None:
            effects += self.log.confirm()
        return effects


@pytest.fixture
def channel(clock: ManualClock) -> Channel:
    return Channel(clock)


def acks(effects: list[Effect]) -> list[tuple[int, int]]:
    return [(e.requester.request_id, e.seq) for e in effects if isinstance(e, Acknowledge)]


def published(effects: list[Effect]) -> list[Entry]:
    return [entry for e in effects if isinstance(e, Publish) for entry in e.entries]


def test_whoever_waits_for_silent_storage_is_answered_and_may_repeat(clock: ManualClock) -> None:
    channel = Channel(clock)
    channel.send("out", 1)
    assert channel.log.take_batch(10) is not None
    channel.send("behind", 2)
    unknown, refused = ObjectBusy(), StorageAway()
    assert channel.log.end_waiting(unknown, refused) == [
        Refuse(Requester(LINK, 1), unknown),
        Refuse(Requester(LINK, 2), refused),
    ]
    assert channel.send("out", 3) == []  # it is still on its way
    assert channel.log.depth == 1
    channel.send("behind", 4)  # fresh: it was never sent
    (acknowledged, published) = channel.log.confirm()
    assert isinstance(acknowledged, Acknowledge)
    assert acknowledged.requester == Requester(LINK, 3)
    assert isinstance(published, Publish)
    assert channel.log.depth == 1


def test_nothing_is_acknowledged_or_published_before_it_is_stored(channel: Channel) -> None:
    assert channel.send("a") == []
    batch = channel.log.take_batch(100)
    assert batch is not None
    assert (channel.log.head, channel.stored, channel.log.depth) == (0, [], 1)
    effects = channel.log.confirm()
    assert acks(effects) == [(1, 1)]
    assert [entry.seq for entry in published(effects)] == [1]
    assert (channel.log.head, channel.stored, channel.log.depth) == (1, [(1, None)], 0)


def test_lines_are_numbered_in_the_order_they_came(channel: Channel) -> None:
    for number in range(5):
        channel.send(str(number))
    entries = published(channel.store())
    assert [(e.seq, e.body["text"]) for e in entries] == [(n + 1, str(n)) for n in range(5)]


def test_a_repeat_gets_the_first_acknowledgement(channel: Channel) -> None:
    channel.send("a")
    first = channel.store()[0]
    (second,) = channel.send("a", request_id=2)
    assert isinstance(first, Acknowledge)
    assert isinstance(second, Acknowledge)
    assert (first.entry_id, first.seq) == (second.entry_id, second.seq)
    assert not channel.log.has_work


def test_a_repeat_of_a_line_in_flight_waits_for_the_same_outcome(channel: Channel) -> None:
    channel.send("a")
    channel.log.take_batch(100)
    assert channel.send("a", request_id=2) == []
    assert acks(channel.log.confirm()) == [(1, 1), (2, 1)]


def test_two_people_may_use_the_same_client_id(channel: Channel) -> None:
    channel.send("a")
    channel.send("a", request_id=2, who=BOB)
    assert acks(channel.store()) == [(1, 1), (2, 2)]


def test_a_full_mailbox_is_busy_until_something_was_stored(channel: Channel) -> None:
    for number in range(MAILBOX_MAX):
        assert channel.send(str(number)) == []
    (refusal,) = channel.send("over")
    assert isinstance(refusal, Refuse)
    assert isinstance(refusal.error, ObjectBusy)
    assert refusal.error.retryable
    channel.log.take_batch(1)
    assert channel.send("over") == []


def test_changes_are_accepted_even_when_the_mailbox_is_full(channel: Channel) -> None:
    for number in range(MAILBOX_MAX):
        channel.send(str(number))
    channel.change("over", 7)
    effects = channel.store()
    assert [e.requester.request_id for e in effects if isinstance(e, Finish)] == [7]
    assert channel.stored[-1] == (MAILBOX_MAX + 1, "over")


def test_what_was_surely_not_stored_is_refused_and_its_numbers_are_used_again(
    channel: Channel,
) -> None:
    channel.send("a")
    channel.log.take_batch(100)
    channel.send("b", request_id=2)
    (refusal,) = channel.log.revert(StorageAway())
    assert isinstance(refusal, Refuse)
    assert isinstance(refusal.error, StorageAway)
    assert acks(channel.store()) == [(2, 1)]
    channel.send("a", request_id=3)
    assert acks(channel.store()) == [(3, 2)]


def test_an_unknown_outcome_is_resolved_by_what_storage_holds(channel: Channel) -> None:
    channel.send("a")
    channel.send("b", request_id=2)
    batch = channel.log.take_batch(1)
    assert batch is not None
    assert acks(channel.log.resolve(batch.entries)) == [(1, 1)]
    channel.log.take_batch(100)
    assert channel.log.resolve([]) == []
    assert acks(channel.store()) == [(2, 2)]


def test_lines_another_owner_stored_are_published_when_found(channel: Channel) -> None:
    channel.send("mine")
    channel.log.take_batch(100)
    other = Entry(1, uuid.uuid4(), "line", BOB, "x", {}, channel.clock.now())
    assert published(channel.log.resolve([other])) == [other]
    assert acks(channel.store()) == [(1, 2)]


def test_a_line_storage_already_had_is_acknowledged_as_it_stands(channel: Channel) -> None:
    channel.send("stale")
    channel.send("fresh", request_id=2)
    channel.log.take_batch(100)
    stored_id = uuid.uuid4()
    effects = channel.log.drop_repeats({(ADA, "stale"): (stored_id, 0)})
    assert effects == [Acknowledge(Requester(LINK, 1), stored_id, 0)]
    assert acks(channel.store()) == [(2, 1)]


def test_two_changes_never_share_a_batch_and_the_newest_stands_until_stored(
    channel: Channel,
) -> None:
    channel.change("live", 1)
    channel.change("ended", 2)
    batch = channel.log.take_batch(100)
    assert batch is not None
    assert (len(batch.entries), batch.change) == (1, "live")
    channel.log.confirm()
    assert channel.log.last_change is not None
    assert channel.log.last_change.change == "ended"
    channel.store()
    assert channel.log.last_change is None
    assert channel.stored == [(1, "live"), (2, "ended")]


def test_a_change_survives_storage_being_away_while_its_requester_is_refused(
    channel: Channel,
) -> None:
    channel.change("ended", 1)
    channel.log.take_batch(100)
    (refusal,) = channel.log.revert(StorageAway())
    assert isinstance(refusal, Refuse)
    assert not any(isinstance(effect, Finish) for effect in channel.store())
    assert channel.stored == [(1, "ended")]


def test_times_never_go_backwards_within_a_channel(channel: Channel) -> None:
    channel.send("a")
    (first,) = published(channel.store())
    channel.clock._now = channel.clock._now.replace(year=2020)
    channel.send("b")
    (second,) = published(channel.store())
    assert second.created_at >= first.created_at


def test_memory_of_entries_is_bounded_and_says_how_far_it_reaches(channel: Channel) -> None:
    for number in range(HISTORY_MAX + 10):
        channel.send(str(number))
    channel.store()
    assert channel.log.find_entries_after(9) is None
    found = channel.log.find_entries_after(10)
    assert found is not None
    assert [entry.seq for entry in found] == list(range(11, HISTORY_MAX + 11))


@dataclass
class Ledger:
    """Storage as the channel of this test sees it, and what clients were told."""

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
    channel = Channel(ManualClock())
    ledger = Ledger()
    names: dict[int, str] = {}
    for number, step in enumerate(steps):
        if step in ("say", "repeat"):
            name = f"c{number if step == 'say' else number // 2}"
            names[number] = name
            ledger.hear(channel.send(name, request_id=number), names)
            continue
        batch = channel.log.take_batch(3)
        if batch is None:
            continue
        if step in ("stored", "lost_stored"):
            ledger.rows += batch.entries
        if step == "stored":
            effects = channel.log.confirm()
        elif step == "refused":
            effects = channel.log.revert(StorageAway())
        else:
            effects = channel.log.resolve([r for r in ledger.rows if r.seq > channel.log.head])
        ledger.hear(effects, names)
    seqs = [row.seq for row in ledger.rows]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len({row.sender for row in ledger.rows}) == len(ledger.rows)
    assert ledger.shown == seqs
    stored = {row.client_id: row.seq for row in ledger.rows}
    assert all(stored[name] == seq for name, seq in ledger.acknowledged.items())
