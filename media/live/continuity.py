"""One publisher's programme that goes on while no picture comes: then it shows a slate.

The edge makes one per publisher and asks it a few times a second whether a slate is due; frames
pass through it to the packager. A slate begins where the picture ended, so that the programme keeps
to the wall clock. Pure state: time comes in, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from media.live.packager import HOLE_MAX_S, Packager
from media.live.samples import VIDEO_TIMESCALE, AudioSample, VideoSample
from media.live.slates import Slate, SlateShape, decide_shape

GONE_AFTER_S = 2.0
"""After its publisher left, a live waits so long for it to come back before a slate shows."""
SILENT_AFTER_S = HOLE_MAX_S
"""A publisher who is there but sends no picture for so long is taken for away."""
BACK_MAX_S = 8.0
"""A slate begins no further back than this; what lies before is a hole in the programme."""
BEHIND_S = 0.3
"""A slate keeps so far behind now, so that who comes back finds its own time free."""
LATE_MAX_S = 2.0
"""Pictures of a time that the slate has shown are dropped for so long; then they are moved."""
FRAME_TICKS_MAX = VIDEO_TIMESCALE // 10


class Continuity:
    """Takes a publisher's frames; `show` puts a slate where there are none."""

    def __init__(
        self,
        packager: Packager,
        request_keyframe: Callable[[], None],
        now_s: Callable[[], float],
    ) -> None:
        self.is_showing = False
        """A slate is what players get at present."""
        self._packager = packager
        self._request_keyframe = request_keyframe
        self._now_s = now_s
        self._last: VideoSample | None = None
        """The publisher's newest picture, in the programme's time."""
        self._frame_ticks = VIDEO_TIMESCALE // 30
        self._came_s = 0.0
        self._gone_s: float | None = None
        self._moved_ticks = 0
        """How much later the programme is than the publisher's clock says."""
        self._end_ticks = 0
        """Up to where the slate has been shown."""
        self._position = 0
        self._late_since: int | None = None

    # media.live.samples.SampleSink

    def add_video(self, sample: VideoSample) -> None:
        """Take the next picture; while a slate shows, only a keyframe that follows it ends that."""
        if self.is_showing and not self._may_return(sample):
            self._request_keyframe()
            return
        if self.is_showing:
            self._packager.break_off()
            self.is_showing = False
        sample = self._move(sample)
        if self._last is not None and sample.dts_ticks - self._last.dts_ticks > 0:
            step = sample.dts_ticks - self._last.dts_ticks
            self._frame_ticks = min(step, FRAME_TICKS_MAX)
        self._last = sample
        self._came_s = self._now_s()
        self._packager.add_video(sample)

    def add_audio(self, sample: AudioSample) -> None:
        """Take the next frame of sound; a slate is silent."""
        if self.is_showing:
            return
        ticks = self._moved_ticks * sample.format.sample_rate_hz // VIDEO_TIMESCALE
        self._packager.add_audio(replace(sample, pts_ticks=sample.pts_ticks + ticks))

    # For whoever fills the time

    @property
    def is_due(self) -> bool:
        """Whether it is time for a slate, or for more of it; never before the first picture."""
        return self._will_be_due(0.0)

    @property
    def is_near(self) -> bool:
        """Whether a slate is due soon, so that it should be at hand."""
        return self._will_be_due(GONE_AFTER_S)

    def get_shape(self) -> SlateShape:
        """Return what a slate has to look like, once one is near."""
        assert self._last is not None, "no slate is due before a picture came"
        return decide_shape(self._last.format, self._frame_ticks)

    def note_gone(self) -> None:
        """The publisher left: what is open ends."""
        self._gone_s = self._now_s()
        if not self.is_showing:
            self._packager.break_off()

    def show(self, slate: Slate) -> None:
        """Show the slate up to now."""
        assert self._last is not None, "a slate stands in for a picture that was there"
        step = slate.shape.frame_ticks
        passed_s = self._now_s() - self._came_s - BEHIND_S
        now_ticks = self._last.dts_ticks + round(passed_s * VIDEO_TIMESCALE)
        if not self.is_showing:
            self._packager.break_off()
            self.is_showing = True
            self._position = 0
            self._late_since = None
            earliest = now_ticks - round(BACK_MAX_S * VIDEO_TIMESCALE)
            self._end_ticks = max(self._last.dts_ticks + self._frame_ticks, earliest)
        while self._end_ticks + step <= now_ticks:
            data = slate.pictures[self._position % len(slate.pictures)]
            is_key = self._position % len(slate.pictures) == 0
            at = self._end_ticks
            self._packager.add_video(VideoSample(slate.format, data, at, at, is_key))
            self._position += 1
            self._end_ticks += step

    def finish(self) -> None:
        """Nothing more comes, and no slate takes its place."""
        self._packager.break_off()
        self.is_showing = False
        self._last = None

    # Within

    def _will_be_due(self, after_s: float) -> bool:
        if self._last is None or self.is_showing:
            return self.is_showing
        now_s = self._now_s() + after_s
        is_gone = self._gone_s is not None and now_s - self._gone_s >= GONE_AFTER_S
        return is_gone or now_s - self._came_s >= SILENT_AFTER_S

    def _may_return(self, sample: VideoSample) -> bool:
        """Decide whether a picture ends the slate; moves the clock of one that is always late."""
        behind = self._end_ticks - self._move(sample).dts_ticks
        if behind > 0 and self._late_since is None:
            self._late_since = self._end_ticks
        if not sample.is_key:
            return False
        if behind <= 0:
            return True
        assert self._late_since is not None, "set by the first late picture"
        if self._end_ticks - self._late_since < LATE_MAX_S * VIDEO_TIMESCALE:
            return False  # it was held up on its way: what follows is nearer to now
        self._moved_ticks += behind
        return True

    def _move(self, sample: VideoSample) -> VideoSample:
        moved = self._moved_ticks
        if not moved:
            return sample
        return replace(
            sample, dts_ticks=sample.dts_ticks + moved, pts_ticks=sample.pts_ticks + moved
        )
