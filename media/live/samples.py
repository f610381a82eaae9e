"""Coded frames of a live and how to decode them: what every ingest hands to the packager.

`packets.py` makes them from RTP; another ingest makes the same. Times are ticks of the programme:
zero is the first moment of this publisher, and nothing steps back. Plain values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from media.cmaf import AudioTrack, VideoTrack, avc_codec_name
from media.codec_configs import name_av1_config, name_hevc_config

VIDEO_TIMESCALE = 90_000
VideoCodec = Literal["h264", "hevc", "av1"]
_NAMERS = {"h264": avc_codec_name, "hevc": name_hevc_config, "av1": name_av1_config}


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """How to decode a picture. Another one: another init segment.

    `config` is the payload of the codec's configuration box: avcC, hvcC or av1C.
    """

    width: int
    height: int
    config: bytes
    is_slate: bool = False
    """Ours, in the place of a publisher who is away."""
    codec: VideoCodec = "h264"

    @property
    def codec_name(self) -> str:
        """As in the CODECS attribute, RFC 6381."""
        return _NAMERS[self.codec](self.config)

    @property
    def track(self) -> VideoTrack:
        """The same as an MP4 track."""
        return VideoTrack(VIDEO_TIMESCALE, self.width, self.height, self.config, codec=self.codec)


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How to decode sound; its track's timescale is the sample rate."""

    codec: Literal["opus", "aac"]
    sample_rate_hz: int
    channels: int
    config: bytes
    silence: bytes
    """One coded frame of nothing, `frame_ticks` long: it stands in for what never came."""
    frame_ticks: int

    @property
    def codec_name(self) -> str:
        """As in the CODECS attribute, RFC 6381."""
        return "opus" if self.codec == "opus" else "mp4a.40.2"

    @property
    def track(self) -> AudioTrack:
        """The same as an MP4 track."""
        return AudioTrack(
            self.codec, self.sample_rate_hz, self.sample_rate_hz, self.channels, self.config
        )


@dataclass(frozen=True, slots=True)
class VideoSample:
    """One picture; times in 1/90,000 s.

    H.264 and HEVC: NAL units, each behind its length in four bytes. AV1: a temporal unit's OBUs,
    each with its size, without delimiters.
    """

    format: VideoFormat
    data: bytes
    dts_ticks: int
    pts_ticks: int
    is_key: bool


@dataclass(frozen=True, slots=True)
class AudioSample:
    """One frame of sound; times in ticks of its sample rate."""

    format: AudioFormat
    data: bytes
    pts_ticks: int
    duration_ticks: int


class SampleSink(Protocol):
    """Who packages a publisher's frames; called in decode order, each kind by itself."""

    def add_video(self, sample: VideoSample) -> None:
        """Take the next picture."""
        ...

    def add_audio(self, sample: AudioSample) -> None:
        """Take the next frame of sound."""
        ...
