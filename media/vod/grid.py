"""The constant frame grid of a video: whole frames per segment, whole ticks per frame.

Pure, and plain data that becomes JSON. The plan decides it once per video; every task counts in
its slots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from media.vod.info import MediaInfo

SEGMENT_S = 4
FPS_MAX = 60
FPS_MIN = 5
SOUND_GRID_FPS = Fraction(50)
"""Sound alone has no frames; its length is counted in such steps."""
USUAL_RATES = tuple(
    Fraction(rate)
    for rate in ("24000/1001", "24", "25", "30000/1001", "30", "48", "50", "60000/1001", "60")
)
USUAL_TOLERANCE = Fraction(1, 2000)
PADDING_S_MAX = 0.25
TICKS_PER_S = 90_000
TICKS_PER_S_MIN = 10_000


@dataclass(frozen=True)
class FrameGrid:
    """Output frame i is shown at i / fps and lasts `frame_ticks` of `timescale`."""

    fps: Fraction
    timescale: int
    frame_ticks: int
    segment_frames: int
    frames: int
    origin_us: int
    """The source's clock at frame 0, in microseconds."""

    @property
    def segments(self) -> int:
        """How many segments the whole video has."""
        return math.ceil(self.frames / self.segment_frames)

    @property
    def step_frames(self) -> int:
        """Frames between keyframes: half a segment's, or one more in the first half."""
        return math.ceil(self.segment_frames / 2)

    def list_steps(self, slots: range) -> list[range]:
        """Output frames from a segment's first on, cut where a keyframe begins an encoder anew."""
        steps = []
        for first in range(slots.start, slots.stop, self.segment_frames):
            middle = min(first + self.step_frames, slots.stop)
            stop = min(first + self.segment_frames, slots.stop)
            steps += [step for step in (range(first, middle), range(middle, stop)) if step]
        return steps

    @property
    def segment_s(self) -> Fraction:
        """Length of every segment but the last, in seconds."""
        return self.segment_frames / self.fps

    @property
    def duration_s(self) -> Fraction:
        """Length of the whole video in seconds."""
        return self.frames / self.fps

    def slot_of(self, source_s: Fraction) -> int:
        """The output frame nearest to a moment of the source's clock."""
        since_origin_s = source_s - Fraction(self.origin_us, 1_000_000)
        return math.floor(since_origin_s * self.fps + Fraction(1, 2))

    def source_s_of(self, slot: int) -> Fraction:
        """The moment of the source's clock that output frame `slot` shows."""
        return slot / self.fps + Fraction(self.origin_us, 1_000_000)


def decide_grid(info: MediaInfo) -> FrameGrid:
    """A constant rate at most 60, with whole frames per segment and whole ticks per frame."""
    fps = decide_frame_rate(info.video.fps) if info.video else SOUND_GRID_FPS
    frame_ticks = TICKS_PER_S / fps
    timescale = TICKS_PER_S
    if frame_ticks.denominator != 1:
        timescale = fps.numerator * math.ceil(TICKS_PER_S_MIN / fps.numerator)
        frame_ticks = timescale / fps
    return FrameGrid(
        fps=fps,
        timescale=timescale,
        frame_ticks=int(frame_ticks),
        segment_frames=round(SEGMENT_S * fps),
        frames=max(1, round(_decide_length_s(info) * fps)),
        origin_us=info.origin_us,
    )


def _decide_length_s(info: MediaInfo) -> Fraction:
    """The picture's length; sound that goes on is followed, a codec's padding is not."""
    has_more_sound = info.duration_s - info.picture_s > PADDING_S_MAX
    length_s = info.duration_s if has_more_sound else info.picture_s
    return Fraction(length_s).limit_denominator(1_000_000)


def decide_frame_rate(source_fps: Fraction) -> Fraction:
    """The source's rate, divided until it is at most 60; the usual rate when it is near one."""
    # The tolerance keeps 60.01 from becoming 30.
    divisor = math.ceil(source_fps / FPS_MAX * (1 - USUAL_TOLERANCE))
    fps = max(source_fps / max(1, divisor), Fraction(FPS_MIN))
    for rate in USUAL_RATES:
        if abs(fps - rate) <= rate * USUAL_TOLERANCE:
            return rate
    return fps.limit_denominator(1001)
