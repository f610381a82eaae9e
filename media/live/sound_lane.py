"""The sound of the packager: frames to parts without a hole, cut where the picture is cut.

Owned by `packager.py`, one for each format in turn. What never came is silence, what comes too late
is dropped, and small errors of the clock are taken up by lengths, so that the track's time always
runs on.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from media.cmaf import Sample, build_fragment
from media.live.fragments import (
    AUDIO,
    PART_MIN_S,
    SEGMENT_MAX_S,
    FragmentSink,
    InitSegment,
    Part,
    SegmentHead,
)
from media.live.samples import AudioFormat, AudioSample

TOLERANCE_S = 0.06
"""Errors up to three frames are stretched away; larger ones are filled or dropped."""
STRETCH_S = 0.002
"""By how much the length of one frame may be off: too little to hear."""
PATIENCE_S = 0.5
"""How far sound may lie behind the picture before silence takes its place."""
PATIENCE_MAX_S = 1.0
AHEAD_MAX_S = SEGMENT_MAX_S + 1.0


@dataclass(frozen=True, slots=True)
class Cut:
    """From here on sound belongs to another segment."""

    number: int
    at_ticks: int
    is_discontinuous: bool
    is_slate: bool = False


class SoundLane:
    """One publisher's sound in one format; `has_sound` False: nothing but silence will come."""

    def __init__(
        self, sink: FragmentSink, audio: AudioFormat, init: InitSegment, *, has_sound: bool
    ) -> None:
        self.format = audio
        self.silenced = 0
        self.late = 0
        self._sink = sink
        self._init = init
        self._rate = audio.sample_rate_hz
        self._patience_ticks = round(PATIENCE_S * self._rate) if has_sound else 0
        self._cuts: deque[Cut] = deque()
        self._samples: list[Sample] = []
        self._number: int | None = None
        self._start_ticks = 0
        self._part_ticks = 0
        """Where the open part begins."""
        self._end_ticks = 0
        self._fragments = 0

    def cut(self, cut: Cut) -> None:
        """Begin a segment as soon as sound has come so far; at once when nothing is open."""
        if self._number is None:
            self._begin(cut)
        else:
            self._cuts.append(cut)

    def add(self, sample: AudioSample) -> None:
        """Take the next frame, which is in this lane's format."""
        if self._number is None:
            return
        tolerance = round(TOLERANCE_S * self._rate)
        error = sample.pts_ticks - self._end_ticks
        if error < -tolerance:
            self.late += 1
            lateness = min(round(PATIENCE_MAX_S * self._rate), tolerance - error)
            self._patience_ticks = max(self._patience_ticks, lateness)
            return
        if sample.pts_ticks - self._start_ticks > AHEAD_MAX_S * self._rate:
            return  # the picture stands still, and no segment goes on without it
        if error > tolerance:
            self._fill(sample.pts_ticks)
            error = sample.pts_ticks - self._end_ticks
        stretch = round(STRETCH_S * self._rate)
        self._append(sample.data, sample.duration_ticks + max(-stretch, min(stretch, error)))

    def follow(self, picture_ticks: int) -> None:
        """The picture has come so far: put silence where sound stays away."""
        if self._number is not None and picture_ticks - self._end_ticks > self._patience_ticks:
            self._fill(picture_ticks - self._patience_ticks)

    def finish(self, end_ticks: int) -> None:
        """The picture ends here: end the open segment, and all that were announced, with it."""
        if self._number is None:
            return
        self._fill(end_ticks)
        while self._cuts:
            self._end()
            self._begin(self._cuts.popleft())
        self._end()
        self._number = None

    def _fill(self, until_ticks: int) -> None:
        frame = self.format.frame_ticks
        while until_ticks - self._end_ticks >= frame:
            self.silenced += 1
            self._append(self.format.silence, frame)

    def _append(self, data: bytes, duration_ticks: int) -> None:
        while self._cuts and self._end_ticks >= self._cuts[0].at_ticks:
            self._end()
            self._begin(self._cuts.popleft(), at_ticks=self._end_ticks)
        if self._end_ticks - self._part_ticks >= PART_MIN_S * self._rate:
            self._flush()
        self._samples.append(Sample(data, duration_ticks))
        self._end_ticks += duration_ticks

    def _begin(self, cut: Cut, at_ticks: int | None = None) -> None:
        start = cut.at_ticks if at_ticks is None else at_ticks
        self._number = cut.number
        self._start_ticks = self._part_ticks = self._end_ticks = start
        head = SegmentHead(cut.number, self._init, start, cut.is_discontinuous, cut.is_slate)
        self._sink.begin_segment(AUDIO, head)

    def _end(self) -> None:
        if not self._samples and self._end_ticks == self._start_ticks:
            # A segment of the picture shorter than a frame of sound: no segment may be empty.
            self._samples.append(Sample(self.format.silence, self.format.frame_ticks))
            self._end_ticks += self.format.frame_ticks
        self._flush()
        self._sink.end_segment(AUDIO)

    def _flush(self) -> None:
        if not self._samples:
            return
        self._fragments += 1
        data = build_fragment(
            self._samples,
            number=self._fragments,
            base_ticks=self._part_ticks,
            is_video=False,
        )
        self._sink.add_part(
            AUDIO, Part(data, self._end_ticks - self._part_ticks, is_independent=True)
        )
        self._samples = []
        self._part_ticks = self._end_ticks
