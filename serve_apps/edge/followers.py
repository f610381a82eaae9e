"""One open connection that follows channels: writing without waiting, and noticing who is slow.

Frames go straight to the transport and are shared by all followers. Beyond a bound of unread bytes
events are held back: a resume point per room, a reminder per latest state. `socket_server.py` goes
on with a follower that has read, and closes one that has not for ten seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from kit.metrics import SOCKETS_DROPPED, SOCKETS_HELD_BACK
from serve_apps.access.identity import Identity
from serve_apps.edge.socket_words import CloseCode

LAG_BYTES = 128 << 10
CALM_BYTES = 32 << 10
UNREAD_BYTES_MAX = 512 << 10
KERNEL_BYTES = 128 << 10
"""SO_SNDBUF; Linux doubles it for its own book-keeping (socket(7)). With the bound above and one
frame of a client, a connection that nobody reads costs less than 1 MB."""
LAG_MAX_S = 10.0
CLOSE_TIMEOUT_S = 2.0
CALM_POLL_S = 0.02


@dataclass(frozen=True)
class Member:
    """Who is at the other end, with the name shown."""

    identity: Identity
    display_name: str


@dataclass(eq=False, slots=True)
class Follower(ABC):
    """A connection and what this edge keeps of it; there are thousands, so nothing is spare.

    Lists of channels are lists: nearly always empty or of one, and an empty set takes 216 bytes.
    """

    WRAPS: ClassVar[bool] = True
    """Whether a text frame leaves otherwise than it is."""

    transport: asyncio.Transport
    member: Member | None = None
    channels: set[str] = field(default_factory=set)
    lagging_since_s: float | None = None
    held_back: dict[str, int] = field(default_factory=dict)
    """Durable channels whose events wait, and the last offset that was sent."""
    skipped: list[str] = field(default_factory=list)
    """Ephemeral channels whose state was not shown; the latest is, once the follower has read."""
    visitor: bytes = b""
    """Tells this stranger from others (`visits.py`)."""
    opened_at_s: float = field(default_factory=time.monotonic)
    _closing: asyncio.Task[None] | None = None

    def limit_kernel_memory(self) -> None:
        """Bound what the kernel keeps of unread bytes; called once, when the connection is open."""
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)

    def look_after(self, now_s: float) -> None:  # noqa: B027 - only some need it
        """Do what the connection needs done twice a second."""

    def skip(self, channel: str) -> None:
        """Remember that a latest state could not be shown."""
        if channel not in self.skipped:
            self.skipped.append(channel)

    @property
    def is_open(self) -> bool:
        """Whether writing makes sense."""
        return self._closing is None and not self.transport.is_closing()

    @property
    def unread_bytes(self) -> int:
        """How much the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()

    def send(self, frame: bytes) -> bool:
        """Write a frame; False when the follower lags or is gone, and it was not written.

        Once per follower and frame: what other methods say in a line of their own stands here.
        """
        transport = self.transport
        is_gone = self._closing is not None or transport.is_closing()
        if is_gone or self.lagging_since_s is not None:
            return False
        unread = transport.get_write_buffer_size() + len(frame)
        if unread > UNREAD_BYTES_MAX:
            self._begin_lag()
            return False
        transport.write(self._wrap(frame) if self.WRAPS else frame)
        if unread > LAG_BYTES and self.unread_bytes > LAG_BYTES:
            self._begin_lag()
        return True

    def answer(self, frame: bytes) -> None:
        """Write what the client asked for, even when it lags; beyond the bound it is closed."""
        if not self.is_open:
            return
        if self.transport.get_write_buffer_size() + len(frame) > UNREAD_BYTES_MAX:
            self.close(CloseCode.TOO_SLOW)
            return
        self.transport.write(self._wrap(frame))

    async def wait_room(self, size_bytes: int) -> bool:
        """Wait until so much more fits below the lag bound; False after ten seconds."""
        if self.unread_bytes + size_bytes <= LAG_BYTES:
            return self.is_open
        deadline_s = time.monotonic() + LAG_MAX_S
        while self.is_open and self.unread_bytes > CALM_BYTES:
            if time.monotonic() > deadline_s:
                return False
            await asyncio.sleep(CALM_POLL_S)
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

    @abstractmethod
    def _wrap(self, frame: bytes) -> bytes:
        """Return a text frame as it leaves on this connection."""

    @abstractmethod
    async def _say_goodbye(self, code: CloseCode) -> None:
        """Tell the peer why and end; bounded by the caller."""

    def _begin_lag(self) -> None:
        self.lagging_since_s = time.monotonic()
        SOCKETS_HELD_BACK.inc()

    async def _close(self, code: CloseCode) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._say_goodbye(code)
        except (TimeoutError, OSError, RuntimeError):
            self.transport.abort()
