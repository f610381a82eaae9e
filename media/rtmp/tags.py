"""The bodies of RTMP's audio and video messages: FLV tags, and enhanced RTMP's (v1, v2).

Pure. `TagUnsupported` names what cannot be carried further, so that the publisher can be told.
Sources: Adobe, "Video File Format 10.1" Annex E; Veovera, "Enhancing RTMP, FLV" v2 (2024).
"""

from __future__ import annotations

from dataclasses import dataclass

from media.rtmp.errors import RtmpMalformed


class TagUnsupported(Exception):
    """The publisher sends a codec that this server does not take."""

    def __init__(self, codec: str) -> None:
        super().__init__(f"{codec} is not supported; send H.264, HEVC or AV1 with AAC or Opus")
        self.codec = codec


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """The decoder's configuration: an avcC, hvcC or av1C record (ISO/IEC 14496-15)."""

    codec: str
    record: bytes


@dataclass(frozen=True, slots=True)
class VideoTag:
    """One access unit, its NAL units (H.264, HEVC) behind their lengths; times in ms."""

    codec: str
    dts_ms: int
    pts_ms: int
    is_keyframe: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """The decoder's configuration: an AudioSpecificConfig for AAC, an OpusHead for Opus."""

    codec: str
    record: bytes


@dataclass(frozen=True, slots=True)
class AudioTag:
    """One frame of sound, raw (no ADTS); time in ms."""

    codec: str
    pts_ms: int
    data: bytes


Tag = VideoConfig | VideoTag | AudioConfig | AudioTag

_AVC, _AAC, _ENHANCED_AUDIO = 7, 10, 9
_FRAME_KEY, _FRAME_INFO = 1, 5
_SEQUENCE_START, _CODED_FRAMES, _CODED_FRAMES_X = 0, 1, 3
_MULTITRACK, _MODIFIED = 6, 7
_VIDEO_FOURCCS = {b"avc1": "H264", b"hvc1": "H265", b"av01": "AV1"}
_AUDIO_FOURCCS = {b"mp4a": "AAC", b"Opus": "OPUS"}
_WITH_COMPOSITION = {"H264", "H265"}
_OLD_VIDEO = {2: "Sorenson H.263", 3: "screen video", 4: "VP6", 5: "VP6", 6: "screen video"}
_OLD_AUDIO = {
    0: "PCM",
    1: "ADPCM",
    2: "MP3",
    3: "PCM",
    7: "G.711",
    8: "G.711",
    11: "Speex",
    14: "MP3",
}
FOURCCS = ("avc1", "hvc1", "av01", "mp4a", "Opus")
"""What `connect` is told that we take: what `frames.py` makes samples of, and nothing else."""


def parse_video(payload: bytes, timestamp_ms: int) -> Tag | None:
    """Read a video message; None for what carries nothing. Raises RtmpMalformed, TagUnsupported."""
    if not payload:
        return None
    first = payload[0]
    frame = (first >> 4) & 0x07
    if frame == _FRAME_INFO:
        return None
    is_key = frame == _FRAME_KEY
    if first & 0x80:
        return _parse_enhanced_video(payload, timestamp_ms, is_keyframe=is_key)
    if first & 0x0F != _AVC:
        raise TagUnsupported(_OLD_VIDEO.get(first & 0x0F, f"video codec {first & 0x0F}"))
    if len(payload) < 5:
        raise RtmpMalformed("a video tag is cut short")
    if payload[1] == 0:
        return VideoConfig("H264", payload[5:])
    if payload[1] != 1:
        return None  # the end of the sequence
    return _make_frame("H264", payload[2:], timestamp_ms, is_keyframe=is_key)


def _parse_enhanced_video(payload: bytes, timestamp_ms: int, *, is_keyframe: bool) -> Tag | None:
    kind = payload[0] & 0x0F
    if kind in {_MULTITRACK, _MODIFIED}:
        raise TagUnsupported("multitrack video")
    if len(payload) < 5:
        raise RtmpMalformed("a video tag is cut short")
    fourcc, rest = payload[1:5], payload[5:]
    codec = _VIDEO_FOURCCS.get(fourcc)
    if codec is None:
        raise TagUnsupported(f"video {fourcc.decode('latin-1')!r}")
    if kind == _SEQUENCE_START:
        return VideoConfig(codec, rest)
    if kind == _CODED_FRAMES and codec in _WITH_COMPOSITION:
        return _make_frame(codec, rest, timestamp_ms, is_keyframe=is_keyframe)
    if kind in {_CODED_FRAMES, _CODED_FRAMES_X}:
        return VideoTag(codec, timestamp_ms, timestamp_ms, is_keyframe, rest)
    return None  # the end of the sequence, or colour metadata


def _make_frame(codec: str, rest: bytes, dts_ms: int, *, is_keyframe: bool) -> VideoTag:
    """Read the signed composition time that stands before the data."""
    if len(rest) < 3:
        raise RtmpMalformed("a video tag is cut short")
    composition_ms = int.from_bytes(rest[:3], "big", signed=True)
    return VideoTag(codec, dts_ms, dts_ms + composition_ms, is_keyframe, rest[3:])


def parse_audio(payload: bytes, timestamp_ms: int) -> Tag | None:
    """Read an audio message; None for one that carries nothing. Raises as `parse_video`."""
    if not payload:
        return None
    sound_format = payload[0] >> 4
    if sound_format == _ENHANCED_AUDIO:
        return _parse_enhanced_audio(payload, timestamp_ms)
    if sound_format != _AAC:
        raise TagUnsupported(_OLD_AUDIO.get(sound_format, f"sound format {sound_format}"))
    if len(payload) < 2:
        raise RtmpMalformed("an audio tag is cut short")
    if payload[1] == 0:
        return AudioConfig("AAC", payload[2:])
    return AudioTag("AAC", timestamp_ms, payload[2:]) if len(payload) > 2 else None


def _parse_enhanced_audio(payload: bytes, timestamp_ms: int) -> Tag | None:
    kind = payload[0] & 0x0F
    if kind in {5, _MODIFIED}:
        raise TagUnsupported("multitrack sound")
    if len(payload) < 5:
        raise RtmpMalformed("an audio tag is cut short")
    codec = _AUDIO_FOURCCS.get(payload[1:5])
    if codec is None:
        raise TagUnsupported(f"sound {payload[1:5].decode('latin-1')!r}")
    if kind == _SEQUENCE_START:
        return AudioConfig(codec, payload[5:])
    if kind == _CODED_FRAMES and len(payload) > 5:
        return AudioTag(codec, timestamp_ms, payload[5:])
    return None
