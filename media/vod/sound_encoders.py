"""Encoders of sound: frames in, whole CMAF segments out.

`transcode.py` drives them. They give the same bytes for the same input. AAC is begun anew every
minute or so whatever happens, so that an attempt can go on behind what a lost one kept. They
write nothing and know no keys.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, cast

import av

from media.cmaf import AudioTrack, Sample, build_init_segment
from media.vod.codecs import GLOBAL_HEADER, SOUND_ENCODER
from media.vod.records import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from media.vod.track_writer import MadeSegment

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.frame import AudioFrame

AUDIO_CHANNELS = 2
AUDIO_BITRATE_BPS = 128_000
AUDIO_CODEC_NAME = "mp4a.40.2"
OPUS_BITRATE_BPS = 96_000
"""Opus at 96 kbit/s is rated no worse than AAC at 128 (Hydrogenaudio's listening test of 2014)."""
OPUS_FRAME_SAMPLES = 960
STEP_SEGMENTS = 16
"""AAC of so many takes a core about two seconds."""
LEAD_FRAMES = 128
"""A new encoder hears so much first, which is thrown away: at the border it chooses its windows as
the one before would, so that what overlaps cancels out, and its rate has settled (with 16 frames
the noise behind a border was five times as loud as before)."""


@dataclass(frozen=True)
class SoundCodec:
    """How sound is encoded: stereo at 48 kHz."""

    codec: Literal["aac", "opus"]
    encoder: str
    name: str
    """In CODECS attributes."""
    bitrate_bps: int
    frame_samples: int
    has_steps: bool
    """Whether an encoder may go on where another stopped. Opus predicts from earlier packets."""


SOUND_CODECS: Mapping[str, SoundCodec] = {
    "aac": SoundCodec("aac", "aac", AUDIO_CODEC_NAME, AUDIO_BITRATE_BPS, AUDIO_FRAME_SAMPLES, True),
    "opus": SoundCodec("opus", SOUND_ENCODER, "opus", OPUS_BITRATE_BPS, OPUS_FRAME_SAMPLES, False),
}
SoundStep = tuple[bytes, ...]
"""The packets of one step."""
Keep = Callable[[int, SoundStep], None]
"""Told of each finished step and its number."""


@dataclass
class _Run:
    """One encoder's stretch: step `number`, packets `first` to before `stop` of the whole sound."""

    number: int
    first: int
    stop: int | None
    """None: up to the end."""
    context: AudioCodecContext
    following: int
    """Number of the packet it gives next, from the whole sound's first."""
    packets: list[bytes] = field(default_factory=list)

    def encode(self, frame: AudioFrame | None) -> list[bytes]:
        """Return what this frame, or the end, adds to the stretch."""
        found = []
        for packet in self.context.encode(frame):
            is_wanted = self.stop is None or self.following < self.stop
            if self.following >= self.first and is_wanted:
                found.append(bytes(packet))
            self.following += 1
        self.packets += found
        return found

    @property
    def is_whole(self) -> bool:
        """Whether all its packets are there."""
        return self.stop is not None and self.following >= self.stop


class AudioEncoder:
    """Sound, cut at the picture's segment borders to the nearest frame of its codec."""

    def __init__(
        self,
        segment_s: Fraction,
        kind: SoundCodec = SOUND_CODECS["aac"],
        keep: Keep = lambda _number, _step: None,
    ) -> None:
        self._segment_ticks = segment_s * AUDIO_RATE_HZ
        self._kind = kind
        self._keep = keep
        self._samples: list[Sample] = []
        self._next_segment = 0
        self._frames_in = 0
        self._frames_out = 0
        self._base_ticks = 0
        self._runs: list[_Run] = []
        self._next_step = 0
        config = bytes(self._open().extradata or b"")
        assert config, "with global headers the configuration is written at once"
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

    def resume(self, kept: Iterable[SoundStep]) -> list[MadeSegment]:
        """Go on behind the first steps, which were kept; returns the segments that are whole."""
        segments = []
        for step in kept:
            segments += self._take(step)
            self._next_step += 1
        return segments

    def encode(self, frame: AudioFrame) -> list[MadeSegment]:
        """Add 1024 samples (fewer at the very end); returns the segments that became complete.

        All frames come from the first on, those of kept steps too.
        """
        if self._frames_in == self._find_beginning(self._next_step):
            self._begin_step()
        segments = []
        for run in list(self._runs):
            frame.pts = self._frames_in * AUDIO_FRAME_SAMPLES
            frame.time_base = Fraction(1, AUDIO_RATE_HZ)
            segments += self._take(run.encode(frame))
            if run.is_whole:
                self._runs.remove(run)
                self._keep(run.number, tuple(run.packets))
        self._frames_in += 1
        return segments

    def finish(self) -> list[MadeSegment]:
        """Flush; returns what was still open."""
        segments = []
        for run in self._runs:
            segments += self._take(run.encode(None))
        return [*segments, self._cut()] if self._samples else segments

    def _open(self) -> AudioCodecContext:
        context = cast("AudioCodecContext", av.CodecContext.create(self._kind.encoder, "w"))
        context.sample_rate = AUDIO_RATE_HZ
        context.layout = "stereo"
        context.format = "fltp" if self._kind.codec == "aac" else "flt"
        context.bit_rate = self._kind.bitrate_bps
        context.flags |= GLOBAL_HEADER
        context.time_base = Fraction(1, AUDIO_RATE_HZ)
        context.open()
        assert context.frame_size == self._kind.frame_samples, "its frames have another length"
        return context

    def _find_first_packet(self, step: int) -> int:
        """The first packet of a step: that of its first segment, as `_take` cuts them."""
        ticks = step * STEP_SEGMENTS * self._segment_ticks + self._delay
        return math.ceil(ticks / self._kind.frame_samples) if step else 0

    def _find_beginning(self, step: int) -> int:
        """The frame with which a step's encoder begins."""
        if step and not self._kind.has_steps:
            return -1
        return max(0, self._find_first_packet(step) - LEAD_FRAMES)

    def _begin_step(self) -> None:
        number, self._next_step = self._next_step, self._next_step + 1
        stop = self._find_first_packet(number + 1) if self._kind.has_steps else None
        first = self._find_first_packet(number)
        # An encoder's packet n ends with its frame n: numbers of frames and packets are the same.
        self._runs.append(_Run(number, first, stop, self._open(), following=self._frames_in))

    def _take(self, packets: Iterable[bytes]) -> list[MadeSegment]:
        segments = []
        for packet in packets:
            shown_ticks = self._frames_out * self._kind.frame_samples - self._delay
            if self._samples and shown_ticks >= (self._next_segment + 1) * self._segment_ticks:
                segments.append(self._cut())
            self._samples.append(Sample(packet, self._kind.frame_samples))
            self._frames_out += 1
        return segments

    def _cut(self) -> MadeSegment:
        segment = MadeSegment(self._next_segment, self._base_ticks, self._samples, is_video=False)
        self._samples = []
        self._next_segment += 1
        self._base_ticks += segment.duration_ticks
        return segment


def read_pre_skip(head: bytes) -> int:
    """Samples before the first audible one, of an Opus identification header (RFC 7845 §5.1)."""
    return int.from_bytes(head[10:12], "little")
