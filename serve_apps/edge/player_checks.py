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
        """End players until cancelled."""
        while True:
            channel = await self._changed.get()
            if channel.kind is ChannelKind.ROOM:
                found = self._sessions.list_viewers(channel.id)
            else:
                found = self._sessions.list_watched(channel.id)
            for session_id, session in found.items():
                await self._look(session_id, session)

    async def _look(self, session_id: str, session: MediaSession) -> None:
        try:
            await self._check_viewer(session.room_id, session.user_id)
        except Unavailable:
            return
        except AppError as error:
            log.info("viewer.cut_off", code=error.code)
            self._sessions.close(session_id)
