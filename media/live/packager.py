"""One publisher's frames to CMAF parts and segments, cut at keyframes, picture and sound together.

The edge makes one per publisher, `source.py` (or another ingest) feeds it, a window keeps what it
makes. Each part is built once. It asks for a keyframe when a segment is long enough; it does no
I/O and never looks into a frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from media.cmaf import Sample, build_fragment
from media.live.fragments import (
    PART_MIN_S,
    PART_TARGET_S,
    SEGMENT_MAX_S,
    SEGMENT_MIN_S,
    SEGMENT_S,
    TARGET_DURATION_S,
    VIDEO,
    FragmentSink,
    InitSegment,
    Part,
    SegmentHead,
    make_audio_init,
    make_video_init,
)
from media.live.packets import OPUS_FORMAT
from media.live.samples import VIDEO_TIMESCALE, AudioFormat, AudioSample, VideoFormat, VideoSample
from media.live.sound_lane import Cut, SoundLane

KEYFRAME_LEAD_S = 0.15
"""A keyframe that is asked for comes about so much later."""
HOLE_MAX_S = SEGMENT_MAX_S
"""Without a picture for longer than this the programme was interrupted."""
SEGMENT_LONGEST_S = TARGET_DURATION_S + 0.45
"""Playlists promise that no segment, rounded, is longer than the target."""


@dataclass(frozen=True)
class PackagerTerms:
    """Where a publisher's programme stands in its live."""

    first_number: int
    offset_ms: int
    """From the live's first moment to this publisher's."""
    has_sound: bool
    is_resumed: bool
    """Another publisher came before: what follows is discontinuous."""
    audio: AudioFormat = OPUS_FORMAT


