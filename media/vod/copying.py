"""Sources that already are what a player needs: their packets cut into segments, not encoded anew.

The copy tasks run it, and `copyable.py` tries it first, with the very same code: whatever looks odd
raises CopyImpossible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, cast

from media.cmaf import (
    AudioTrack,
    Colour,
    Sample,
    VideoTrack,
    avc_codec_name,
    build_init_segment,
)
from media.vod.info import AudioInfo, VideoInfo
from media.vod.pictures import RANGE_FULL
from media.vod.records import AUDIO_FRAME_SAMPLES, INIT_NAME, TrackRecord
from media.vod.task_jobs import CopyJob

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

SEGMENT_S_MIN = 4
GOP_S_MAX = 8
SOUND_CODEC_NAME = "mp4a.40.2"
AVC_CONFIG_VERSION = 1
COLOUR_UNSAID = 2
"""H.273: unspecified."""
NAL_IDR = 5
NAL_SLICES = range(1, 6)


class CopyImpossible(Exception):
    """The source has something that a copy would pass on wrongly; the text says what."""


class PacketDamaged(CopyImpossible):
    """A packet is not as it was written, or not all there."""


@dataclass(frozen=True)
class CutSegment:
    """Packets of one segment; ticks of its cutter's clock, from the video's beginning."""

    number: int
    start_ticks: int
    samples: tuple[Sample, ...]

    @property
    def duration_ticks(self) -> int:
        """How long it lasts."""
        return sum(sample.duration_ticks for sample in self.samples)

    def end_s(self, cutter: Cutter) -> Fraction:
        """When it has been shown, from the video's beginning."""
        ticks = self.start_ticks + self.duration_ticks - cutter.delay_ticks
        return Fraction(ticks, cutter.timescale)


@dataclass(frozen=True)
class _Timed:
    """A packet and its times, in ticks of the cutter's clock."""

    packet: Packet[Stream]
    pts: int
    dts: int


@dataclass
class Cutter:
    """Collects one stream's packets, one held back until the next tells how long it lasts."""

    stream: VideoStream | AudioStream
    origin_s: Fraction
    keeps_data: bool = True
    """False: only tries whether it can be cut; samples stay empty."""
    clock_hz: int | None = None
    """Ticks per second of what is cut; None: the stream's own.

    Rungs between which players change need one clock: hls.js 1.6 takes another one for a sign of
    shifted times and shifts what follows by the delay of pictures out of order.
    """
    delay_ticks: int = 0
    last_duration_ticks: int = 1
    _held: _Timed | None = None
    _samples: list[Sample] = field(default_factory=list)
    _start_ticks: int = 0
    _next_ticks: int = 0
    _number: int = 0

    @property
    def config(self) -> bytes:
        """The stream's avcC or AudioSpecificConfig."""
        return self.stream.codec_context.extradata or b""

    @cached_property
    def timescale(self) -> int:
        """Ticks per second; raises CopyImpossible for a stream with a clock of another kind."""
        return self.clock_hz or self._own_hz

    @cached_property
    def _own_hz(self) -> int:
        time_base = self.stream.time_base
        if time_base is None or time_base.numerator != 1:
            raise CopyImpossible("an odd clock")
        return time_base.denominator

    def add(self, packet: Packet[Stream]) -> CutSegment | None:
        """Take the next packet; return the segment that it closed."""
        if packet.is_corrupt:
            raise PacketDamaged("a damaged packet")
        if packet.pts is None or packet.dts is None:
            raise CopyImpossible("a packet without times")
        if packet.has_sidedata("new_extradata"):
            raise CopyImpossible("parameters change midway")
        timed = _Timed(packet, self._place(packet.pts), self._place(packet.dts))
        if self._held is None:
            self._begin(timed)
        else:
            self._append(self._held, timed.dts - self._held.dts)
        closed = self._check(timed)
        self._held = timed
        return self._cut() if closed else None

    def finish(self) -> CutSegment | None:
        """Return what was still open."""
        if self._held is None:
            return None
        self._append(
            self._held, self._place(self._held.packet.duration or 0) or self.last_duration_ticks
        )
        self._held = None
        return self._cut()

    def _place(self, own_ticks: int) -> int:
        """Return a moment of the stream's clock on the cutter's, rounded."""
        return (2 * own_ticks * self.timescale + self._own_hz) // (2 * self._own_hz)

    def _begin(self, first: _Timed) -> None:
        shown = first.pts - round(self.origin_s * self.timescale)
        self.delay_ticks = first.pts - first.dts + max(0, -shown)
        self._start_ticks = self._next_ticks = first.dts - first.pts + shown + self.delay_ticks

    def _append(self, timed: _Timed, duration_ticks: int) -> None:
        if duration_ticks <= 0:
            raise CopyImpossible("decoding times do not rise")
        packet, offset = timed.packet, timed.pts - timed.dts
        data = bytes(packet) if self.keeps_data else b""
        self._samples.append(Sample(data, duration_ticks, offset, packet.is_keyframe))
        self._next_ticks += duration_ticks
        self.last_duration_ticks = duration_ticks

    def _check(self, timed: _Timed) -> bool:
        """Whether a new segment begins with this packet; raises CopyImpossible."""
        raise NotImplementedError

    def _cut(self) -> CutSegment:
        segment = CutSegment(self._number, self._start_ticks, tuple(self._samples))
        self._number += 1
        self._start_ticks, self._samples = self._next_ticks, []
        return segment


