"""A process that makes Opus of AAC for every RTMP publisher of one edge: `sound_tap` starts it.

An edge neither decodes nor encodes. Orders come on standard input, frames leave on standard
output, both behind `HEADER`; the end of the input ends the process. One stream's fault is said on
standard error and costs that stream alone.
"""

from __future__ import annotations

import struct
import sys
from fractions import Fraction
from typing import BinaryIO

import av

from media.live.tap_words import CLOSE, FRAME, HEADER, OPEN, OPEN_BODY, run_child

OPUS_RATE_HZ = 48_000
OPUS_FRAME_TICKS = 960
BITRATE_BPS = 128_000
GAP_MAX_TICKS = 1920
"""A hole in the input of more than 40 ms is a hole in the output."""
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


class Transcoder:
    """One stream: AAC frames in, Opus packets of 20 ms out."""

    def __init__(self, rate_hz: int, channels: int, config: bytes) -> None:
        self._rate_hz = rate_hz
        self._decoder = av.CodecContext.create("aac", "r")
        self._decoder.extradata = config
        self._decoder.sample_rate = rate_hz
        self._decoder.layout = LAYOUTS[channels]
        self._encoder = av.CodecContext.create("libopus", "w")
        self._encoder.sample_rate = OPUS_RATE_HZ
        self._encoder.layout = "stereo"
        self._encoder.format = "s16"
        self._encoder.bit_rate = BITRATE_BPS
        self._encoder.time_base = Fraction(1, OPUS_RATE_HZ)
        self._encoder.options = {"compression_level": "5"}
        self._begin(0)

    def _begin(self, ticks: int) -> None:
        """Start at a moment, in ticks of the output."""
        self._next_ticks = ticks
        self._expected: int | None = None
        self._resampler = av.AudioResampler("s16", "stereo", OPUS_RATE_HZ, OPUS_FRAME_TICKS)

    def add(self, ticks: int, data: bytes) -> list[tuple[int, bytes]]:
        """Return the Opus packets that a frame completes, each with its time in 1/48,000 s."""
        start = ticks * OPUS_RATE_HZ // self._rate_hz
        if self._expected is None or abs(start - self._expected) > GAP_MAX_TICKS:
            self._begin(start)
            self._expected = start
        made = []
        for frame in self._decoder.decode(av.Packet(data)):
            self._expected += frame.samples * OPUS_RATE_HZ // self._rate_hz
            frame.pts = None
            for piece in self._resampler.resample(frame):
                piece.pts, piece.time_base = self._next_ticks, Fraction(1, OPUS_RATE_HZ)
                self._next_ticks += piece.samples
                made += [
                    (int(packet.pts or 0), bytes(packet)) for packet in self._encoder.encode(piece)
                ]
        return made


def serve(orders: BinaryIO, frames: BinaryIO) -> None:
    """Work until the input ends."""
    streams: dict[int, Transcoder] = {}
    while header := orders.read(HEADER.size):
        if len(header) < HEADER.size:
            return
        stream, kind, ticks, _duration, size = HEADER.unpack(header)
        body = orders.read(size)
        try:
            if kind == OPEN:
                rate_hz, channels = OPEN_BODY.unpack_from(body)
                streams[stream] = Transcoder(rate_hz, channels, body[OPEN_BODY.size :])
            elif kind == CLOSE:
                streams.pop(stream, None)
            elif stream in streams:
                for at, packet in streams[stream].add(ticks, body):
                    header = HEADER.pack(stream, FRAME, at, OPUS_FRAME_TICKS, len(packet))
                    frames.write(header + packet)
                frames.flush()
        except (av.FFmpegError, ValueError, KeyError, struct.error) as error:
            sys.stderr.write(f"stream {stream}: {error}\n")


if __name__ == "__main__":
    run_child(serve)
