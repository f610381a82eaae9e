"""Opus for WebRTC out of a publisher's AAC, made in one process of its own beside the edge.

The edge owns one tap; the process starts with the first stream. When it dies it is started anew
and every open stream goes on; what was inside is lost. When it falls behind, frames are dropped
and counted: sound is late for nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from os import defpath, pathsep

from kit.logs import get_log
from media.live.opus_child import (
    BODY_BYTES_MAX,
    CLOSE,
    FRAME,
    HEADER,
    OPEN,
    OPEN_BODY,
)
from media.live.samples import AudioFormat, AudioSample

WAITING_BYTES_MAX = 256 << 10
RESTART_PAUSE_S = 0.5

log = get_log("opus_tap")

OpusCall = Callable[[int, bytes], None]
"""Takes a packet's time in 1/48,000 s of the programme, and the packet."""


@dataclass
class _Stream:
    format: AudioFormat
    call: OpusCall
    is_open: bool = False


class OpusTap:
    """All streams of one edge; `close()` ends the process."""

    def __init__(self) -> None:
        self.dropped = 0
        self.restarts = 0
        self._numbers = itertools.count(1)
        self._streams: dict[int, _Stream] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process that works at present."""
        return None if self._process is None else self._process.pid

    def open(self, form: AudioFormat, call: OpusCall) -> int:
        """Begin a stream; `call` gets its packets on the loop. Returns the stream's number."""
        number = next(self._numbers)
        self._streams[number] = _Stream(form, call)
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="opus-tap")
        return number

    def push(self, number: int, sample: AudioSample) -> None:
        """Hand a frame over; it is dropped while the process is away or behind."""
        stream = self._streams.get(number)
        process = self._process
        if stream is None:
            return
        if process is None or process.stdin is None or self._is_behind(process.stdin):
            self.dropped += 1
            return
        if not stream.is_open:
            stream.is_open = True
            form = stream.format
            body = OPEN_BODY.pack(form.sample_rate_hz, form.channels) + form.config
            process.stdin.write(HEADER.pack(number, OPEN, 0, len(body)) + body)
        data = sample.data[:BODY_BYTES_MAX]
        process.stdin.write(HEADER.pack(number, FRAME, sample.pts_ticks, len(data)) + data)

    def end(self, number: int) -> None:
        """End a stream; its packets still on the way are not heard."""
        stream = self._streams.pop(number, None)
        process = self._process
        if stream is not None and stream.is_open and process is not None and process.stdin:
            process.stdin.write(HEADER.pack(number, CLOSE, 0, 0))

    async def close(self) -> None:
        """End the process; closing twice does nothing."""
        running, self._running = self._running, None
        self._streams.clear()
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _is_behind(self, pipe: asyncio.StreamWriter) -> bool:
        return pipe.transport.get_write_buffer_size() > WAITING_BYTES_MAX

    async def _run(self) -> None:
        """Keep a process at work until cancelled."""
        while True:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "media.live.opus_child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                # The child decodes what strangers sent: it inherits no secrets.
                env={"PATH": defpath, "PYTHONPATH": pathsep.join(p for p in sys.path if p)},
            )
            self._process = process
            try:
                await self._read(process)
            finally:
                self._process = None
                for stream in self._streams.values():
                    stream.is_open = False
                await _end(process)
            self.restarts += 1
            log.error("opus_tap.ended", status=process.returncode)
            await asyncio.sleep(RESTART_PAUSE_S)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand packets out until the process ends."""
        assert process.stdout is not None, "a pipe was asked for"
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                header = await process.stdout.readexactly(HEADER.size)
                number, _kind, ticks, size = HEADER.unpack(header)
                packet = await process.stdout.readexactly(size)
                stream = self._streams.get(number)
                if stream is not None:
                    stream.call(ticks, packet)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process whatever it does: it keeps nothing that would be lost."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.communicate()  # what it had still written is read and thrown away
