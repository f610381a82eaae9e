"""A client that writes raw WebSocket frames, well-formed or not, over plain streams."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

MASK = b"\x37\xfa\x21\x3d"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
LAST_WORDS_S = 60.0


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0) -> bytes:
    """Return one masked frame; nothing is checked."""
    return header(opcode, len(payload), fin=fin, reserved=reserved) + mix(payload)


def header(opcode: int, size: int, *, fin: bool = True, reserved: int = 0) -> bytes:
    """Return the header of a masked frame of `size` bytes."""
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    if size < 126:
        return bytes((first, 0x80 | size)) + MASK
    if size < 1 << 16:
        return bytes((first, 0x80 | 126)) + struct.pack("!H", size) + MASK
    return bytes((first, 0x80 | 127)) + struct.pack("!Q", size) + MASK


def mix(payload: bytes) -> bytes:
    """Apply the mask."""
    return bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))


def close(code: int, reason: bytes = b"") -> bytes:
    """Return a close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason)


@dataclass
class FrameClient:
    """One connection; `messages` are (opcode, payload) of data and pong frames."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    messages: list[tuple[int, bytes]] = field(default_factory=list)
    close_code: int | None = None

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    async def read_message(self) -> tuple[int, bytes]:
        """Return the next frame of the server, which neither masks nor fragments."""
        first, second = await self.reader.readexactly(2)
        assert first & 0x80, "servers here do not fragment"
        assert not second & 0x80, "a server does not mask"
        size = second
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(size)

    async def read_to_end(self) -> None:
        """Note everything until the server ends the connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            async with asyncio.timeout(LAST_WORDS_S):
                while True:
                    opcode, payload = await self.read_message()
                    if opcode == CLOSE:
                        self.close_code = int.from_bytes(payload[:2], "big") if payload else 0
                    else:
                        self.messages.append((opcode, payload))


@contextlib.asynccontextmanager
async def open_frames(url: str, *, receive_bytes: int = 0) -> AsyncIterator[FrameClient]:
    """Connect and shake hands; with `receive_bytes` the kernel keeps little for this client."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    raw = socket.socket()
    if receive_bytes:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (parts.hostname, parts.port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=receive_bytes or 1 << 16)
    try:
        writer.write(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        answer = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in answer.split(b"\r\n")[0], answer
        # RFC 6455 §1.3 gives the answer to this key.
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer
        yield FrameClient(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
