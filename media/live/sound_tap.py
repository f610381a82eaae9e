"""Sound in another codec, made in one process of its own beside the edge.

The edge owns a tap per direction: Opus for WebRTC out of a publisher's AAC, AAC for HLS out of
Opus. The process starts with the first stream. When it dies it is started anew and every open
stream goes on; what was inside is lost. When it falls behind, frames are dropped and counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from media.live.kept_child import ChildRules, KeptChild
from media.live.samples import AudioFormat, AudioSample
from media.live.tap_words import BODY_BYTES_MAX, CLOSE, FRAME, HEADER, OPEN, OPEN_BODY

WAITING_BYTES_MAX = 256 << 10

OPUS_CHILD = "media.live.opus_child"
AAC_CHILD = "media.live.aac_child"

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
        self._child = KeptChild(ChildRules(child, HEADER, self._hear, self._note_death))
        self._numbers = itertools.count(1)
        self._streams: dict[int, _Stream] = {}

    @property
    def pid(self) -> int | None:
        """The process that works at present."""
        return self._child.pid

    @property
    def restarts(self) -> int:
        """How often the process was started anew."""
        return self._child.restarts

    def open(self, form: AudioFormat, call: SoundCall) -> int:
        """Begin a stream; `call` gets its packets on the loop. Returns the stream's number."""
        number = next(self._numbers)
        self._streams[number] = _Stream(form, call)
        self.start()
        return number

    def start(self) -> None:
        """Start the process, unless it was started before."""
        self._child.start()

    def push(self, number: int, sample: AudioSample) -> None:
        """Hand a frame over; it is dropped while the process is away or behind."""
        stream = self._streams.get(number)
        if stream is None or stream.is_finishing:
            return
        waiting_bytes = self._child.waiting_bytes
        if waiting_bytes is None or waiting_bytes > WAITING_BYTES_MAX:
            self.dropped += 1
            return
        if not stream.is_open:
            stream.is_open = True
            form = stream.format
            body = OPEN_BODY.pack(form.sample_rate_hz, form.channels) + form.config
            self._child.write(HEADER.pack(number, OPEN, 0, 0, len(body)) + body)
        data = sample.data[:BODY_BYTES_MAX]
        header = HEADER.pack(number, FRAME, sample.pts_ticks, sample.duration_ticks, len(data))
        self._child.write(header + data)

    def end(self, number: int) -> None:
        """End a stream; its packets still on the way are not heard."""
        stream = self._streams.pop(number, None)
        if stream is not None and stream.is_open:
            self._child.write(HEADER.pack(number, CLOSE, 0, 0, 0))

    def finish(self, number: int) -> None:
        """End a stream once its last packets were heard; an empty one follows them."""
        stream = self._streams.get(number)
        if stream is None:
            return
        if not stream.is_open or self._child.pid is None:
            del self._streams[number]
            stream.call(0, b"")
            return
        stream.is_finishing = True
        self._child.write(HEADER.pack(number, CLOSE, 0, 0, 0))

    async def wait_process(self) -> None:
        """Return once a process takes frames."""
        await self._child.wait_process()

    async def close(self) -> None:
        """End the process; a later stream starts another. Closing twice does nothing."""
        self._streams.clear()
        await self._child.close()

    def _hear(self, fields: tuple[int, int, int, int, int], packet: bytes) -> None:
        number, kind, ticks, _duration, _size = fields
        stream = self._streams.get(number)
        if kind == CLOSE:
            self._streams.pop(number, None)
        if stream is not None:
            stream.call(ticks, packet)

    def _note_death(self) -> None:
        for number, stream in list(self._streams.items()):
            stream.is_open = False
            if stream.is_finishing:
                del self._streams[number]
                stream.call(0, b"")
