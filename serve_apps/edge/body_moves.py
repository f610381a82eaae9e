"""Moves a request's body from its socket into a file, without a copy through this process.

`upload_writer.py` uses it for bodies of a known length, where the socket carries them as they are;
others come through aiohttp, which copies each byte four times on its way (benchmarks/uploads).
splice(2) hands the socket's pages to a pipe, and the file takes its bytes from there. aiohttp's
parser counts a body's bytes to find the next request, so it is told of as many as were moved.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import socket
import threading
import time
from asyncio import Transport
from collections.abc import Iterator
from typing import Self

from aiohttp import hdrs, web

WAKE_BYTES = 256 << 10
"""So much has come before a thread is woken for it, unless nothing comes for a while."""
PIPE_BYTES = 512 << 10
LENT_MAX_S = 0.05
"""A thread is held for no longer, however fast the sender is; then others have their turn."""
LINGER_MS = 5
"""Who sends more than 50 MB/s has sent the next WAKE_BYTES by then: waiting costs less than a
thread's wake."""
ZEROS = bytes(256 << 10)


class BodyMove:
    """The rest of one request's body, from `begin` until `close`."""

    def __init__(self, request: web.Request, transport: Transport, left_bytes: int) -> None:
        self._request = request
        self._transport = transport
        self._left_bytes = left_bytes
        self._untold_bytes = 0
        self._socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self.pipe, self._inlet = os.pipe()
        with contextlib.suppress(OSError):  # it stays as small as pipes are
            fcntl.fcntl(self._inlet, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._wake_at(WAKE_BYTES)
        self._lock = threading.Lock()
        self._is_lent = self._is_closed = False
        self._until_s = 0.0
        self.has_ended = False
        """Whether the sender is gone: nothing more will come."""

    @classmethod
    def begin(cls, request: web.Request, size_bytes_min: int) -> tuple[bytes, Self | None]:
        """Return what was read of the body so far, and the rest; none where it cannot be moved.

        Raises what reading it would.
        """
        transport, content = request.transport, request.content
        size_bytes = request.content_length or 0
        if size_bytes < size_bytes_min or transport is None or not _can_move(request, transport):
            return b"", None
        read = []
        while data := content.read_nowait():  # it has the parser go on with what that holds
            read.append(data)
        transport.pause_reading()
        return b"".join(read), cls(request, transport, size_bytes - content.total_bytes)

    @contextlib.contextmanager
    def lend(self) -> Iterator[None]:
        """Keep the descriptors open while a thread uses them; raises ConnectionError."""
        with self._lock:
            if self._is_closed:
                raise ConnectionAbortedError("the body was given up")
            self._is_lent = True
        self._until_s = time.monotonic() + LENT_MAX_S
        try:
            yield
        finally:
            with self._lock:
                self._is_lent = False
                if self._is_closed:
                    self._close_descriptors()

    def fill(self, size_bytes: int) -> int:
        """Put what came, up to so many bytes, into the pipe; 0 when nothing comes for now.

        Blocks for moments: call it from the thread it was lent to, and empty the pipe before the
        next call. Raises ConnectionError.
        """
        while not self.has_ended and time.monotonic() < self._until_s:
            try:
                moved = os.splice(self._socket.fileno(), self._inlet, size_bytes)
            except BlockingIOError:
                if self._poll.poll(LINGER_MS):
                    continue
                return 0
            self.has_ended = moved == 0
            self._left_bytes -= moved
            self._untold_bytes += moved
            return moved
        return 0

    async def wait(self, timeout_s: float) -> bool:
        """Wait until more has come or the sender is gone; False when the time was over before.

        Raises ConnectionError.
        """
        if self._transport.is_closing():
            raise ConnectionAbortedError("the connection was closed here")
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        self._wake_at(WAKE_BYTES)
        loop.add_reader(self._socket.fileno(), readable.set)
        try:
            async with asyncio.timeout(timeout_s):
                await readable.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(self._socket.fileno())
        return True

    def tell(self) -> None:
        """Have the parser count what was moved."""
        content = self._request.content
        while self._untold_bytes > 0 and content.exception() is None:
            zeros = ZEROS[: self._untold_bytes]
            self._untold_bytes -= len(zeros)
            self._request.protocol.data_received(zeros)
            content.read_nowait()
        if self._left_bytes > 0 and not self._transport.is_closing():
            self._transport.pause_reading()  # which reading from `content` has undone

    def close(self) -> None:
        """Give the connection back, and the descriptors, behind a thread that still uses them."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if self._is_lent:  # it may still take bytes that nobody would tell
                self._request.protocol.force_close()
                return
            self._wake_at(1)
            self._close_descriptors()
        self._left_bytes = 0
        self.tell()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _wake_at(self, size_bytes: int) -> None:
        """Call the socket readable once so much has come (tcp(7): SO_RCVLOWAT)."""
        wanted_bytes = max(1, min(size_bytes, self._left_bytes))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted_bytes)

    def _close_descriptors(self) -> None:
        self._socket.close()
        os.close(self.pipe)
        os.close(self._inlet)


def _can_move(request: web.Request, transport: Transport) -> bool:
    """Whether the socket carries this body's bytes, and nothing else until its end."""
    return (
        hasattr(os, "splice")
        and hdrs.CONTENT_ENCODING not in request.headers
        and transport.get_extra_info("socket") is not None
        and transport.get_extra_info("ssl_object") is None
        and not transport.is_closing()
    )
