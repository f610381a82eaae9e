"""WebSocket clients that cost next to nothing: a thousand of them leave the server its core.

Bytes are handed on as they arrive; who listens remembers what the same bytes meant for the socket
before. Frames are masked with a key of zeros (RFC 6455 §5.3 allows any), which leaves them as
they are.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Iterator
from typing import cast
from urllib.parse import urlsplit

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
OPEN_TIMEOUT_S = 30.0
BUSY_PAUSE_S = 0.5
BATCH, BATCH_PAUSE_S = 25, 0.08
"""Opening about 300 sockets a second stays below what an edge admits."""

Hear = Callable[["RawSocket", bytes], int]
"""Takes what has arrived and returns how many bytes of it were whole frames."""


class ServerBusy(ConnectionError):
    """The server asks to come back in a moment."""


class RawSocket(asyncio.Protocol):
    """One client; `hear` is called with unmasked server frames, whole or not."""

    def __init__(self, url: str, hear: Hear) -> None:
        parts = urlsplit(url)
        self._host, self._path = parts.netloc, parts.path or "/"
        self._hear = hear
        self._rest = b""
        self.is_upgraded = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        # uvloop's transports write but are not of asyncio's class.
        self.transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            (
                f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                "Sec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )

    def data_received(self, data: bytes) -> None:
        """Hand on what came, with what was left over before."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        if not self.is_upgraded:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                kind = ServerBusy if head.startswith(b"HTTP/1.1 503") else ConnectionError
                self.opened.set_exception(kind(head[:80].decode(errors="replace")))
                self.abort()
                return
            self.is_upgraded = True
            self.opened.set_result(None)
        used = self._hear(self, data)
        if used < len(data):
            self._rest = data[used:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(str(exc)))
        if not self.closed.done():
            self.closed.set_result(None)

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Write one frame."""
        assert self.transport is not None, "only an open socket is written to"
        size = len(payload)
        if size < 126:
            head = bytes((0x80 | opcode, 0x80 | size))
        else:
            head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
        self.transport.write(head + bytes(4) + payload)

    def abort(self) -> None:
        """End at once."""
        if self.transport is not None:
            self.transport.abort()


def split_frames(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield opcode, payload and end of every whole frame of a server."""
    start = 0
    while start + 2 <= len(data):
        size, body = data[start + 1], start + 2
        if size == 126:
            size, body = int.from_bytes(data[body : body + 2], "big"), body + 2
        elif size == 127:
            size, body = int.from_bytes(data[body : body + 8], "big"), body + 8
        end = body + size
        if end > len(data) or body > len(data):
            return
        yield data[start] & 0x0F, data[body:end], end
        start = end


async def open_socket(url: str, hear: Hear) -> RawSocket:
    """Open one socket, again and again while the server is busy (503); raises TimeoutError."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(OPEN_TIMEOUT_S):
        while True:
            _transport, socket = await loop.create_connection(
                lambda: RawSocket(url, hear), parts.hostname or "", parts.port or 80
            )
            try:
                await socket.opened
            except ServerBusy:
                await asyncio.sleep(BUSY_PAUSE_S)
            else:
                return socket


async def open_sockets(url: str, hears: list[Hear], first: bytes = b"") -> list[RawSocket]:
    """Open many, a few at a time; each says `first` as soon as it is open."""
    sockets: list[RawSocket] = []
    for start in range(0, len(hears), BATCH):
        batch = hears[start : start + BATCH]
        opened = await asyncio.gather(*(open_socket(url, hear) for hear in batch))
        for socket in opened if first else ():
            socket.send(first)
        sockets += opened
        await asyncio.sleep(BATCH_PAUSE_S)
    return sockets
