"""One rung of a chunk: its coded steps become whole segments.

The chunk task adds steps in order, coded just now or kept by an attempt that was lost. It encodes
nothing.
"""

from __future__ import annotations

from media.cmaf import Sample
from media.vod.encoders import MadeStep
from media.vod.grid import FrameGrid
from media.vod.records import TrackRecord
from media.vod.track_writer import MadeSegment, TrackWriter


class RungTrack:
    """Collects the steps of a segment and stores it when it is whole."""

    def __init__(self, grid: FrameGrid, slots: range, writer: TrackWriter) -> None:
        self._grid = grid
        self._slots = slots
        self._writer = writer
        self._open: list[Sample] = []
        self._last: MadeStep | None = None

    def add(self, slots: range, made: MadeStep) -> None:
        """Add the next step; its segment is stored with its last one."""
        self._last = made
        self._open += made.samples
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
