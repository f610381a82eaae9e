"""Parts, segments and init segments as the packager makes them and the window keeps them. Values.

A part is one CMAF fragment; a segment is its parts one after the other, the same bytes. Both
tracks of a live share their segment numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from media.cmaf import build_init_segment
from media.live.samples import VIDEO_TIMESCALE, AudioFormat, VideoFormat

VIDEO = "source"
"""The publisher's own picture, as it came."""
AUDIO = "audio"
TRACKS = (VIDEO, AUDIO)
PART_TARGET_S = 0.35
"""No part is longer, unless a single picture stands so long."""
PART_MIN_S = 0.85 * PART_TARGET_S
"""draft-pantos-hls-rfc8216bis §4.4.4.9: all parts but a segment's last are at least so long."""
SEGMENT_S = 2.0
SEGMENT_MIN_S = 1.5
"""A keyframe that comes sooner stays within its segment."""
SEGMENT_MAX_S = 4.0
"""Without a keyframe a segment is cut here all the same."""
TARGET_DURATION_S = 4


@dataclass(frozen=True, slots=True)
class InitSegment:
    """What a player needs before the first fragment, and how playlists describe it."""

    name: str
    data: bytes
    codec: str
    timescale: int
    width: int = 0
    height: int = 0
    channels: int = 0


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """Where a segment begins; `start_ticks` counts from the live's first moment."""

    number: int
    init: InitSegment
    start_ticks: int
    is_discontinuous: bool
    """What came before was interrupted, or looked different."""
    is_slate: bool = False
    """It stands in for a publisher who is away: players see it, recordings leave it out."""


@dataclass(frozen=True, slots=True)
class Part:
    """One fragment of the segment that is open."""

    data: bytes
    duration_ticks: int
    is_independent: bool
    """It holds a keyframe, or sound."""
    key_bytes: int = 0
    """From its beginning to the end of its first picture, if that is a keyframe."""
    pictures: int = 0


class FragmentSink(Protocol):
    """Who keeps what the packager makes; called in order, each track by itself."""

    def begin_segment(self, track: str, head: SegmentHead) -> None:
        """A segment opens."""
        ...

    def add_part(self, track: str, part: Part) -> None:
        """The open segment has one more part."""
        ...

    def end_segment(self, track: str) -> None:
        """The open segment is whole."""
        ...


def make_video_init(position: int, video: VideoFormat) -> InitSegment:
    """Build the init segment of a picture format; `position` counts a publisher's formats."""
    return InitSegment(
        f"init{position}.mp4",
        build_init_segment(video.track),
        video.codec_name,
        VIDEO_TIMESCALE,
        width=video.width,
        height=video.height,
    )


def make_audio_init(position: int, audio: AudioFormat) -> InitSegment:
    """Build the init segment of a sound format; `position` counts a publisher's formats."""
    return InitSegment(
        f"init{position}.mp4",
        build_init_segment(audio.track),
        audio.codec_name,
        audio.sample_rate_hz,
        channels=audio.channels,
    )
