"""How loud a sound is (EBU R128), and how far it is turned up or down to be like the others.

The audio tasks call it. All tasks of one video take the same gain: the first to measure keeps it
beside the records. Long sound is measured in windows spread over it: the cost has a bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import av.error
import av.filter
from av.stream import Discard

from media.vod.frames import DecodeTally
from media.vod.ledger import find_record, keep_record
from media.vod.records import AUDIO_RATE_HZ, TaskRecord
from media.vod.sound import iter_decoded
from media.vod.source import open_media
from media.vod.task_jobs import AudioJob
from storage.objects import ObjectStore

if TYPE_CHECKING:
    from pathlib import Path

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream

LOUDNESS_RECORD = "loudness"
TARGET_LUFS = -14.0
"""Where the large video sites play; AES TD1008 asks for -16 to -14 on the open internet."""
SILENT_LUFS = -50.0
"""What is as quiet as this is noise: it is left as it is."""
GAIN_DB_MAX = 10.0
PEAK_DB_MAX = -1.0
LIMITED_DB_MAX = 3.0
"""So far may the limiter push peaks down when quiet sound is turned up."""
GAIN_DB_MIN = 0.5
"""Nobody hears less."""
WINDOWS = 40
WINDOW_S = 3


@dataclass(frozen=True)
class Loudness:
    """Integrated loudness, and the highest sample in dBFS; None for silence."""

    integrated_lufs: float | None
    peak_db: float


def find_gain_db(job: AudioJob, path: Path, store: ObjectStore) -> float:
    """The gain of this video's sound; measured once and kept."""
    known = find_record(job.video_id, LOUDNESS_RECORD, store)
    if known is None:
        gain_db = decide_gain_db(measure_loudness(path, job))
        known = keep_record(
            job.video_id, TaskRecord(LOUDNESS_RECORD, gain_db=round(gain_db, 2)), store
        )
    return known.gain_db


def decide_gain_db(loudness: Loudness) -> float:
    """Towards the target: down as far as needed, up as far as the peaks allow."""
    lufs = loudness.integrated_lufs
    if lufs is None or lufs < SILENT_LUFS:
        return 0.0
    gain_db = TARGET_LUFS - lufs
    if gain_db > 0:
        room_db = PEAK_DB_MAX + LIMITED_DB_MAX - loudness.peak_db
        gain_db = min(gain_db, GAIN_DB_MAX, max(0.0, room_db))
    return gain_db if abs(gain_db) >= GAIN_DB_MIN else 0.0


def measure_loudness(path: Path, job: AudioJob) -> Loudness:
    """Measure all of a short sound, two minutes of a long one, as stereo at 48 kHz."""
    meter = _Meter()
    with open_media(path) as container:
        stream = cast("AudioStream", container.streams[job.audio.stream_index])
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all  # else the picture's bytes are read, too
        length_s = job.grid.duration_s
        if length_s <= WINDOWS * WINDOW_S:
            for frame in iter_decoded(container, stream, DecodeTally()):
                meter.push(frame)
            return meter.finish()
        for number in range(WINDOWS):
            start_s = job.grid.source_s_of(0) + length_s * number / WINDOWS
            try:
                # By the sound's own index: the picture's keyframes may lie far apart.
                container.seek(int(start_s / (stream.time_base or 1)), stream=stream)
            except av.error.FFmpegError:
                continue
            for frame in _take(iter_decoded(container, stream, DecodeTally()), start_s):
                meter.push(frame)
    return meter.finish()


def _take(frames: Iterator[AudioFrame], start_s: Fraction) -> Iterator[AudioFrame]:
    """The frames of one window; where they say no time, the first three seconds."""
    heard_s, begin_s = 0.0, float(start_s)
    for frame in frames:
        length_s = frame.samples / frame.sample_rate
        if frame.time is not None and frame.time + length_s < begin_s:
            continue  # the index led to somewhere before it
        heard_s += length_s
        yield frame
        if heard_s >= WINDOW_S:
            return


class _Meter:
    """libav's own EBU R128 meter over frames put one behind the other."""

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None
        self._shape: tuple[str, str, int] = ("", "", 0)
        self._samples = 0
        self._parts: list[tuple[float, float]] = []
        self._last: tuple[float | None, float] = (None, -math.inf)

    def push(self, frame: AudioFrame) -> None:
        """Add a frame; one of another format begins another measurement, and the louder counts."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            self._close()
            self._build(shape)
        assert self._graph is not None, "built for the first frame"
        frame.pts, frame.time_base = self._samples, Fraction(1, frame.sample_rate)
        self._samples += frame.samples
        self._graph.push(frame)
        self._pull()

    def finish(self) -> Loudness:
        """What was measured."""
        self._close()
        if not self._parts:
            return Loudness(None, 0.0)
        lufs, peak = max(self._parts)
        return Loudness(lufs, 20 * math.log10(peak) if peak > 0 else -math.inf)

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
            graph.add("aresample", str(AUDIO_RATE_HZ)),
            graph.add("aformat", "sample_fmts=fltp:channel_layouts=stereo"),
            graph.add("ebur128", "metadata=1:framelog=quiet:peak=sample"),
            graph.add("abuffersink"),
        ).configure()
        self._graph, self._shape, self._samples = graph, shape, 0

    def _close(self) -> None:
        if self._graph is None:
            return
        self._graph.push(None)
        self._pull()
        lufs, peak = self._last
        if lufs is not None and math.isfinite(lufs):
            self._parts.append((lufs, peak))
        self._graph, self._last = None, (None, -math.inf)

    def _pull(self) -> None:
        assert self._graph is not None, "only a built graph is pulled"
        while True:
            try:
                found = cast("AudioFrame", self._graph.pull()).metadata
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            if "lavfi.r128.I" in found:
                peak = float(found.get("lavfi.r128.sample_peak", "nan"))
                self._last = (float(found["lavfi.r128.I"]), peak)
