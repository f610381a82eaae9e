"""Who may not watch any more is ended at once, all together, as soon as anybody can tell."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import pytest

from kit.clock import SystemClock
from kit.errors import NotFound
from kit.ids import make_id
from serve_apps.edge import player_checks
from serve_apps.edge.access_book import AccessBook
from serve_apps.edge.audience import Audience, AudiencePorts
from serve_apps.edge.batched_reads import BatchedReads
from serve_apps.edge.media_sessions import MediaSession, MediaSessions
from serve_apps.edge.player_checks import CheckViewer, PlayerChecks
from serve_apps.edge.socket_words import ChannelKind, ChannelName
from storage.database import Database, DatabaseBusy, PoolOptions
from storage.lives import LiveAccess
from tests.storage.waiting import wait_until

pytestmark = pytest.mark.unit

VIEWERS = 50
ROOM_ID = make_id()
ROOM = ChannelName(ChannelKind.ROOM, ROOM_ID)


class Watching(MediaSessions):
    """Sessions that watch one room, without the forwarding plane behind them."""

    def __init__(self, count: int) -> None:
        super().__init__({}, lambda: False)
        self._sessions = {
            str(number): MediaSession(ROOM_ID, "viewer", make_id(), None) for number in range(count)
        }

    def close(self, session_id: str) -> bool:
        return self._sessions.pop(session_id, None) is not None


@contextlib.asynccontextmanager
async def checking(sessions: MediaSessions, check: CheckViewer) -> AsyncIterator[PlayerChecks]:
    checks = PlayerChecks(sessions, check)
    running = asyncio.create_task(checks.run())
    try:
        yield checks
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_all_who_watch_are_asked_for_at_once() -> None:
    """One after the other, each of hundreds would wait for a query of its own."""
    sessions, asked, all_asked = Watching(VIEWERS), 0, asyncio.Event()

    async def check(_room_id: uuid.UUID, _user_id: uuid.UUID | None) -> None:
        nonlocal asked
        asked += 1
        if asked == VIEWERS:
            all_asked.set()
        await all_asked.wait()
        raise NotFound

    async with checking(sessions, check) as checks:
        checks.note_changed(ROOM)
        await wait_until(lambda: len(sessions) == 0)


async def test_who_nobody_can_tell_about_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(player_checks, "ASK_AGAIN_S", 0.01)
    sessions, asked = Watching(2), 0

    async def check(_room_id: uuid.UUID, _user_id: uuid.UUID | None) -> None:
        nonlocal asked
        asked += 1
        raise NotFound if asked > 5 else DatabaseBusy

    async with checking(sessions, check) as checks:
        checks.note_changed(ROOM)
        await wait_until(lambda: len(sessions) == 0)
    assert asked == 7


async def test_a_look_that_fails_lets_nobody_stay_and_the_next_ones_go_on() -> None:
    sessions, is_broken = Watching(1), True

    async def check(_room_id: uuid.UUID, _user_id: uuid.UUID | None) -> None:
        raise RuntimeError if is_broken else NotFound

    async with checking(sessions, check) as checks:
        checks.note_changed(ROOM)
        await wait_until(lambda: len(sessions) == 0)
        is_broken = False
        sessions._sessions = Watching(3)._sessions
        checks.note_changed(ROOM)
        await wait_until(lambda: len(sessions) == 0)


async def test_a_database_that_is_lost_while_follows_are_read_is_said_to_be_busy() -> None:
    """Any other error would end whoever asks."""
    database, clock = Database("", PoolOptions(size=1)), SystemClock()
    audience = Audience(AudiencePorts(database, clock, AccessBook(database, clock)))

    async def read_lives(live_ids: list[uuid.UUID]) -> dict[uuid.UUID, LiveAccess]:
        return {live_id: LiveAccess(live_id, make_id(), "followers", 1) for live_id in live_ids}

    async def lose(_pairs: object) -> dict[tuple[uuid.UUID, uuid.UUID], object]:
        raise ConnectionResetError

    audience._lives = BatchedReads(read_lives, clock, 1.0)
    audience._follows = BatchedReads(lose, clock, 1.0)
    with pytest.raises(DatabaseBusy):
        await audience.check_room(ROOM_ID, make_id())
