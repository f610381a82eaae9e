"""Opus packets to AAC-LC frames at the same moments, at 48,000 Hz in stereo.

The edge's child and the media pool's task drive it. Sound keeps the times that the Opus has:
lengths that were stretched are stretched here, and what is missing is silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import av
import numpy as np

RATE_HZ = 48_000
FRAME_TICKS = 1024
BITRATE_BPS = 128_000
HOLE_MAX_TICKS = 10 * RATE_HZ
"""A longer hole in the input is a hole in the output, unless all frames have their places."""

Made = list[tuple[int, bytes]]


class OpusToAac:
    """One stream: Opus packets in, AAC frames out, all times in 1/48,000 s.

    With `start_ticks` frames follow each other without a hole from there on, and what comes before
    is left out; without it they begin with the first packet.
    """

    def __init__(self, start_ticks: int | None = None) -> None:
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.sample_rate = RATE_HZ
        self._decoder.layout = "stereo"
        self._begin(start_ticks or 0)
        self._is_placed = self._is_begun = start_ticks is not None

    def add(self, ticks: int, duration: int, data: bytes) -> Made:
        """Return the AAC frames that a packet completes; raises av.FFmpegError of one that is none.

        The stream goes on all the same.
        """
        made: Made = []
        has_hole = not self._is_placed and ticks - self._end > HOLE_MAX_TICKS
        if not self._is_begun or has_hole:
            made = self.finish()
            self._begin(ticks)
        decoded = [frame.to_ndarray() for frame in self._decoder.decode(av.Packet(data))]
        if not decoded:
            return made
        # (1, 2 n) int16, interleaved, to (2, n) float32.
        joined = np.concatenate(decoded, axis=1).reshape(-1, 2).T.astype(np.float32) / 32_768
        sound = _stretch(joined, duration)
        made += self.fill(ticks)
        self._append(sound[:, max(0, self._end - ticks) :])
        return made + self._encode()

    def fill(self, until_ticks: int) -> Made:
        """Put silence where nothing came up to a moment."""
        made: Made = []
        while until_ticks > self._end:
            count = min(RATE_HZ, until_ticks - self._end)
            self._append(np.zeros((2, count), np.float32))
            made += self._encode()
        return made

    def finish(self) -> Made:
        """Return what is left, with silence up to a whole frame."""
        if not self._is_begun:
            return []
        rest = self._sound.shape[1] % FRAME_TICKS
        if rest:
            self._append(np.zeros((2, FRAME_TICKS - rest), np.float32))
        made = self._encode() + self._take(self._encoder.encode(None))
        self._is_begun = False
        return made

    def _begin(self, ticks: int) -> None:
        self._encoder = av.CodecContext.create("aac", "w")
        self._encoder.sample_rate = RATE_HZ
        self._encoder.layout = "stereo"
        self._encoder.format = "fltp"
        self._encoder.bit_rate = BITRATE_BPS
        self._encoder.time_base = Fraction(1, RATE_HZ)
        self._start = self._next = self._end = ticks
        self._sound = np.zeros((2, 0), np.float32)
        self._is_begun = True

    def _append(self, sound: np.ndarray) -> None:
        self._sound = np.concatenate([self._sound, sound], axis=1)
        self._end += sound.shape[1]

    def _encode(self) -> Made:
        made: Made = []
        while self._sound.shape[1] >= FRAME_TICKS:
            piece = np.ascontiguousarray(self._sound[:, :FRAME_TICKS])
            self._sound = self._sound[:, FRAME_TICKS:]
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
            frame.sample_rate = RATE_HZ
            frame.pts, frame.time_base = self._next, Fraction(1, RATE_HZ)
            self._next += FRAME_TICKS
            made += self._take(self._encoder.encode(frame))
        return made

    def _take(self, packets: Iterable[av.Packet]) -> Made:
        """The first packet only primes a decoder: it lies before the start, and is left out."""
        placed = ((int(packet.pts or 0), bytes(packet)) for packet in packets)
        return [(at, data) for at, data in placed if at >= self._start]


def _stretch(sound: np.ndarray, duration: int) -> np.ndarray:
    """Make (2, n) float32 `duration` samples long; nearly all are that already."""
    count = sound.shape[1]
    if count == duration or not count:
        return sound
    at = np.linspace(0, count - 1, duration)
    return np.stack([np.interp(at, np.arange(count), side) for side in sound]).astype(np.float32)