class Packager:
    """Cuts one publisher's programme; the next one gets a packager of its own."""

    def __init__(
        self, terms: PackagerTerms, sink: FragmentSink, request_keyframe: Callable[[], None]
    ) -> None:
        self._terms = terms
        self._sink = sink
        self._request_keyframe = request_keyframe
        self._sound_inits: dict[AudioFormat, InitSegment] = {}
        self._sound = self._make_lane(terms.audio, has_sound=terms.has_sound)
        self._awaited: AudioSample | None = None
        """The first frame of another format, until a keyframe lets it in."""
        self._offset_ticks = terms.offset_ms * VIDEO_TIMESCALE // 1000
        self._next_number = terms.first_number
        self._is_discontinuous = terms.is_resumed
        self._format: VideoFormat | None = None
        self._inits: dict[VideoFormat, InitSegment] = {}
        """One per format, so that a picture that comes back has the name it had."""
        self._is_open = False
        self._start_ticks = 0
        self._samples: list[VideoSample] = []
        self._last: VideoSample | None = None
        self._frame_ticks = VIDEO_TIMESCALE // 30
        self._fragments = 0

    def add_video(self, sample: VideoSample) -> None:
        """Take the next picture; nothing begins before a keyframe."""
        offset = self._offset_ticks
        sample = replace(
            sample, dts_ticks=sample.dts_ticks + offset, pts_ticks=sample.pts_ticks + offset
        )
        if self._last is not None:
            step = sample.dts_ticks - self._last.dts_ticks
            age = sample.dts_ticks - self._start_ticks
            if max(step / HOLE_MAX_S, age / SEGMENT_LONGEST_S) > VIDEO_TIMESCALE:
                self.break_off()
            else:
                self._frame_ticks = step
        if self._is_open:
            self._cut(sample)
        elif sample.is_key:
            self._begin(sample)
        if not self._is_open:
            self._request_keyframe()
            return
        self._samples.append(sample)
        self._last = sample
        self._sound.follow(self._to_sound(sample.dts_ticks))
        age = sample.dts_ticks - self._start_ticks
        if age >= (SEGMENT_S - KEYFRAME_LEAD_S) * VIDEO_TIMESCALE:
            self._request_keyframe()

    def add_audio(self, sample: AudioSample) -> None:
        """Take the next frame of sound; it is dropped until there is a picture.

        Another format is heard from the next keyframe on, behind a discontinuity of both tracks:
        until then there is silence.
        """
        offset = self._terms.offset_ms * sample.format.sample_rate_hz // 1000
        sample = replace(sample, pts_ticks=sample.pts_ticks + offset)
        if sample.format == self._sound.format:
            self._awaited = None
            self._sound.add(sample)
        elif self._awaited is None or self._awaited.format != sample.format:
            self._awaited = sample
            self._request_keyframe()

    def break_off(self) -> None:
        """The programme was interrupted: end what is open; the next keyframe is discontinuous."""
        if not self._is_open:
            return
        assert self._last is not None, "an open segment has a picture"
        end_ticks = self._last.dts_ticks + min(self._frame_ticks, VIDEO_TIMESCALE // 10)
        self._flush(end_ticks)
        self._sink.end_segment(VIDEO)
        self._sound.finish(self._to_sound(end_ticks))
        self._is_open = False
        self._last = None
        self._is_discontinuous = True

    # Within

    def _cut(self, sample: VideoSample) -> None:
        """End the open part or segment before this picture where it is time."""
        age = sample.dts_ticks - self._start_ticks
        is_heard_anew = sample.is_key and self._begins_sound(sample.dts_ticks)
        is_changed = is_heard_anew or (sample.is_key and sample.format != self._format)
        is_due = sample.is_key and age >= SEGMENT_MIN_S * VIDEO_TIMESCALE
        if is_changed or is_due or age >= SEGMENT_MAX_S * VIDEO_TIMESCALE:
            self._flush(sample.dts_ticks)
            self._sink.end_segment(VIDEO)
            self._is_discontinuous |= is_changed
            if is_heard_anew:
                self._change_sound(sample.dts_ticks)
            self._begin(sample)
            return
        part_age = sample.dts_ticks - self._samples[0].dts_ticks
        if part_age > PART_TARGET_S * VIDEO_TIMESCALE and len(self._samples) > 1:
            # The picture stood still: it alone is a long part, not all that came before it.
            standing = self._samples.pop()
            self._flush(standing.dts_ticks)
            self._samples.append(standing)
            part_age = sample.dts_ticks - standing.dts_ticks
        next_age = part_age + self._frame_ticks
        if part_age >= PART_MIN_S * VIDEO_TIMESCALE or next_age > PART_TARGET_S * VIDEO_TIMESCALE:
            self._flush(sample.dts_ticks)

    def _begins_sound(self, ticks: int) -> bool:
        """Say whether sound of another format has begun when a picture is shown."""
        first = self._awaited
        if first is None:
            return False
        return first.pts_ticks * VIDEO_TIMESCALE <= ticks * first.format.sample_rate_hz

    def _change_sound(self, ticks: int) -> None:
        """From this picture on sound is in the format that came last."""
        assert self._awaited is not None, "another format has come"
        self._sound.finish(self._to_sound(ticks))
        self._sound = self._make_lane(self._awaited.format, has_sound=True)
        self._awaited = None

    def _make_lane(self, audio: AudioFormat, *, has_sound: bool) -> SoundLane:
        init = self._sound_inits.get(audio)
        if init is None:
            position = len(self._sound_inits)
            init = self._sound_inits[audio] = make_audio_init(position, audio)
        return SoundLane(self._sink, audio, init, has_sound=has_sound)

    def _begin(self, sample: VideoSample) -> None:
        if not self._is_open and self._awaited is not None:
            self._change_sound(sample.dts_ticks)
        self._format = sample.format
        init = self._inits.get(sample.format)
        if init is None:
            init = self._inits[sample.format] = make_video_init(len(self._inits), sample.format)
        number, is_slate = self._next_number, sample.format.is_slate
        head = SegmentHead(number, init, sample.dts_ticks, self._is_discontinuous, is_slate)
        self._sink.begin_segment(VIDEO, head)
        at_ticks = self._to_sound(sample.dts_ticks)
        self._sound.cut(Cut(number, at_ticks, self._is_discontinuous, is_slate))
        self._next_number += 1
        self._is_discontinuous = False
        self._is_open = True
        self._start_ticks = sample.dts_ticks

    def _flush(self, end_ticks: int) -> None:
        """Build the open part; `end_ticks` is where the next picture begins."""
        if not self._samples:
            return
        ends = [sample.dts_ticks for sample in self._samples[1:]] + [end_ticks]
        samples = [
            Sample(
                sample.data,
                end - sample.dts_ticks,
                sample.pts_ticks - sample.dts_ticks,
                is_key=sample.is_key,
            )
            for sample, end in zip(self._samples, ends, strict=True)
        ]
        self._fragments += 1
        start_ticks = self._samples[0].dts_ticks
        data = build_fragment(
            samples, number=self._fragments, base_ticks=start_ticks, is_video=True
        )
        is_independent = any(sample.is_key for sample in samples)
        later_bytes = sum(len(sample.data) for sample in samples[1:])
        key_bytes = len(data) - later_bytes if samples[0].is_key else 0
        length = end_ticks - start_ticks
        part = Part(data, length, is_independent, key_bytes, len(samples))
        self._sink.add_part(VIDEO, part)
        self._samples = []

    def _to_sound(self, ticks: int) -> int:
        return ticks * self._sound.format.sample_rate_hz // VIDEO_TIMESCALE
