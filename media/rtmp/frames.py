"""A publisher's tags as the frames that every ingest hands to the packager.

Pure state. Picture and sound share RTMP's one clock of milliseconds; zero is the first tag. What
cannot be carried (HE-AAC, another codec midway) is refused in words for the publisher.
"""

from __future__ import annotations

from collections.abc import Mapping

from media.h264_bits import ParameterSetMalformed
from media.live.av1 import list_kept
from media.live.formats import read_format
from media.live.h264 import join_nals
from media.live.hevc import drop_sets
from media.live.packets import OPUS_FORMAT, read_opus_ticks
from media.live.samples import (
    VIDEO_TIMESCALE,
    AudioFormat,
    AudioSample,
    SampleSink,
    VideoCodec,
    VideoFormat,
    VideoSample,
)
from media.rtmp.errors import PublishRefused, RtmpMalformed
from media.rtmp.tags import AudioConfig, AudioTag, Tag, VideoConfig, VideoTag

VIDEO_CODECS: Mapping[str, VideoCodec] = {"H264": "h264", "H265": "hevc", "AV1": "av1"}
"""What tags call a codec, and what formats do."""
AUDIO_CODECS = {"AAC": "aac", "OPUS": "opus"}
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
OPUS_HEAD_BYTES_MIN = 19
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
        self.sound: AudioFormat | None = None
        """What the publisher announced its sound to be, before its first frame, too."""
        self._last_dts: int | None = None
        self._next_audio: int | None = None

    def apply(self, tag: Tag) -> None:
        """Take one tag; frames that come before their configuration are dropped.

        Raises PublishRefused, RtmpMalformed.
        """
        match tag:
            case VideoConfig():
                self._set_format(tag)
            case AudioConfig():
                self._set_sound(tag)
            case VideoTag():
                self._add_picture(tag)
            case AudioTag():
                self._add_sound(tag)

    def _set_sound(self, config: AudioConfig) -> None:
        audio = read_audio_config(config)
        if self.sound is not None and self.sound.codec != audio.codec:
            raise PublishRefused("The sound's codec changed; connect again to publish another.")
        if self.sound is not None and _is_alike(self.sound, audio):
            return  # announced once more, perhaps in other words
        self._next_audio = None  # it counts in another rate
        self.sound = audio

    def _set_format(self, config: VideoConfig) -> None:
        form, self._length_bytes = read_video_config(config)
        if self._video is not None and self._video.codec != form.codec:
            # Viewers by WebRTC have agreed on one codec with this session.
            raise PublishRefused("The picture's codec changed; connect again to publish another.")
        self._video = form

    def _add_picture(self, tag: VideoTag) -> None:
        if self._video is None or VIDEO_CODECS[tag.codec] != self._video.codec:
            self.dropped += 1
            return
        data = read_picture(self._video, tag.data, self._length_bytes)
        if not data:
            return
        dts_ms = self._clock.place(tag.dts_ms)
        dts = dts_ms * VIDEO_TIMESCALE // 1000
        if self._last_dts is not None:
            dts = max(dts, self._last_dts + 1)
        self._last_dts = dts
        pts = (dts_ms + tag.pts_ms - tag.dts_ms) * VIDEO_TIMESCALE // 1000
        sample = VideoSample(self._video, data, dts, max(pts, 0), tag.is_keyframe)
        self._sink.add_video(sample)

    def _add_sound(self, tag: AudioTag) -> None:
        audio = self.sound
        if audio is None or AUDIO_CODECS[tag.codec] != audio.codec:
            self.dropped += 1
            return
        ticks = audio.frame_ticks if audio.codec == "aac" else read_opus_ticks(tag.data)
        if not ticks:
            self.dropped += 1
            return
        arrived = self._clock.place(tag.pts_ms) * audio.sample_rate_hz // 1000
        # A millisecond is coarser than a frame's end: frames that follow one another do so exactly.
        expected = self._next_audio
        is_close = expected is not None and abs(arrived - expected) < AAC_FRAME_TICKS
        pts = expected if is_close and expected is not None else arrived
        self._next_audio = pts + ticks
        self._sink.add_audio(AudioSample(audio, tag.data, max(pts, 0), ticks))


def read_video_config(config: VideoConfig) -> tuple[VideoFormat, int]:
    """Return a configuration's format, and the bytes of a NAL unit's length; raises RtmpMalformed.

    An encoder that sends something else than its codec's record is malformed, too.
    """
    try:
        return read_format(VIDEO_CODECS[config.codec], config.record)
    except ParameterSetMalformed as error:
        raise RtmpMalformed("the picture's configuration is not valid") from error


def read_picture(form: VideoFormat, data: bytes, length_bytes: int) -> bytes:
    """Return a picture as samples have it; empty for one of nothing. Raises RtmpMalformed."""
    if form.codec == "av1":
        try:
            return b"".join(obu.pack() for obu in list_kept(data))
        except ParameterSetMalformed as error:
            raise RtmpMalformed("a picture's OBUs do not fit its size") from error
    nals = split_nals(data, length_bytes)
    return join_nals(drop_sets(nals) if form.codec == "hevc" else nals)


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

    Of Opus an identification header (RFC 7845 §5.1): one format stands for all of mono and stereo,
    since every packet says what it is. Raises PublishRefused for what is neither that nor AAC-LC,
    RtmpMalformed.
    """
    record = config.record
    if config.codec == "OPUS":
        return _read_opus_head(record)
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


def _read_opus_head(record: bytes) -> AudioFormat:
    if len(record) < OPUS_HEAD_BYTES_MIN or not record.startswith(b"OpusHead"):
        raise RtmpMalformed("the sound's configuration is not valid")
    if record[18] != 0:
        raise PublishRefused("Only mono and stereo Opus is supported.")
    return OPUS_FORMAT


def _is_alike(one: AudioFormat, other: AudioFormat) -> bool:
    """Whether both are of the same codec, rate and channels."""
    return (one.codec, one.sample_rate_hz, one.channels) == (
        other.codec,
        other.sample_rate_hz,
        other.channels,
    )
