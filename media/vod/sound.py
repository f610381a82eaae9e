"""Sound of a source as one unbroken line of stereo samples at 48 kHz, from 0 to the video's end.

The audio task reads it. Silence fills what is missing before, between and after; what goes on
past the picture's end is cut. It encodes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
import av.error
import av.filter
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame

from media.vod.frames import DecodeTally
from media.vod.records import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from media.vod.sound_encoders import AUDIO_CHANNELS

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.filter.context import FilterContext

GAP_S_MIN = 0.05
"""Smaller jumps of the timestamps are rounding; larger ones are filled or cut."""
PEAK_MAX = 0.89
"""-1 dBFS: what the AAC encoder adds does not clip."""
SILENCE_SAMPLES = AUDIO_RATE_HZ


class SoundLine:
    """Turns decoded frames, with their gaps, into frames of 1024 samples without any."""

    def __init__(self, total_samples: int, gain_db: float = 0.0) -> None:
        self._total = total_samples
        self._gain_db = gain_db
        self._fifo = AudioFifo()
        self._written = 0
        self._graph: av.filter.Graph | None = None
        self._shape: tuple[str, str, int] = ("", "", 0)

    def push(self, frame: AudioFrame, start_sample: int) -> Iterator[AudioFrame]:
        """Add a frame that begins `start_sample` samples of 1/sample_rate after zero."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            yield from self._drain()
            self._build(shape)
        assert self._graph is not None, "built for the first frame"
        frame.pts = start_sample
        frame.time_base = Fraction(1, frame.sample_rate)
        self._graph.push(frame)
        yield from self._pull()

    def finish(self) -> Iterator[AudioFrame]:
        """The rest, with silence up to the end."""
        yield from self._drain()
        while self._written < self._total:
            samples = min(SILENCE_SAMPLES, self._total - self._written)
            yield from self._write(_make_frame(np.zeros((AUDIO_CHANNELS, samples))))
        rest = self._fifo.read(AUDIO_FRAME_SAMPLES, partial=True)
        if rest is not None:
            yield rest

    def _build(self, shape: tuple[str, str, int]) -> None:
        sample_format, layout, rate_hz = shape
        graph = av.filter.Graph()
        graph.threads = 1
        graph.link_nodes(
            graph.add(
                "abuffer",
                f"time_base=1/{rate_hz}:sample_rate={rate_hz}:sample_fmt={sample_format}"
                f":channel_layout={layout}",
            ),
            graph.add(
                "aresample",
                f"{AUDIO_RATE_HZ}:async=1:min_hard_comp={GAP_S_MIN}:first_pts={self._written}",
            ),
            graph.add("aformat", "sample_fmts=fltp:channel_layouts=stereo"),
            *self._list_gain(graph),
            graph.add("abuffersink"),
        ).configure()
        self._graph, self._shape = graph, shape

    def _list_gain(self, graph: av.filter.Graph) -> Iterator[FilterContext]:
        """Filters that make it louder or quieter; what is made louder is kept from clipping."""
        if self._gain_db:
            yield graph.add("volume", f"{self._gain_db}dB")
        if self._gain_db > 0:
            yield graph.add("alimiter", f"limit={PEAK_MAX}:attack=5:release=50:level=0:latency=1")
            yield graph.add("aformat", "sample_fmts=fltp")  # it works in double precision

    def _drain(self) -> Iterator[AudioFrame]:
        """Flush the resampler, at the end or before another format."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pull()
            self._graph = None

    def _pull(self) -> Iterator[AudioFrame]:
        assert self._graph is not None, "only a built graph is pulled"
        while True:
            try:
                frame = cast("AudioFrame", self._graph.pull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield from self._write(frame)

    def _write(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Queue samples up to the end of the line; yields whole encoder frames."""
        wanted = self._total - self._written
        if wanted <= 0:
            return
        if frame.samples > wanted:
            frame = _make_frame(frame.to_ndarray()[:, :wanted])
        self._written += frame.samples
        frame.pts = None
        self._fifo.write(frame)
        while (whole := self._fifo.read(AUDIO_FRAME_SAMPLES)) is not None:
            yield whole


def iter_sound(
    container: InputContainer, stream: AudioStream, line: SoundLine, origin_s: Fraction
) -> Iterator[AudioFrame]:
    """Decode all of the stream through the line; `origin_s` is zero in the source's clock."""
    tally = DecodeTally()
    next_start = 0
    for frame in iter_decoded(container, stream, tally):
        if frame.pts is not None and frame.time_base:
            moment_s = frame.pts * frame.time_base - origin_s
            next_start = round(moment_s * frame.sample_rate)
        start, next_start = next_start, next_start + frame.samples
        if next_start > 0:
            yield from line.push(frame, start)
    yield from line.finish()


def iter_decoded(
    container: InputContainer, stream: AudioStream, tally: DecodeTally
) -> Iterator[AudioFrame]:
    """Decode on from where the container stands; damaged packets are counted and left out."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.error.FFmpegError:
            tally.errors += 1


def _make_frame(samples: np.ndarray[Any, Any]) -> AudioFrame:
    """`samples`: (2, N), -1 to 1."""
    plane = np.ascontiguousarray(samples, dtype=np.float32)
    frame = AudioFrame.from_ndarray(plane, "fltp", "stereo")
    frame.sample_rate = AUDIO_RATE_HZ
    return frame
