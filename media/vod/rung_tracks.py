"""One rung of a chunk: its coded steps become whole segments, and tell how full the buffer is.

The chunk task adds steps in order, coded just now or kept by an attempt that was lost. It encodes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from media.cmaf import Sample
from media.vod.codecs import BUFFER_S, BUFFER_SHARE_FIRST
from media.vod.encoders import MadeStep
from media.vod.grid import FrameGrid
from media.vod.ladder import Rung
from media.vod.records import TrackRecord
from media.vod.track_writer import MadeSegment, TrackWriter

SHARE_DIGITS = 3


class RungTrack:
    """Collects the steps of a segment and stores it when it is whole."""

    def __init__(self, rung: Rung, grid: FrameGrid, slots: range, writer: TrackWriter) -> None:
        self._rung = rung
        self._grid = grid
        self._slots = slots
        self._writer = writer
        self._open: list[Sample] = []
        self._last: MadeStep | None = None
        self.buffer_share = BUFFER_SHARE_FIRST
        """How full the decoder's buffer is before the next step, 0 to 1."""

    def add(self, slots: range, made: MadeStep) -> None:
        """Add the next step; its segment is stored with its last one."""
        self._last = made
        self._open += made.samples
        sizes = (len(sample.data) for sample in made.samples)
        self.buffer_share = drain_buffer(self.buffer_share, sizes, self._rung, self._grid.fps)
        if slots.stop % self._grid.segment_frames == 0 or slots.stop == self._slots.stop:
            number = slots.start // self._grid.segment_frames
            start_ticks = number * self._grid.segment_frames * self._grid.frame_ticks
            segment = MadeSegment(number, start_ticks, self._open, True, made.init_segment)
            self._writer.add([segment])
            self._open = []

    def finish(self) -> TrackRecord:
        """Store how the track is decoded; return its record."""
        assert self._last is not None, "a chunk has at least one step"
        return self._writer.finish(self._last.init_segment, self._last.codec)


def drain_buffer(share: float, sizes: Iterable[int], rung: Rung, fps: Fraction) -> float:
    """How full the decoder's buffer is after these coded pictures (bytes each), 0 to 1.

    It fills at the rung's rate and gives each picture away at once (ITU-T H.264 annex C). Rounded,
    so that an encoder's option has the same text everywhere.
    """
    capacity = float(BUFFER_S * rung.bitrate_bps)
    per_frame = rung.bitrate_bps / float(fps)
    held = share * capacity
    for size_bytes in sizes:
        held = min(capacity, held - 8 * size_bytes + per_frame)
    return round(min(1.0, max(0.0, held / capacity)), SHARE_DIGITS)
