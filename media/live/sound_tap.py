"""Sound in another codec, made in one process of its own beside the edge.

The edge owns a tap per direction: Opus for WebRTC out of a publisher's AAC, AAC for HLS out of
Opus. The process starts with the first stream. When it dies it is started anew and every open
stream goes on; what was inside is lost. When it falls behind, frames are dropped and counted.
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
from media.live.samples import AudioFormat, AudioSample
from media.live.tap_words import BODY_BYTES_MAX, CLOSE, FRAME, HEADER, OPEN, OPEN_BODY

WAITING_BYTES_MAX = 256 << 10
RESTART_PAUSE_S = 0.5

OPUS_CHILD = "media.live.opus_child"
AAC_CHILD = "media.live.aac_child"

log = get_log("sound_tap")

SoundCall = Callable[[int, bytes], None]
"""Takes a packet's time in 1/48,000 s of the programme, and the packet; an empty one is the end."""


@dataclass
class _Stream:
    format: AudioFormat
    call: SoundCall
    is_open: bool = False
    is_finishing: bool = False


class SoundTap:
    """All streams of one edge in one direction; `close()` ends the process."""

    def __init__(self, child: str) -> None:
        self.dropped = 0
        self._child = child
        self._has_process = asyncio.Event()
        self.restarts = 0
        self._numbers = itertools.count(1)
        self._streams: dict[int, _Stream] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process that works at present."""
        return None if self._process is None else self._process.pid

    def open(self, form: AudioFormat, call: SoundCall) -> int:
        """Begin a stream; `call` gets its packets on the loop. Returns the stream's number."""
        number = next(self._numbers)
        self._streams[number] = _Stream(form, call)
        self.start()
        return number

    def start(self) -> None:
        """Start the process, unless it was started before."""
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="sound-tap")

    def push(self, number: int, sample: AudioSample) -> None:
        """Hand a frame over; it is dropped while the process is away or behind."""
        stream = self._streams.get(number)
        process = self._process
        if stream is None or stream.is_finishing:
            return
        if process is None or process.stdin is None or self._is_behind(process.stdin):
            self.dropped += 1
            return
        if not stream.is_open:
            stream.is_open = True
            form = stream.format
            body = OPEN_BODY.pack(form.sample_rate_hz, form.channels) + form.config
            process.stdin.write(HEADER.pack(number, OPEN, 0, 0, len(body)) + body)
        data = sample.data[:BODY_BYTES_MAX]
        header = HEADER.pack(number, FRAME, sample.pts_ticks, sample.duration_ticks, len(data))
        process.stdin.write(header + data)

    def end(self, number: int) -> None:
        """End a stream; its packets still on the way are not heard."""
        stream = self._streams.pop(number, None)
        process = self._process
        if stream is not None and stream.is_open and process is not None and process.stdin:
            process.stdin.write(HEADER.pack(number, CLOSE, 0, 0, 0))

    def finish(self, number: int) -> None:
        """End a stream once its last packets were heard; an empty one follows them."""
        stream, process = self._streams.get(number), self._process
        if stream is None:
            return
        if not stream.is_open or process is None or process.stdin is None:
            del self._streams[number]
            stream.call(0, b"")
            return
        stream.is_finishing = True
        process.stdin.write(HEADER.pack(number, CLOSE, 0, 0, 0))

    async def wait_process(self) -> None:
        """Return once a process takes frames."""
        await self._has_process.wait()

    async def close(self) -> None:
        """End the process; a later stream starts another. Closing twice does nothing."""
        running, self._running = self._running, None
        self._streams.clear()
        self._process = None
        self._has_process.clear()
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
                self._child,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                # The child decodes what strangers sent: it inherits no secrets.
                env={"PATH": defpath, "PYTHONPATH": pathsep.join(p for p in sys.path if p)},
            )
            self._process = process
            self._has_process.set()
            try:
                await self._read(process)
            finally:
                if self._process is process:
                    self._process = None
                    self._has_process.clear()
                await _end(process)
            for number, stream in list(self._streams.items()):
                stream.is_open = False
                if stream.is_finishing:
                    del self._streams[number]
                    stream.call(0, b"")
            self.restarts += 1
            log.error("sound_tap.ended", child=self._child, status=process.returncode)
            await asyncio.sleep(RESTART_PAUSE_S)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand packets out until the process ends."""
        assert process.stdout is not None, "a pipe was asked for"
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                header = await process.stdout.readexactly(HEADER.size)
                number, kind, ticks, _duration, size = HEADER.unpack(header)
                packet = await process.stdout.readexactly(size)
                stream = self._streams.get(number)
                if kind == CLOSE:
                    self._streams.pop(number, None)
                if stream is not None:
                    stream.call(ticks, packet)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process whatever it does: it keeps nothing that would be lost."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.communicate()  # what it had still written is read and thrown away
    assert process.stdin is not None, "a pipe was asked for"
    with contextlib.suppress(OSError):  # what was written to the dead: it is known that they are
        await process.stdin.wait_closed()
