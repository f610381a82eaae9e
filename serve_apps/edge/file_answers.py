"""Sends files from the page cache to the socket, without a copy through this process.

`media_answers.py` uses it. Edges run on uvloop, as every actor of Ray does where it is installed;
uvloop has no `loop.sendfile`, so aiohttp would read a file into memory and write it again, for
twice the processor time (3 MB segments: 0.7 to 0.9 s a GB, here 0.4; benchmarks/serving).
"""

from __future__ import annotations

import asyncio
import os
from asyncio import BaseTransport, WriteTransport
from pathlib import Path
from typing import IO, Any, cast

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from serve_apps.edge.entity_tags import Part

SENT_BYTES_MIN = 128 << 10
"""Less is read and written in one go, which asks less of the kernel."""
SEND_BYTES_MAX = 1 << 20
"""At a time, so that no slow disk holds a thread for long."""


class FileAnswer(web.FileResponse):
    """A part of a file, or all; aiohttp's own way where the kernel cannot send it.

    Which part is decided before: aiohttp's tags are a file's age, which no other store knows.
    """

    def __init__(self, path: Path, part: Part) -> None:
        super().__init__(path, status=part.status, headers=part.headers)
        self._part = part

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Open the file and send the part."""
        loop = asyncio.get_running_loop()
        self.content_length = self._part.size_bytes
        if self._part.size_bytes == 0:
            return await web.StreamResponse.prepare(self, request)
        try:
            file = await loop.run_in_executor(None, self._path.open, "rb")
        except FileNotFoundError:  # removed since its size was read
            return await self._say_missing(request)
        try:
            return await self._sendfile(request, file, self._part.first, self._part.size_bytes)
        finally:
            await asyncio.shield(loop.run_in_executor(None, file.close))

    async def _say_missing(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        self.set_status(404)
        self.content_length = 0
        for name in (hdrs.ETAG, hdrs.CONTENT_RANGE):
            self.headers.pop(name, None)
        self.headers[hdrs.CACHE_CONTROL] = "no-store"
        return await web.StreamResponse.prepare(self, request)

    async def _sendfile(
        self, request: web.BaseRequest, fobj: IO[Any], offset: int, count: int
    ) -> AbstractStreamWriter:
        transport = request.transport
        if transport is None or count < SENT_BYTES_MIN or not _can_send(transport):
            return await super()._sendfile(request, fobj, offset, count)
        writer = await web.StreamResponse.prepare(self, request)
        assert writer is not None, "a fresh answer is not prepared"
        writer.send_headers()
        await _empty(cast("WriteTransport", transport), writer)
        await _send(cast("WriteTransport", transport), fobj.fileno(), offset, count)
        await web.StreamResponse.write_eof(self)
        return writer


def _can_send(transport: BaseTransport) -> bool:
    """Whether bytes that the kernel puts on the socket are what the other side should get."""
    return (
        transport.get_extra_info("socket") is not None
        and transport.get_extra_info("ssl_object") is None
    )


async def _empty(transport: WriteTransport, writer: AbstractStreamWriter) -> None:
    """Wait until all that was written before is on the socket."""
    transport.set_write_buffer_limits(high=0)
    try:
        await writer.drain()
    finally:
        transport.set_write_buffer_limits()


async def _send(transport: WriteTransport, file: int, offset: int, count: int) -> None:
    """Have the kernel send that stretch; raises ConnectionError when the other side is gone."""
    stretch = _Stretch(transport, file)
    try:
        while count > 0:
            sent = await stretch.push(offset, min(count, SEND_BYTES_MAX))
            offset, count = offset + sent, count - sent
    finally:
        stretch.close()


class _Stretch:
    """Descriptors of its own for socket and file: a thread may use them when the answer is over."""

    def __init__(self, transport: WriteTransport, file: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._socket = os.dup(transport.get_extra_info("socket").fileno())
        self._file = os.dup(file)
        self._pushing: asyncio.Future[int] | None = None

    async def push(self, offset: int, count: int) -> int:
        """Send what the socket takes, once it takes some; return how much that was."""
        while True:
            if self._transport.is_closing():
                raise ConnectionResetError("the connection is closed")
            # In a thread: what is not in the page cache is read from a disk meanwhile.
            self._pushing = self._loop.run_in_executor(
                None, _push, self._socket, self._file, offset, count
            )
            sent = await asyncio.shield(self._pushing)
            if sent:
                return sent
            await self._wait_writable()

    async def _wait_writable(self) -> None:
        writable = self._loop.create_future()
        self._loop.add_writer(self._socket, writable.set_result, None)
        try:
            await writable
        finally:
            self._loop.remove_writer(self._socket)

    def close(self) -> None:
        """Close both, behind a thread that still uses them."""
        if self._pushing is None or self._pushing.done():
            self._close_now()
        else:
            self._pushing.add_done_callback(self._close_now)

    def _close_now(self, _pushed: object = None) -> None:
        os.close(self._socket)
        os.close(self._file)


def _push(socket: int, file: int, offset: int, count: int) -> int:
    """Send what fits; 0 when nothing does. Raises ConnectionError."""
    try:
        sent = os.sendfile(socket, file, offset, count)
    except BlockingIOError:
        return 0
    if sent == 0:
        raise ConnectionResetError("the file is shorter than it was")
    return sent