class PictureCutter(Cutter):
    """H.264: a segment begins with an IDR frame, and no frame before it is shown after it."""

    _gop_ticks: int = 0
    _gop_pts: int = 0
    _shown_to: int | None = None

    def _check(self, timed: _Timed) -> bool:
        packet, pts = timed.packet, timed.pts
        if packet.is_discard:
            raise CopyImpossible("an edit list leaves frames out")
        is_first = self._shown_to is None
        if packet.is_keyframe:
            if not self._is_idr(bytes(packet)):
                raise CopyImpossible("an open GOP")
            if self._shown_to is not None and self._shown_to >= pts:
                raise CopyImpossible("frames are shown after a keyframe that came later")
            self._gop_pts, self._gop_ticks = pts, self._next_ticks
        elif is_first:
            raise CopyImpossible("it does not begin with a keyframe")
        elif pts < self._gop_pts:
            raise CopyImpossible("an open GOP")
        elif self._next_ticks - self._gop_ticks > GOP_S_MAX * self.timescale:
            raise CopyImpossible("keyframes are too far apart")
        self._shown_to = max(pts, self._shown_to or pts)
        length = self._next_ticks - self._start_ticks
        return packet.is_keyframe and length >= SEGMENT_S_MIN * self.timescale

    def _is_idr(self, data: bytes) -> bool:
        """Look at the first slice; lengths before each NAL unit as avcC says (-15 §5.3.3)."""
        length_bytes = (self.config[4] & 3) + 1
        at = 0
        while at + length_bytes < len(data):
            kind = data[at + length_bytes] & 31
            if kind in NAL_SLICES:
                return kind == NAL_IDR
            at += length_bytes + int.from_bytes(data[at : at + length_bytes], "big")
        return False


class SoundCutter(Cutter):
    """AAC: any packet may begin a segment; there must be no gap between two."""

    def _check(self, timed: _Timed) -> bool:
        if self._samples and self._samples[-1].duration_ticks != AUDIO_FRAME_SAMPLES:
            raise CopyImpossible("the sound has gaps")
        # What an encoder writes first only primes the decoder; our own edit list hides it again.
        is_heard = timed.pts >= round(self.origin_s * self.timescale)
        if timed.packet.is_discard and is_heard:
            raise CopyImpossible("an edit list leaves sound out")
        return self._next_ticks - self._start_ticks >= SEGMENT_S_MIN * self.timescale


def iter_cuts(container: InputContainer, cutters: list[Cutter]) -> Iterator[tuple[int, CutSegment]]:
    """Segments of the cutters' streams as they close, each with its cutter's place in the list."""
    places = {cutter.stream.index: place for place, cutter in enumerate(cutters)}
    for packet in container.demux(*[cutter.stream for cutter in cutters]):
        if packet.size == 0:
            continue  # the demuxer's mark of the end
        place = places[packet.stream_index]
        segment = cutters[place].add(packet)
        if segment is not None:
            yield place, segment
    for place, cutter in enumerate(cutters):
        segment = cutter.finish()
        if segment is not None:
            yield place, segment


