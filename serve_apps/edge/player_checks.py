"""Ends players of lives that were hidden from who watches; one per edge.

WebRTC alone: HLS asks for the right with each request, sockets are looked after by their server.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from kit.errors import AppError, Unavailable
from kit.logs import get_log
from serve_apps.edge.media_sessions import MediaSessions
from serve_apps.edge.socket_words import ChannelKind, ChannelName

log = get_log("edge")
CheckViewer = Callable[[uuid.UUID, uuid.UUID | None], Awaitable[None]]


class PlayerChecks:
    """Looks at the players of each live that changed."""

    def __init__(self, sessions: MediaSessions, check_viewer: CheckViewer) -> None:
        self._sessions = sessions
        self._check_viewer = check_viewer
        self._changed: asyncio.Queue[uuid.UUID] = asyncio.Queue()

    def note_changed(self, channel: ChannelName) -> None:
        """Something was hidden, shown or deleted."""
        if channel.kind is ChannelKind.ROOM:
            self._changed.put_nowait(channel.id)

    async def run(self) -> None:
        """End players until cancelled."""
        while True:
            room_id = await self._changed.get()
            for session_id, viewer_id in self._sessions.list_viewers(room_id).items():
                try:
                    await self._check_viewer(room_id, viewer_id)
                except Unavailable:
                    continue
                except AppError as error:
                    log.info("viewer.cut_off", code=error.code)
                    self._sessions.close(session_id)
