"""Handshakes advance in order, a little per turn of the loop, and a flood of them is bounded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from media.sfu.handshake_turns import (
    SESSION_WAITING_MAX,
    TURN_S,
    WAITING_MAX,
    HandshakeTurns,
)
from media.sfu.session import PeerSession
from media.sfu.srtp import SrtpPair
from tests.media.sfu.room_stage import Feedback, make_keys, make_parts

pytestmark = pytest.mark.unit

COST_S = TURN_S / 4


class Loop:
    """Runs what is due turn by turn; each datagram costs a quarter of what a turn may."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.due: list[Callable[[], None]] = []
        self.done: list[bytes] = []
        self.turns = HandshakeTurns(self.advance, self.due.append, lambda: self.now_s)

    def advance(self, _session: PeerSession, datagram: bytes) -> None:
        self.now_s += COST_S
        if datagram == b"broken":
            raise ValueError("broken")
        self.done.append(datagram)

    def run_turn(self) -> None:
        due, self.due[:] = list(self.due), []
        for callback in due:
            callback()


@pytest.fixture
def loop() -> Loop:
    return Loop()


def make_session() -> PeerSession:
    _, theirs = make_keys()
    return PeerSession(make_parts(Feedback(SrtpPair(theirs))))


def test_a_crowd_takes_several_turns_in_its_order(loop: Loop) -> None:
    sessions = [make_session() for _ in range(10)]
    for number, session in enumerate(sessions):
        assert loop.turns.add(session, b"%d" % number)
    assert loop.done == []
    for so_far in (4, 8, 10):
        loop.run_turn()
        assert loop.done == [b"%d" % number for number in range(so_far)]
    assert loop.due == []
    loop.turns.add(sessions[0], b"again")
    loop.run_turn()
    assert loop.done[-1] == b"again"


def test_who_left_meanwhile_costs_nothing(loop: Loop) -> None:
    gone, here = make_session(), make_session()
    loop.turns.add(gone, b"gone")
    loop.turns.add(here, b"here")
    gone.is_open = False
    loop.run_turn()
    assert loop.done == [b"here"]


def test_a_flood_is_refused_and_forgotten_once_worked_off(loop: Loop) -> None:
    sessions = [make_session() for _ in range(WAITING_MAX // SESSION_WAITING_MAX + 1)]
    taken = [loop.turns.add(one, b"x") for one in sessions for _ in range(SESSION_WAITING_MAX)]
    assert sum(taken) == WAITING_MAX
    while loop.due:
        loop.run_turn()
    assert len(loop.turns) == 0
    assert loop.turns.add(sessions[0], b"y")


def test_one_session_that_floods_keeps_nobody_else_out(loop: Loop) -> None:
    flooding, other = make_session(), make_session()
    taken = sum(loop.turns.add(flooding, b"x") for _ in range(WAITING_MAX + 10))
    assert taken == SESSION_WAITING_MAX
    assert loop.turns.add(other, b"y")
    while loop.due:
        loop.run_turn()
    assert loop.done == [b"x"] * SESSION_WAITING_MAX + [b"y"]
    assert loop.turns.add(flooding, b"x")


def test_one_that_fails_stops_nobody_behind_it(loop: Loop) -> None:
    session = make_session()
    loop.turns.add(session, b"broken")
    loop.turns.add(session, b"next")
    with pytest.raises(ValueError, match="broken"):
        loop.run_turn()
    loop.run_turn()
    assert loop.done == [b"next"]
