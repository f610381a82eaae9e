"""Ends players of lives that were hidden from who watches, or who lost the right; one per edge.

WebRTC alone: HLS asks for the right with each request, sockets are looked after by their server.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from kit.errors import AppError, Unavailable
from kit.logs import get_log
from serve_apps.edge.media_sessions import MediaSession, MediaSessions
from serve_apps.edge.socket_words import ChannelKind, ChannelName

log = get_log("edge")
ASK_AGAIN_S = 1.0
"""While nobody can tell about a player."""
CheckViewer = Callable[[uuid.UUID, uuid.UUID | None], Awaitable[None]]


class PlayerChecks:
    """Looks at the players of each live that changed, and of each person who lost a right."""

    def __init__(self, sessions: MediaSessions, check_viewer: CheckViewer) -> None:
        self._sessions = sessions
        self._check_viewer = check_viewer
        self._changed: asyncio.Queue[ChannelName] = asyncio.Queue()

    def note_changed(self, channel: ChannelName) -> None:
        """Something was hidden, shown or deleted, or a person may see less."""
        if channel.kind in (ChannelKind.ROOM, ChannelKind.USER):
            self._changed.put_nowait(channel)

    async def run(self) -> None:
        """End players until cancelled; none waits for another, so that all share a query."""
        async with asyncio.TaskGroup() as looks:
            while True:
                channel = await self._changed.get()
                if channel.kind is ChannelKind.ROOM:
                    found = self._sessions.list_viewers(channel.id)
                else:
                    found = self._sessions.list_watched(channel.id)
                for session_id, session in found.items():
                    looks.create_task(self._look(session_id, session))

    async def _look(self, session_id: str, session: MediaSession) -> None:
        try:
            while self._sessions.find(session_id) is not None:
                if await self._is_decided(session_id, session):
                    return
                await asyncio.sleep(ASK_AGAIN_S)
        except Exception:
            # Nobody waits for a look: one that fails must not end the others, nor let anybody stay.
            log.exception("viewer.not_checked")
            self._sessions.close(session_id)

    async def _is_decided(self, session_id: str, session: MediaSession) -> bool:
        """End a player that may not go on; False when nobody can tell now."""
        try:
            await self._check_viewer(session.room_id, session.user_id)
        except Unavailable:
            return False
        except AppError as error:
            log.info("viewer.cut_off", code=error.code)
            self._sessions.close(session_id)
        return True
