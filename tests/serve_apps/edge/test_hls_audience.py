"""Players by HLS: who counts, until when, and what bounds them."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import cast

import pytest

from actors.live_room.messages import Way
from kit.clock import ManualClock
from serve_apps.edge.hls_audience import STRANGERS_PER_CALLER_MAX, HlsAudience, make_player
from serve_apps.edge.room_mirrors import RoomMirrors

pytestmark = pytest.mark.unit

ROOM, BOB = uuid.UUID(int=1), uuid.UUID(int=2)


class Rooms:
    """Mirrors of rooms: what they hear, and how often they are held."""

    def __init__(self) -> None:
        self.holds = 0
        self.watchers: Counter[uuid.UUID | None] = Counter()

    def hold(self, _room_id: uuid.UUID) -> Rooms:
        self.holds += 1
        return self

    def find(self, _room_id: uuid.UUID) -> Rooms:
        return self

    def release(self, _room_id: uuid.UUID) -> None:
        self.holds -= 1

    def count_watcher(
        self, user_id: uuid.UUID | None, way: Way, change: int, visitor: bytes = b""
    ) -> None:
        assert way is Way.HLS
        self.watchers[user_id] += change


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
def audience(rooms: Rooms, clock: ManualClock) -> HlsAudience:
    return HlsAudience(
        cast(RoomMirrors, rooms), clock.monotonic_s, leave_after_s=16, players_max=100
    )


def ask(
    audience: HlsAudience, user_id: uuid.UUID | None = None, caller: str = "a", agent: str = "x"
) -> None:
    audience.note(make_player(ROOM, user_id, caller=caller, agent=agent))


def test_a_player_counts_once_while_it_asks_and_leaves_when_it_does_not(
    audience: HlsAudience, rooms: Rooms, clock: ManualClock
) -> None:
    for _ in range(3):
        ask(audience)
        ask(audience, BOB, caller="a", agent="x")
        ask(audience, BOB, caller="b", agent="y")
    assert rooms.watchers == {None: 1, BOB: 1}
    clock.advance(10)
    ask(audience)
    clock.advance(7)
    audience.sweep()
    assert +rooms.watchers == {None: 1}
    clock.advance(10)
    audience.sweep()
    assert not +rooms.watchers
    assert (len(audience), rooms.holds) == (0, 0)


def test_made_up_browsers_and_players_beyond_the_limit_do_not_count(
    audience: HlsAudience, rooms: Rooms
) -> None:
    for number in range(STRANGERS_PER_CALLER_MAX + 10):
        ask(audience, agent=str(number))
    assert rooms.watchers[None] == STRANGERS_PER_CALLER_MAX
    for number in range(200):
        ask(audience, caller=str(number))
    assert len(audience) == rooms.holds == 100