def iter_first_cuts(
    container: InputContainer, cutters: list[Cutter], segments_max: int | None
) -> Iterator[tuple[int, CutSegment]]:
    """`iter_cuts`, or of the picture so many segments and the sound until it reaches their end."""
    if segments_max is None:
        yield from iter_cuts(container, cutters)
        return
    ends_s = [Fraction(0)] * len(cutters)
    pictures = 0
    for place, segment in iter_cuts(container, cutters):
        if place > 0 or pictures < segments_max:
            pictures += place == 0
            ends_s[place] = segment.end_s(cutters[place])
            yield place, segment
        if pictures == segments_max and min(ends_s) == ends_s[0]:
            return


def open_picture(
    container: InputContainer,
    video: VideoInfo,
    origin_s: Fraction,
    *,
    keeps_data: bool = True,
    clock_hz: int | None = None,
) -> PictureCutter:
    """A cutter of the probed picture; raises CopyImpossible."""
    stream = cast("VideoStream", container.streams[video.stream_index])
    config = stream.codec_context.extradata or b""
    if len(config) < 7 or config[0] != AVC_CONFIG_VERSION:
        raise CopyImpossible("no avcC configuration")
    return PictureCutter(stream, origin_s, keeps_data, clock_hz)


def open_sound(
    container: InputContainer, audio: AudioInfo, origin_s: Fraction, *, keeps_data: bool = True
) -> SoundCutter:
    """A cutter of the probed sound."""
    stream = cast("AudioStream", container.streams[audio.stream_index])
    return SoundCutter(stream, origin_s, keeps_data)


def open_cutters(container: InputContainer, job: CopyJob, origin_s: Fraction) -> list[Cutter]:
    """The picture's cutter, and the sound's when there is one to copy."""
    picture = open_picture(container, job.video, origin_s, clock_hz=job.grid.timescale)
    return [picture, open_sound(container, job.audio, origin_s)] if job.audio else [picture]


def describe_copies(cutters: list[Cutter], job: CopyJob) -> tuple[TrackRecord, ...]:
    """The records of the tracks, without their segments."""
    rung, audio = job.rung, job.audio
    picture = TrackRecord(
        track=rung.name,
        codec=avc_codec_name(cutters[0].config),
        init_name=INIT_NAME,
        timescale=cutters[0].timescale,
        segments=(),
        width=rung.width,
        height=rung.height,
    )
    if audio is None:
        return (picture,)
    sound = TrackRecord(
        track=job.audio_track,
        codec=SOUND_CODEC_NAME,
        init_name=INIT_NAME,
        timescale=cutters[1].timescale,
        segments=(),
        channels=audio.channels,
    )
    return picture, sound


def build_inits(
    cutters: list[Cutter], video: VideoInfo, audio: AudioInfo | None
) -> tuple[bytes, ...]:
    """Init segments of cutters that have cut everything."""
    picture = VideoTrack(
        timescale=cutters[0].timescale,
        width=video.width,
        height=video.height,
        config=cutters[0].config,
        delay_ticks=cutters[0].delay_ticks,
        colour=_read_colour(cutters[0]),
    )
    if audio is None:
        return (build_init_segment(picture),)
    sound = AudioTrack(
        codec="aac",
        timescale=cutters[1].timescale,
        sample_rate_hz=audio.sample_rate_hz,
        channels=audio.channels,
        config=cutters[1].config,
        bitrate_bps=cutters[1].stream.codec_context.bit_rate or 0,
        delay_ticks=cutters[1].delay_ticks,
    )
    return build_init_segment(picture), build_init_segment(sound)


def _read_colour(cutter: Cutter) -> Colour | None:
    """What the source says of its colours; None when it says nothing."""
    context = cast("VideoStream", cutter.stream).codec_context
    points = (int(context.color_primaries), int(context.color_trc), int(context.colorspace))
    if set(points) <= {COLOUR_UNSAID}:
        return None
    return Colour(*points, is_full_range=int(context.color_range) == RANGE_FULL)
