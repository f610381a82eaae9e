"""Encoders of one track each: frames in, whole CMAF segments out.

`transcode.py` drives them. All use one thread and give the same bytes for the same input, so a
repeated task repeats its output. They write nothing and know no keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, cast

import av
from av.video.frame import PictureType

from media.cmaf import (
    BT709,
    AudioTrack,
    Sample,
    VideoTrack,
    build_init_segment,
)
from media.vod.codecs import (
    GLOBAL_HEADER,
    PICTURE_CODECS,
    SOUND_ENCODER,
    give_back_priority,
    open_encoder,
)
from media.vod.grid import FrameGrid
from media.vod.ladder import Rung
from media.vod.records import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from media.vod.track_writer import MadeSegment, make_segment

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame

AUDIO_CHANNELS = 2
AUDIO_BITRATE_BPS = 128_000
AUDIO_CODEC_NAME = "mp4a.40.2"
OPUS_BITRATE_BPS = 96_000
"""Opus at 96 kbit/s is rated no worse than AAC at 128 (Hydrogenaudio's listening test of 2014)."""
OPUS_FRAME_SAMPLES = 960
SETTLING_FRAMES = 3
"""An encoder may begin its last threads with its first frames."""


class RungEncoder:
    """One rung, cut at every `segment_frames`-th slot by a forced keyframe of a closed GOP."""

    def __init__(self, rung: Rung, grid: FrameGrid, slots: range) -> None:
        self._rung = rung
        self._grid = grid
        self._slots = slots
        self._packets: list[Packet[Stream]] = []
        self._next_segment = slots.start // grid.segment_frames
        self._codec = PICTURE_CODECS[rung.codec]
        self._context = open_encoder(self._codec, rung, grid)
        self._first = b""

    def describe(self) -> tuple[str, bytes]:
        """The CODECS name and the init segment; known once a segment was made."""
        assert self._first, "some encoders settle what they write with the first frame"
        config = self._codec.describe(self._context, self._first)
        track = VideoTrack(
            timescale=self._grid.timescale,
            width=self._rung.width,
            height=self._rung.height,
            config=config.payload,
            delay_ticks=self._codec.reorder_frames * self._grid.frame_ticks,
            colour=BT709,
            codec=cast("Literal['h264', 'hevc', 'vp9', 'av1']", self._rung.codec),
        )
        return config.name, build_init_segment(track)

    def encode(self, frame: VideoFrame, slot: int) -> list[MadeSegment]:
        """Add the frame of one slot, in order; returns the segments that became complete."""
        frame.pts = slot * self._grid.frame_ticks
        frame.time_base = Fraction(1, self._grid.timescale)
        is_first = slot % self._grid.segment_frames == 0
        frame.pict_type = PictureType.I if is_first else PictureType.NONE
        packets = self._context.encode(frame)
        if slot - self._slots.start < SETTLING_FRAMES:
            give_back_priority()
        return self._take(packets)

    def finish(self) -> list[MadeSegment]:
        """Flush; returns what was still open."""
        segments = self._take(self._context.encode(None))
        return [*segments, self._cut()] if self._packets else segments

    def _take(self, packets: list[Packet[Stream]]) -> list[MadeSegment]:
        segments = []
        for packet in packets:
            if packet.is_keyframe and self._packets:
                segments.append(self._cut())
            self._packets.append(packet)
        return segments

    def _cut(self) -> MadeSegment:
        """Close the open segment: within a closed GOP the i-th decode time is the i-th slot's."""
        grid, number = self._grid, self._next_segment
        ticks = grid.frame_ticks
        first = number * grid.segment_frames
        count = min(first + grid.segment_frames, self._slots.stop) - first
        shown = sorted(packet.pts or 0 for packet in self._packets)
        assert shown == [(first + n) * ticks for n in range(count)], (
            f"segment {number} does not hold exactly its own frames"
        )
        opening = self._packets[0]
        assert opening.pts == first * ticks, f"segment {number} does not start with its first"
        assert opening.is_keyframe, f"segment {number} does not start with a keyframe"
        self._first = self._first or bytes(opening)
        delay_ticks = self._codec.reorder_frames * ticks
        samples = [
            Sample(
                data=self._codec.clean(bytes(packet)),
                duration_ticks=ticks,
                cts_offset_ticks=(packet.pts or 0) - decoded + delay_ticks,
                is_key=packet.is_keyframe,
            )
            for packet, decoded in zip(self._packets, shown, strict=True)
        ]
        assert min(sample.cts_offset_ticks for sample in samples) >= 0, "B-frames reach too far"
        self._packets = []
        self._next_segment += 1
        return make_segment(number, first * ticks, samples, is_video=True)


@dataclass(frozen=True)
class SoundCodec:
    """How sound is encoded: stereo at 48 kHz."""

    codec: Literal["aac", "opus"]
    encoder: str
    name: str
    """In CODECS attributes."""
    bitrate_bps: int
    frame_samples: int


SOUND_CODECS: Mapping[str, SoundCodec] = {
    "aac": SoundCodec("aac", "aac", AUDIO_CODEC_NAME, AUDIO_BITRATE_BPS, AUDIO_FRAME_SAMPLES),
    "opus": SoundCodec("opus", SOUND_ENCODER, "opus", OPUS_BITRATE_BPS, OPUS_FRAME_SAMPLES),
}


class AudioEncoder:
    """Sound, cut at the picture's segment borders to the nearest frame of its codec."""

    def __init__(self, segment_s: Fraction, kind: SoundCodec = SOUND_CODECS["aac"]) -> None:
        self._segment_ticks = segment_s * AUDIO_RATE_HZ
        self._kind = kind
        self._samples: list[Sample] = []
        self._next_segment = 0
        self._samples_in = 0
        self._frames_out = 0
        self._base_ticks = 0
        codec = av.CodecContext.create(kind.encoder, "w")
        codec.sample_rate = AUDIO_RATE_HZ
        codec.layout = "stereo"
        codec.format = "fltp" if kind.codec == "aac" else "flt"
        codec.bit_rate = kind.bitrate_bps
        codec.flags |= GLOBAL_HEADER
        codec.time_base = Fraction(1, AUDIO_RATE_HZ)
        codec.open()
        assert codec.frame_size == kind.frame_samples, "the encoder's frames have another length"
        assert codec.extradata, "with global headers the configuration is written at once"
        self._codec = codec
        config = bytes(codec.extradata)
        # What only primes the decoder is hidden by the edit list: AAC's first packet, Opus' skip.
        self._delay = AUDIO_FRAME_SAMPLES if kind.codec == "aac" else read_pre_skip(config)
        self.init_segment = build_init_segment(
            AudioTrack(
                codec=kind.codec,
                timescale=AUDIO_RATE_HZ,
                sample_rate_hz=AUDIO_RATE_HZ,
                channels=AUDIO_CHANNELS,
                config=config,
                bitrate_bps=kind.bitrate_bps,
                delay_ticks=self._delay,
            )
        )

    def encode(self, frame: AudioFrame) -> list[MadeSegment]:
        """Add 1024 samples (fewer at the very end); returns the segments that became complete."""
        frame.pts = self._samples_in
        frame.time_base = Fraction(1, AUDIO_RATE_HZ)
        self._samples_in += frame.samples
        return self._take(self._codec.encode(frame))

    def finish(self) -> list[MadeSegment]:
        """Flush; returns what was still open."""
        segments = self._take(self._codec.encode(None))
        return [*segments, self._cut()] if self._samples else segments

    def _take(self, packets: list[Packet[Stream]]) -> list[MadeSegment]:
        segments = []
        for packet in packets:
            shown_ticks = self._frames_out * self._kind.frame_samples - self._delay
            if self._samples and shown_ticks >= (self._next_segment + 1) * self._segment_ticks:
                segments.append(self._cut())
            self._samples.append(Sample(bytes(packet), self._kind.frame_samples))
            self._frames_out += 1
        return segments

    def _cut(self) -> MadeSegment:
        segment = make_segment(self._next_segment, self._base_ticks, self._samples, is_video=False)
        self._samples = []
        self._next_segment += 1
        self._base_ticks += segment.duration_ticks
        return segment


def read_pre_skip(head: bytes) -> int:
    """Samples before the first audible one, of an Opus identification header (RFC 7845 §5.1)."""
    return int.from_bytes(head[10:12], "little")
