"""One open socket: writing to it without waiting, and noticing when its viewer does not read.

Frames go straight to the transport; nothing is copied per viewer. Beyond a bound of unread bytes
events are held back (a resume point per channel), and after ten seconds the socket is closed.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from aiohttp import web

from kit.metrics import SOCKETS_DROPPED
from serve_apps.access.identity import Identity
from serve_apps.edge.socket_words import CloseCode

LAG_BYTES = 256 << 10
CALM_BYTES = 64 << 10
UNREAD_BYTES_MAX = 2 << 20
LAG_MAX_S = 10.0
CLOSE_TIMEOUT_S = 2.0
WORDS_PER_S = 50.0
WORDS_BURST = 150.0


@dataclass(frozen=True)
class Member:
    """Who is at the other end, with the name shown."""

    identity: Identity
    display_name: str


@dataclass(eq=False)
class Socket:
    """A WebSocket and what this edge keeps of it."""

    response: web.WebSocketResponse
    transport: asyncio.Transport
    member: Member | None = None
    channels: set[str] = field(default_factory=set)
    lagging_since_s: float | None = None
    held_back: dict[str, int] = field(default_factory=dict)
    """Room channels whose events wait, and the last offset that was sent."""
    _words: float = WORDS_BURST
    _words_at_s: float = field(default_factory=time.monotonic)
    _closing: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether writing makes sense."""
        return self._closing is None and not self.transport.is_closing()

    @property
    def unread_bytes(self) -> int:
        """How much the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()

    def send(self, frame: bytes) -> bool:
        """Write a frame; False when the viewer lags or is gone, and it was not written."""
        if not self.is_open or self.lagging_since_s is not None:
            return False
        self.transport.write(frame)
        if self.transport.get_write_buffer_size() > LAG_BYTES:
            self.lagging_since_s = time.monotonic()
        return True

    def answer(self, frame: bytes) -> None:
        """Write what the client asked for, even when it lags; beyond the bound it is closed."""
        if not self.is_open:
            return
        self.transport.write(frame)
        if self.transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            self.close(CloseCode.TOO_SLOW)

    def spend_word(self) -> bool:
        """Count a message from the client; False when it sends too many."""
        now_s = time.monotonic()
        earned = (now_s - self._words_at_s) * WORDS_PER_S
        self._words = min(WORDS_BURST, self._words + earned) - 1
        self._words_at_s = now_s
        return self._words >= 0

    async def wait_calm(self) -> bool:
        """Wait until the viewer has read most of what was sent; False after ten seconds."""
        deadline_s = time.monotonic() + LAG_MAX_S
        while self.is_open and self.unread_bytes > CALM_BYTES:
            if time.monotonic() > deadline_s:
                return False
            await asyncio.sleep(0.02)
        return self.is_open

    def close(self, code: CloseCode) -> None:
        """Close with a code; a peer that does not answer is cut off."""
        if self._closing is None:
            SOCKETS_DROPPED.labels(code.name.lower()).inc()
            self._closing = asyncio.create_task(self._close(code), name="socket-close")

    async def wait_closed(self) -> None:
        """Return when a close that was begun has ended."""
        if self._closing is not None:
            await asyncio.gather(self._closing, return_exceptions=True)

    async def _close(self, code: CloseCode) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.response.close(code=code, message=code.name.lower().encode())
        except (TimeoutError, OSError, RuntimeError):
            self.transport.abort()
