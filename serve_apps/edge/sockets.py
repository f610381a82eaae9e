"""A WebSocket as a follower of channels."""

from __future__ import annotations

import asyncio

from aiohttp import web

from serve_apps.edge.followers import Follower
from serve_apps.edge.socket_words import CloseCode


class Socket(Follower):
    """One WebSocket."""

    __slots__ = ("_response",)
    WRAPS = False

    def __init__(self, response: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._response = response

    def _wrap(self, frame: bytes) -> bytes:
        return frame

    async def _say_goodbye(self, code: CloseCode) -> None:
        await self._response.close(code=code, message=code.name.lower().encode())
