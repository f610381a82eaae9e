"""Encoders of one track each: frames in, whole CMAF segments out.

`transcode.py` drives them. Both use one thread and give the same bytes for the same input, so a
repeated task repeats its output. They write nothing and know no keys.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.video.frame import PictureType

from media.cmaf import (
    BT709,
    AudioTrack,
    Sample,
    VideoTrack,
    avc_codec_name,
    build_init_segment,
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

GLOBAL_HEADER = 1 << 22
"""AV_CODEC_FLAG_GLOBAL_HEADER: parameter sets go into the init segment."""
PRESET = "veryfast"
QUALITY_CRF = 23
BUFFER_S = 2
B_FRAMES = 3
REORDER_FRAMES = 2
"""How far B-frames, with a pyramid, move decoding ahead of showing."""
WITHOUT_AVX512 = ":asm=AVX2"
"""x264's AVX-512 code reads memory nobody wrote in its macroblock tree: every tenth run of the same
chunk gave other bytes (seen with MALLOC_PERTURB_). AVX2 costs no measurable time more."""
CPU_FLAGS_BYTES = 8192
AUDIO_CHANNELS = 2
AUDIO_BITRATE_BPS = 128_000
AUDIO_CODEC_NAME = "mp4a.40.2"


class RungEncoder:
    """H.264 of one rung, cut at every `segment_frames`-th slot by a forced IDR frame."""

    def __init__(self, rung: Rung, grid: FrameGrid, slots: range) -> None:
        self._grid = grid
        self._slots = slots
        self._packets: list[Packet[Stream]] = []
        self._next_segment = slots.start // grid.segment_frames
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = rung.width, rung.height, "yuv420p"
        codec.time_base = Fraction(1, grid.timescale)
        codec.framerate = grid.fps
        codec.flags |= GLOBAL_HEADER
        codec.thread_count = 1
        # The grid alone places keyframes: no scene cuts, no limit that could add one.
        parameters = (
            f"annexb=0:open-gop=0:scenecut=0:keyint={2 * grid.segment_frames}:min-keyint=1"
            f":bframes={B_FRAMES}:b-pyramid=normal"
            ":sar=1:1:colorprim=bt709:transfer=bt709:colormatrix=bt709"
        )
        if " avx2 " in _read_cpu_flags():
            parameters += WITHOUT_AVX512
        codec.options = {
            "preset": PRESET,
            "crf": str(QUALITY_CRF),
            "maxrate": str(rung.bitrate_bps),
            "bufsize": str(BUFFER_S * rung.bitrate_bps),
            "forced-idr": "1",
            "x264-params": parameters,
        }
        codec.open()
        assert codec.extradata, "x264 with global headers writes its parameter sets at once"
        self._codec = codec
        self.codec_name = avc_codec_name(codec.extradata)
        self.init_segment = build_init_segment(
            VideoTrack(
                timescale=grid.timescale,
                width=rung.width,
                height=rung.height,
                config=codec.extradata,
                delay_ticks=REORDER_FRAMES * grid.frame_ticks,
                colour=BT709,
            )
        )

    def encode(self, frame: VideoFrame, slot: int) -> list[MadeSegment]:
        """Add the frame of one slot, in order; returns the segments that became complete."""
        frame.pts = slot * self._grid.frame_ticks
        frame.time_base = Fraction(1, self._grid.timescale)
        is_first = slot % self._grid.segment_frames == 0
        frame.pict_type = PictureType.I if is_first else PictureType.NONE
        return self._take(self._codec.encode(frame))

    def finish(self) -> list[MadeSegment]:
        """Flush; returns what was still open."""
        segments = self._take(self._codec.encode(None))
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
        assert self._packets[0].pts == first * ticks, f"segment {number} does not start with IDR"
        delay_ticks = REORDER_FRAMES * ticks
        samples = [
            Sample(
                data=bytes(packet),
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


class AudioEncoder:
    """AAC-LC stereo at 48 kHz, cut at the picture's segment borders to the nearest AAC frame."""

    def __init__(self, segment_s: Fraction) -> None:
        self._segment_ticks = segment_s * AUDIO_RATE_HZ
        self._samples: list[Sample] = []
        self._next_segment = 0
        self._frames_in = 0
        self._frames_out = 0
        self._base_ticks = 0
        codec = av.CodecContext.create("aac", "w")
        codec.sample_rate = AUDIO_RATE_HZ
        codec.layout = "stereo"
        codec.format = "fltp"
        codec.bit_rate = AUDIO_BITRATE_BPS
        codec.flags |= GLOBAL_HEADER
        codec.time_base = Fraction(1, AUDIO_RATE_HZ)
        codec.open()
        assert codec.frame_size == AUDIO_FRAME_SAMPLES, "AAC-LC frames have 1024 samples"
        assert codec.extradata, "AAC with global headers writes its configuration at once"
        self._codec = codec
        self.init_segment = build_init_segment(
            AudioTrack(
                codec="aac",
                timescale=AUDIO_RATE_HZ,
                sample_rate_hz=AUDIO_RATE_HZ,
                channels=AUDIO_CHANNELS,
                config=codec.extradata,
                bitrate_bps=AUDIO_BITRATE_BPS,
                # The encoder's first packet only primes the decoder; the edit list hides it.
                delay_ticks=AUDIO_FRAME_SAMPLES,
            )
        )

    def encode(self, frame: AudioFrame) -> list[MadeSegment]:
        """Add 1024 samples (fewer at the very end); returns the segments that became complete."""
        frame.pts = self._frames_in * AUDIO_FRAME_SAMPLES
        frame.time_base = Fraction(1, AUDIO_RATE_HZ)
        self._frames_in += 1
        return self._take(self._codec.encode(frame))

    def finish(self) -> list[MadeSegment]:
        """Flush; returns what was still open."""
        segments = self._take(self._codec.encode(None))
        return [*segments, self._cut()] if self._samples else segments

    def _take(self, packets: list[Packet[Stream]]) -> list[MadeSegment]:
        segments = []
        for packet in packets:
            shown_ticks = (self._frames_out - 1) * AUDIO_FRAME_SAMPLES
            if self._samples and shown_ticks >= (self._next_segment + 1) * self._segment_ticks:
                segments.append(self._cut())
            self._samples.append(Sample(bytes(packet), AUDIO_FRAME_SAMPLES))
            self._frames_out += 1
        return segments

    def _cut(self) -> MadeSegment:
        segment = make_segment(self._next_segment, self._base_ticks, self._samples, is_video=False)
        self._samples = []
        self._next_segment += 1
        self._base_ticks += segment.duration_ticks
        return segment


def _read_cpu_flags() -> str:
    """What Linux says of the first processor; nothing elsewhere, where x264 decides alone."""
    try:
        with Path("/proc/cpuinfo").open() as file:
            return file.read(CPU_FLAGS_BYTES)
    except OSError:
        return ""
