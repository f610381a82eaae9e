"""The rules of a session: who is there, and what they are told."""

from __future__ import annotations

import itertools
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.hosting.effects import Acknowledge, Effect, ObjectBusy, Refuse, Requester, Show
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


def report(session: UserSession, link: str = EDGE, sockets: int = 1) -> list[str]:
    logins = {"phone": sockets} if sockets else {}
    return read(session.handle(Requester(link), SocketsReport(logins)))


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


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("sockets"), st.sampled_from([EDGE, OTHER_EDGE]), st.integers(0, 2)),
        st.tuples(st.just("lose"), st.sampled_from([EDGE, OTHER_EDGE]), st.just(0)),
        st.tuples(st.just("act"), st.just(EDGE), st.just(0)),
        st.tuples(st.just("wait"), st.just(""), st.sampled_from([1, 9, 10, 11, 299, 300])),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_snapshot_and_what_was_shown_since_make_the_new_snapshot(
    steps: list[tuple[str, str, int]],
) -> None:
    clock = ManualClock()
    session = make_session(clock)
    known = read(list(session.snapshot()))
    for step, link, number in steps:
        if step == "sockets":
            shown = report(session, link, number)
        elif step == "lose":
            shown = read(session.forget_link(link))
        elif step == "act":
            shown = read(session.handle(Requester(link), ActivityReport()))
        else:
            shown = wait(session, clock, number)
        known = shown[-1:] or known
        assert read(list(session.snapshot())) == known
        assert all(a != b for a, b in itertools.pairwise(shown))
