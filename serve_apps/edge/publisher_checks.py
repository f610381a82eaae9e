"""Lets publishers begin while their stream key is valid, and ends those who began without one.

One per edge. A key may be replaced while its publisher connects: then the room, which cuts
publishers, knows nothing of this one yet. So the live's row is asked before a publisher begins, and
once more when the room was told of it. The room's word may be lost with its connection; so all who
publish here are looked at again every few seconds. Who was lost is told whether another one has the
live: a page that came back by itself would push that one out.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from functools import partial

from kit.errors import AppError, Unavailable
from kit.logs import get_log
from serve_apps.access.stream_keys import check_key_mark, read_key_marks
from serve_apps.edge.media_sessions import MediaSession, MediaSessions
from storage.database import LOST_CONNECTION, Database
from storage.live_segments import find_origin

log = get_log("edge")
ASK_AGAIN_S = 1.0
"""While nobody can tell about a publisher that has begun."""
LOOK_EVERY_S = 5.0
"""How often all who publish are looked at again."""
LOOKS_MAX = 10
LOOK_PAUSE_S = 0.1
"""A room's word may be here before its row is written."""
ON_AIR = "live"
CheckKey = Callable[[uuid.UUID, str], Awaitable[None]]


class PublisherReplaced(AppError):
    """The session ended because somebody else publishes the live now."""

    code, status = "publisher_replaced", 410
    message = "Another sender took over this live."


class PublisherChecks:
    """Looks at each publisher of the sessions that is ready to begin, or has begun."""

    def __init__(self, sessions: MediaSessions, database: Database) -> None:
        self.check: CheckKey = partial(check_key_mark, database)
        self._sessions = sessions
        self._database = database
        self._arrived: asyncio.Queue[str] = asyncio.Queue()
        sessions.use_checks(self._arrived.put_nowait)

    async def run(self) -> None:
        """Let publishers begin, or end them, until cancelled; none waits for another."""
        async with asyncio.TaskGroup() as looks:
            looks.create_task(self._look_again())
            while True:
                looks.create_task(self._look(await self._arrived.get()))

    async def check_replaced(self, session_id: str) -> None:
        """Raise PublisherReplaced when another one has the live of a publisher that was lost."""
        room_id = self._sessions.find_lost(session_id)
        if room_id is None:
            return
        for _look in range(LOOKS_MAX):
            try:
                async with self._database.connection() as connection:
                    live = await find_origin(connection, room_id)
            except (AppError, *LOST_CONNECTION):
                return  # nobody can tell: it may come back
            if live is None or live.status != ON_AIR or live.origin is None:
                return
            if live.origin.get("session") != session_id:
                raise PublisherReplaced
            await asyncio.sleep(LOOK_PAUSE_S)

    async def _look(self, session_id: str) -> None:
        try:
            while (session := self._sessions.find(session_id)) is not None:
                if await self._is_decided(session_id, session):
                    return
                await asyncio.sleep(ASK_AGAIN_S)
        except Exception:
            # Nobody waits for a look: one that fails must not end the others, nor let anybody in.
            log.exception("publisher.not_checked")
            self._sessions.close(session_id)

    async def _look_again(self) -> None:
        """End publishers whose key is void, and whom the room's word did not reach."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self._end_void()
            except AppError:
                continue  # nobody can tell now: who publishes goes on
            except Exception:
                log.exception("publishers.not_checked")

    async def _end_void(self) -> None:
        standing = self._sessions.list_publishers()
        if not standing:
            return
        room_ids = {session.room_id for session in standing.values()}
        marks = await read_key_marks(self._database, room_ids)
        for session_id, session in standing.items():
            if marks.get(session.room_id) != session.key_mark:
                log.info("publisher.cut_off", code="key_void", room_id=str(session.room_id))
                self._sessions.close(session_id)

    async def _is_decided(self, session_id: str, session: MediaSession) -> bool:
        """Begin or end a publisher by its key; False when nobody can tell of one that has begun."""
        try:
            await self.check(session.room_id, session.key_mark)
        except AppError as error:
            if session.is_connected and isinstance(error, Unavailable):
                return False
            log.info("publisher.cut_off", code=error.code, room_id=str(session.room_id))
            self._sessions.close(session_id)
        else:
            if not session.is_connected:
                self._sessions.begin(session_id)
        return True
