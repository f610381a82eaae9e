"""A publisher's tags as the frames that every ingest hands to the packager.

Pure state. Picture and sound share RTMP's one clock of milliseconds; zero is the first tag. What
cannot be carried (another codec, HE-AAC) is refused in words for the publisher.
"""

from __future__ import annotations

import struct

from media.h264_bits import ParameterSetMalformed
from media.live.h264 import build_format, join_nals
from media.live.samples import (
    VIDEO_TIMESCALE,
    AudioFormat,
    AudioSample,
    SampleSink,
    VideoFormat,
    VideoSample,
)
from media.rtmp.errors import PublishRefused, RtmpMalformed
from media.rtmp.tags import AudioConfig, AudioTag, Tag, VideoConfig, VideoTag

AAC_FRAME_TICKS = 1024
AAC_LC = 2
AAC_RATES_HZ = (
    96_000,
    88_200,
    64_000,
    48_000,
    44_100,
    32_000,
    24_000,
    22_050,
    16_000,
    12_000,
    11_025,
    8_000,
    7_350,
)
"""ISO/IEC 14496-3 table 1.18."""
AAC_SILENCE = {
    1: bytes.fromhex("01182007"),
    2: bytes.fromhex("211004608c1c"),
    6: bytes.fromhex("011820010880230460231004608c0c230000e0"),
}
"""A frame of nothing by channels, as FFmpeg's encoder writes zeros."""
STEP_BACK_MAX_MS = 1_000
STEP_AHEAD_MAX_MS = 30_000
NALS_MAX = 1024


class MsClock:
    """RTMP's 32-bit milliseconds as programme time: it neither wraps nor jumps."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._place_ms = 0
        self.jumps = 0

    def place(self, timestamp_ms: int) -> int:
        """Return a tag's milliseconds in the programme, jumps of the encoder's clock left out."""
        if self._last is None:
            self._last = timestamp_ms
        step = (timestamp_ms - self._last + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        if not -STEP_BACK_MAX_MS <= step <= STEP_AHEAD_MAX_MS:
            self.jumps += 1
            step = 0
        self._last = timestamp_ms
        self._place_ms += step
        return self._place_ms


class TagFrames:
    """Turns one publisher's tags into samples."""

    def __init__(self, sink: SampleSink) -> None:
        self.dropped = 0
        self._sink = sink
        self._clock = MsClock()
        self._video: VideoFormat | None = None
        self._length_bytes = 4
        self._audio: AudioFormat | None = None
        self._last_dts: int | None = None
        self._next_audio: int | None = None

    def apply(self, tag: Tag) -> None:
        """Take one tag; frames that come before their configuration are dropped.

        Raises PublishRefused, RtmpMalformed.
        """
        match tag:
            case VideoConfig():
                self._video, self._length_bytes = read_avc_record(tag)
            case AudioConfig():
                self._audio = read_audio_config(tag)
            case VideoTag():
                self._add_picture(tag)
            case AudioTag():
                self._add_sound(tag)

    def _add_picture(self, tag: VideoTag) -> None:
        if tag.codec != "H264":
            raise PublishRefused(f"{tag.codec} is not supported yet; send H.264.")
        if self._video is None:
            self.dropped += 1
            return
        nals = split_nals(tag.data, self._length_bytes)
        if not nals:
            return
        dts_ms = self._clock.place(tag.dts_ms)
        dts = dts_ms * VIDEO_TIMESCALE // 1000
        if self._last_dts is not None:
            dts = max(dts, self._last_dts + 1)
        self._last_dts = dts
        pts = (dts_ms + tag.pts_ms - tag.dts_ms) * VIDEO_TIMESCALE // 1000
        sample = VideoSample(self._video, join_nals(nals), dts, max(pts, 0), tag.is_keyframe)
        self._sink.add_video(sample)

    def _add_sound(self, tag: AudioTag) -> None:
        if tag.codec != "AAC":
            raise PublishRefused(f"{tag.codec} sound is not supported by RTMP; send AAC.")
        audio = self._audio
        if audio is None:
            self.dropped += 1
            return
        arrived = self._clock.place(tag.pts_ms) * audio.sample_rate_hz // 1000
        # A millisecond is coarser than a frame's end: frames that follow one another do so exactly.
        expected = self._next_audio
        is_close = expected is not None and abs(arrived - expected) < AAC_FRAME_TICKS
        pts = expected if is_close and expected is not None else arrived
        self._next_audio = pts + audio.frame_ticks
        self._sink.add_audio(AudioSample(audio, tag.data, max(pts, 0), audio.frame_ticks))


def read_avc_record(config: VideoConfig) -> tuple[VideoFormat, int]:
    """Read an avcC record (ISO/IEC 14496-15 §5.3.3.1): format, and bytes of a NAL unit's length.

    Raises PublishRefused for another codec, RtmpMalformed.
    """
    if config.codec != "H264":
        raise PublishRefused(f"{config.codec} is not supported yet; send H.264.")
    record = config.record
    try:
        length_bytes = (record[4] & 3) + 1
        sequences, end = _read_sets(record, 6, record[5] & 0x1F)
        pictures, _end = _read_sets(record, end + 1, record[end])
        return build_format(sequences[0], pictures), length_bytes
    except (IndexError, struct.error, ParameterSetMalformed) as error:
        raise RtmpMalformed("the picture's configuration is not valid") from error


def _read_sets(record: bytes, pos: int, count: int) -> tuple[list[bytes], int]:
    """Read `count` parameter sets behind their lengths; return them and where they end."""
    found = []
    for _number in range(count):
        size = struct.unpack_from(">H", record, pos)[0]
        pos += 2
        if not size or pos + size > len(record):
            raise RtmpMalformed("a parameter set is cut short")
        found.append(record[pos : pos + size])
        pos += size
    return found, pos


def split_nals(data: bytes, length_bytes: int) -> list[bytes]:
    """Return the NAL units of an access unit; raises RtmpMalformed."""
    nals: list[bytes] = []
    pos = 0
    while pos + length_bytes <= len(data):
        size = int.from_bytes(data[pos : pos + length_bytes], "big")
        pos += length_bytes
        if pos + size > len(data) or len(nals) >= NALS_MAX:
            raise RtmpMalformed("a picture's NAL units do not fit its size")
        if size:
            nals.append(data[pos : pos + size])
        pos += size
    return nals


def read_audio_config(config: AudioConfig) -> AudioFormat:
    """Read an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).

    Raises PublishRefused for what is not AAC-LC, RtmpMalformed.
    """
    if config.codec != "AAC":
        raise PublishRefused(f"{config.codec} sound is not supported by RTMP; send AAC.")
    record = config.record
    if len(record) < 2:
        raise RtmpMalformed("the sound's configuration is cut short")
    kind, rate_index = record[0] >> 3, (record[0] & 7) << 1 | record[1] >> 7
    channels = record[1] >> 3 & 0x0F
    if kind != AAC_LC:
        raise PublishRefused("Only AAC-LC sound is supported; choose it in the encoder.")
    if rate_index >= len(AAC_RATES_HZ):
        raise PublishRefused("This sample rate is not supported; choose 48 kHz or 44.1 kHz.")
    if channels not in AAC_SILENCE:
        raise PublishRefused("Only mono, stereo and 5.1 sound are supported.")
    return AudioFormat(
        "aac", AAC_RATES_HZ[rate_index], channels, record, AAC_SILENCE[channels], AAC_FRAME_TICKS
    )
