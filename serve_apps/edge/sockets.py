"""A WebSocket as a follower, and how many words its client may say."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from serve_apps.edge.followers import Follower
from serve_apps.edge.socket_words import CloseCode

WORDS_PER_S = 50.0
WORDS_BURST = 150.0


class Socket(Follower):
    """One WebSocket."""

    def __init__(self, response: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._response = response
        self._words = WORDS_BURST
        self._words_at_s = time.monotonic()

    def spend_word(self) -> bool:
        """Count a message from the client; False when it sends too many."""
        now_s = time.monotonic()
        earned = (now_s - self._words_at_s) * WORDS_PER_S
        self._words = min(WORDS_BURST, self._words + earned) - 1
        self._words_at_s = now_s
        return self._words >= 0

    def _wrap(self, frame: bytes) -> bytes:
        return frame

    async def _say_goodbye(self, code: CloseCode) -> None:
        await self._response.close(code=code, message=code.name.lower().encode())
