"""A process that makes AAC of Opus for HLS players that cannot play that: `sound_tap` starts it.

An edge neither decodes nor encodes. Orders come on standard input, frames leave on standard
output (`tap_words.py`); the end of the input ends the process.
"""

from __future__ import annotations

import struct
import sys
from typing import BinaryIO

import av

from media.live.opus_to_aac import FRAME_TICKS, Made, OpusToAac
from media.live.tap_words import CLOSE, FRAME, HEADER, OPEN, run_child


def serve(orders: BinaryIO, frames: BinaryIO) -> None:
    """Work until the input ends."""
    streams: dict[int, OpusToAac] = {}
    while header := orders.read(HEADER.size):
        if len(header) < HEADER.size:
            return
        stream, kind, ticks, duration, size = HEADER.unpack(header)
        body = orders.read(size)
        made: Made = []
        try:
            if kind == OPEN:
                streams[stream] = OpusToAac()
            elif kind == CLOSE and stream in streams:
                made = streams.pop(stream).finish()
            elif stream in streams:
                made = streams[stream].add(ticks, duration, body)
        except (av.FFmpegError, ValueError, struct.error) as error:
            sys.stderr.write(f"stream {stream}: {error}\n")
        for at, packet in made:
            frames.write(HEADER.pack(stream, FRAME, at, FRAME_TICKS, len(packet)) + packet)
        if kind == CLOSE:
            frames.write(HEADER.pack(stream, CLOSE, 0, 0, 0))
        frames.flush()


if __name__ == "__main__":
    run_child(serve)
