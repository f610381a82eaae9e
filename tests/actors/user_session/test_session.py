"""The rules of a session: who is there, and what they are told."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.hosting.effects import (
    Acknowledge,
    Effect,
    ObjectBusy,
    Publish,
    Refuse,
    Requester,
    Show,
)
from actors.hosting.log import MAILBOX_MAX
from actors.user_session.messages import ActivityReport, Deliver, SocketsReport
from actors.user_session.session import (
    AWAY_AFTER_S,
    OFFLINE_AFTER_S,
    NoticeTooLarge,
    Presence,
    SessionFacts,
    SessionTerms,
    UserSession,
)
from kit.clock import ManualClock

pytestmark = pytest.mark.unit

ADA = uuid.UUID(int=1)
EDGE, OTHER_EDGE = "edge/edge-0/1", "edge/edge-1/1"
RUNNER = Requester("api/runner/1", 7)


def make_session(clock: ManualClock) -> UserSession:
    facts = SessionFacts(ADA, uuid.UUID(int=2), 0)
    return UserSession(facts, [], SessionTerms(clock, uuid.uuid4))


def report(
    session: UserSession, link: str = EDGE, sockets: int = 1, *, is_attended: bool = True
) -> list[str]:
    logins = {"phone": sockets} if sockets else {}
    return read(session.handle(Requester(link), SocketsReport(logins, is_attended=is_attended)))


def read(effects: list[Effect]) -> list[str]:
    """Return the presence that was shown."""
    assert all(isinstance(effect, Show) and effect.kind == "presence" for effect in effects)
    return [effect.data["status"] for effect in effects if isinstance(effect, Show)]


def wait(session: UserSession, clock: ManualClock, seconds: float) -> list[str]:
    """Let time pass as a host does: the session acts when it said it wants to."""
    shown: list[str] = []
    until_s = clock.monotonic_s() + seconds
    while session.due_s is not None and session.due_s <= until_s:
        clock.advance(max(0.0, session.due_s - clock.monotonic_s()))
        shown += read(session.pass_time())
    clock.advance(until_s - clock.monotonic_s())
    return shown


def test_somebody_is_online_with_the_first_socket_and_offline_a_while_after_the_last(
    clock: ManualClock,
) -> None:
    session = make_session(clock)
    assert report(session) == ["online"]
    assert report(session, OTHER_EDGE) == []
    assert report(session, sockets=0) == []
    assert wait(session, clock, OFFLINE_AFTER_S) == []
    assert report(session, OTHER_EDGE, sockets=0) == []
    assert wait(session, clock, OFFLINE_AFTER_S - 0.1) == []
    assert wait(session, clock, 0.1) == ["offline"]


def test_a_page_that_reloads_does_not_flicker(clock: ManualClock) -> None:
    session = make_session(clock)
    report(session)
    report(session, sockets=0)
    assert wait(session, clock, OFFLINE_AFTER_S - 1) == []
    assert report(session) == []
    assert wait(session, clock, 60) == []
    assert session.presence is Presence.ONLINE


def test_who_does_nothing_is_away_until_something_is_done(clock: ManualClock) -> None:
    session = make_session(clock)
    report(session)
    assert wait(session, clock, AWAY_AFTER_S - 1) == []
    assert read(session.handle(Requester(EDGE), ActivityReport())) == []
    assert wait(session, clock, AWAY_AFTER_S - 1) == []
    assert wait(session, clock, 1) == ["away"]
    assert read(session.handle(Requester(EDGE), ActivityReport())) == ["online"]
    assert wait(session, clock, AWAY_AFTER_S) == ["away"]
    assert report(session, sockets=2) == ["online"], "another device is something done"


def test_who_left_every_page_is_away_and_who_comes_back_to_one_is_not(clock: ManualClock) -> None:
    session = make_session(clock)
    assert report(session) == ["online"]
    assert report(session, OTHER_EDGE) == []
    assert report(session, is_attended=False) == []
    assert report(session, OTHER_EDGE, is_attended=False) == ["away"]
    assert report(session, OTHER_EDGE, sockets=2, is_attended=False) == []
    assert wait(session, clock, AWAY_AFTER_S) == []
    assert report(session) == ["online"]
    assert wait(session, clock, AWAY_AFTER_S) == ["away"]


def test_an_edge_out_of_reach_takes_its_sockets_along(clock: ManualClock) -> None:
    session = make_session(clock)
    report(session)
    assert session.describe() == {"devices": "1", "sockets": "1"}
    assert session.forget_link(EDGE) == []
    assert session.describe() == {"devices": "0", "sockets": "0"}
    assert wait(session, clock, OFFLINE_AFTER_S) == ["offline"]


def test_nobody_is_called_offline_before_edges_had_time_to_report(clock: ManualClock) -> None:
    session = make_session(clock)
    assert session.snapshot() == []
    assert not session.is_idle
    assert wait(session, clock, OFFLINE_AFTER_S - 1) == []
    assert report(session) == ["online"]
    other = make_session(clock)
    assert wait(other, clock, OFFLINE_AFTER_S) == ["offline"]
    assert other.is_idle


def test_devices_are_logins_over_all_edges(clock: ManualClock) -> None:
    session = make_session(clock)
    session.handle(Requester(EDGE), SocketsReport({"phone": 1, "laptop": 3}))
    session.handle(Requester(OTHER_EDGE), SocketsReport({"laptop": 1}))
    assert session.describe() == {"devices": "2", "sockets": "5"}


def test_a_notice_is_stored_once_however_often_it_is_delivered(clock: ManualClock) -> None:
    session = make_session(clock)
    notice = Deliver(uuid.UUID(int=9), "follow", {"by": "bob"})
    assert session.handle(RUNNER, notice) == []
    assert session.handle(Requester(RUNNER.link, 8), notice) == []
    batch = session.log.take_batch(100)
    assert batch is not None
    (entry,) = batch.entries
    assert (entry.seq, entry.kind, entry.user_id) == (1, "notification", ADA)
    assert entry.client_id == str(notice.event_id)
    acks = [e for e in session.log.confirm() if isinstance(e, Acknowledge)]
    assert [(ack.requester.request_id, ack.seq) for ack in acks] == [(7, 1), (8, 1)]
    (again,) = session.handle(Requester(RUNNER.link, 9), notice)
    assert isinstance(again, Acknowledge)
    assert (again.entry_id, again.seq) == (entry.id, 1)


@pytest.mark.parametrize(
    ("kind", "data"), [("", {}), ("k" * 65, {}), ("follow", {"text": "x" * 9000})]
)
def test_a_notice_that_is_too_large_is_refused(
    clock: ManualClock, kind: str, data: dict[str, str]
) -> None:
    (effect,) = make_session(clock).handle(RUNNER, Deliver(uuid.uuid4(), kind, data))
    assert isinstance(effect, Refuse)
    assert isinstance(effect.error, NoticeTooLarge)


def test_a_full_mailbox_is_busy(clock: ManualClock) -> None:
    session = make_session(clock)
    for _ in range(MAILBOX_MAX):
        assert session.handle(RUNNER, Deliver(uuid.uuid4(), "like", {})) == []
    (effect,) = session.handle(RUNNER, Deliver(uuid.uuid4(), "like", {}))
    assert isinstance(effect, Refuse)
    assert isinstance(effect.error, ObjectBusy)


LINKS = st.sampled_from([EDGE, OTHER_EDGE])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("sockets"), LINKS, st.integers(0, 2)),
        st.tuples(st.just("leave"), LINKS, st.integers(0, 2)),
        st.tuples(st.just("lose"), LINKS, st.just(0)),
        st.tuples(st.just("act"), LINKS, st.just(0)),
        st.tuples(st.just("wait"), st.just(""), st.sampled_from([1, 9, 10, 11, 299, 300])),
        st.tuples(st.just("tell"), st.just(""), st.integers(1, 6)),
        st.tuples(st.sampled_from(["store", "refuse", "lose", "keep"]), st.just("db"), st.just(0)),
    ),
    max_size=40,
)


@dataclass
class Fold:
    """What a client knows: a snapshot, changed by nothing but what was emitted since."""

    presence: list[str]
    notices: list[tuple[int, uuid.UUID, Any]]

    @classmethod
    def of(cls, session: UserSession) -> Fold:
        entries = session.log.find_entries_after(0)
        assert entries is not None, "no more is told here than memory holds"
        return cls(read(list(session.snapshot())), [(e.seq, e.id, e.body) for e in entries])

    def take(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Show):
                assert self.presence != [effect.data["status"]], "only a change is shown"
                self.presence = [effect.data["status"]]
            elif isinstance(effect, Publish):
                self.notices += [(e.seq, e.id, e.body) for e in effect.entries]


def act(session: UserSession, step: str, link: str, number: int) -> list[Effect]:
    """Have one command done, or one thing happen to what it wants stored."""
    requester = Requester(link)
    if link == "db":
        batch = session.log.take_batch(2)
        if batch is None:
            return []
        if step == "store":
            return session.log.confirm()
        if step == "refuse":
            return session.log.revert(ObjectBusy())
        return session.log.resolve(batch.entries if step == "keep" else ())
    if step == "tell":
        notice = Deliver(uuid.UUID(int=number), "like", {"number": number})
        return session.handle(RUNNER, notice)
    if step == "act":
        return session.handle(requester, ActivityReport())
    if step == "lose":
        return session.forget_link(link)
    logins = {"phone": number} if number else {}
    return session.handle(requester, SocketsReport(logins, is_attended=step == "sockets"))


@settings(max_examples=500, deadline=None)
@given(STEPS)
def test_snapshot_and_emitted_events_make_the_new_snapshot(
    steps: list[tuple[str, str, int]],
) -> None:
    """For every command, whatever storage does with what was accepted."""
    clock = ManualClock()
    session = make_session(clock)
    known = Fold.of(session)
    for step, link, number in steps:
        if step == "wait":
            until_s = clock.monotonic_s() + number
            while session.due_s is not None and session.due_s <= until_s:
                clock.advance(max(0.0, session.due_s - clock.monotonic_s()))
                known.take(session.pass_time())
            clock.advance(until_s - clock.monotonic_s())
        else:
            known.take(act(session, step, link, number))
        assert Fold.of(session) == known
        numbers = [seq for seq, _id, _body in known.notices]
        assert numbers == list(range(1, len(numbers) + 1))
        told = [body["data"]["number"] for _seq, _id, body in known.notices]
        assert len(told) == len(set(told)), "an event is told of once"
