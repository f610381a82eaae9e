"""A live's sound once more as AAC, under the same segment numbers, for players without Opus.

The edge makes one per live that is asked for it. It follows the window of the live, hands what is
there to the tap, and fills a window of its own with what comes back. Nothing here waits; bytes of
the last segments alone are kept.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from media.cmaf import Sample, build_fragment, read_fragment
from media.live.fragments import AUDIO, PART_MIN_S, Part, SegmentHead, make_audio_init
from media.live.packets import OPUS_FORMAT
from media.live.playlists import LivePlaylists
from media.live.samples import AudioFormat, AudioSample
from media.live.sound_tap import SoundCall
from media.live.window import Entry, LiveWindow

AAC_RATE_HZ = 48_000
AAC_FRAME_TICKS = 1024
AAC_FORMAT = AudioFormat("aac", AAC_RATE_HZ, 2, bytes.fromhex("1190"), b"", AAC_FRAME_TICKS)
"""AAC-LC, 48,000 Hz, two channels (AudioSpecificConfig, ISO/IEC 14496-3 §1.6.2.1)."""
LISTED_MAX = 36
"""About seventy seconds: so far back can one seek with AAC."""
JOIN_MAX_S = 0.1
"""Segments further apart than this do not belong to one stretch of sound."""


class Tap(Protocol):
    """What of `media.live.sound_tap.SoundTap` is used."""

    def open(self, form: AudioFormat, call: SoundCall) -> int:
        """Begin a stream."""
        ...

    def push(self, number: int, sample: AudioSample) -> None:
        """Hand a frame over."""
        ...

    def finish(self, number: int) -> None:
        """End a stream; its last packets are heard."""
        ...

    def end(self, number: int) -> None:
        """End a stream at once."""
        ...


@dataclass
class _Stretch:
    """Sound without a discontinuity: one stream of the tap, and the segments it falls into."""

    stream: int = 0
    heads: deque[SegmentHead] = field(default_factory=deque)
    end_ticks: int = 0
    is_finished: bool = False
    """Nothing more is handed over."""
    is_heard: bool = False
    """All of it came back."""


class AacLane:
    """One live's AAC; `folder` tells its segments from those of any other lane, ever."""

    def __init__(
        self, source: LiveWindow, tap: Tap, folder: str, on_change: Callable[[], None]
    ) -> None:
        self.window = LiveWindow(source.epoch_at, on_change, listed_max=LISTED_MAX)
        self.playlists = LivePlaylists(self.window, beside=source)
        self._source = source
        self._tap = tap
        self._folder = folder
        self._init = make_audio_init(0, AAC_FORMAT)
        self._next, self._part = self._choose_first(), 0
        """The segment, and its part, that the tap gets next."""
        self._stretch: _Stretch | None = None
        self._open: _Stretch | None = None
        """Whose segment is open in our window."""
        self._samples: list[Sample] = []
        self._part_ticks = self._end_ticks = 0
        self._fragments = 0
        self._is_over = False

    def follow(self) -> None:
        """Hand over what the live has got since the last time."""
        while (entry := self._source.find_entry(AUDIO, self._next)) is not None:
            self._follow(entry)
            if not entry.is_whole:
                return
            self._next, self._part = self._next + 1, 0
        if self._source.is_ended and not self._is_over:
            self._is_over = True
            self._finish_stretch()
            if self._stretch is None or self._stretch.is_heard:
                self.window.end()

    def close(self) -> None:
        """Let the tap's stream go."""
        if self._stretch is not None:
            self._tap.end(self._stretch.stream)

    # To the tap

    def _choose_first(self) -> int:
        """Return the oldest segment whose bytes, and those of all after it, are in memory."""
        first, _parts = self._source.get_edge(AUDIO)
        while (before := self._source.find_entry(AUDIO, first - 1)) is not None and before.parts:
            first -= 1
        marks = [e for e in self._source.list_entries(AUDIO) if e.is_discontinuous]
        dropped = self._source.dropped_discontinuities[AUDIO]
        self.window.dropped_discontinuities[AUDIO] = dropped + sum(m.number <= first for m in marks)
        return max(0, first)

    def _follow(self, entry: Entry) -> None:
        if entry.init.codec != OPUS_FORMAT.codec_name:
            self._finish_stretch()  # the publisher's sound is AAC by now, and needs none of ours
            return
        if entry.is_gap or not entry.parts:
            return
        if self._part == 0:
            self._enter(entry)
        assert self._stretch is not None, "entered with the segment's first part"
        for part in entry.parts[self._part :]:
            ticks, samples = read_fragment(part.data)
            for sample in samples:
                frame = AudioSample(OPUS_FORMAT, sample.data, ticks, sample.duration_ticks)
                self._tap.push(self._stretch.stream, frame)
                ticks += sample.duration_ticks
            self._stretch.end_ticks = ticks
            self._part += 1

    def _enter(self, entry: Entry) -> None:
        """A segment begins: in the stretch that runs, or in one of its own."""
        stretch = self._stretch
        head = SegmentHead(
            entry.number, self._init, entry.start_ticks, entry.is_discontinuous, entry.is_slate
        )
        if stretch is not None:
            apart = abs(entry.start_ticks - stretch.end_ticks)
            is_near = not entry.is_discontinuous and apart <= JOIN_MAX_S * AAC_RATE_HZ
            if is_near and not stretch.is_finished:
                stretch.heads.append(head)
                return
            self._finish_stretch()
        fresh = self._stretch = _Stretch(heads=deque([head]))
        hear = functools.partial(self._hear, fresh)
        fresh.stream = self._tap.open(OPUS_FORMAT, hear)

    def _finish_stretch(self) -> None:
        if self._stretch is not None and not self._stretch.is_finished:
            self._stretch.is_finished = True
            self._tap.finish(self._stretch.stream)

    # From the tap

    def _hear(self, stretch: _Stretch, ticks: int, packet: bytes) -> None:
        """Take a frame; an empty one says that the stretch is over."""
        if not packet:
            self._end_stretch(stretch)
            return
        if self._open is not stretch:
            self._end_segment()
        while stretch.heads and (self._open is None or ticks >= stretch.heads[0].start_ticks):
            self._end_segment()
            self._begin_segment(stretch, ticks)
        if self._open is None:
            return  # its segment was told of already
        if ticks != self._end_ticks or ticks - self._part_ticks >= PART_MIN_S * AAC_RATE_HZ:
            self._flush()
            self._part_ticks = ticks
        self._samples.append(Sample(packet, AAC_FRAME_TICKS))
        self._end_ticks = ticks + AAC_FRAME_TICKS

    def _end_stretch(self, stretch: _Stretch) -> None:
        if self._open is stretch:
            self._end_segment()
        stretch.is_heard = True
        if self._is_over and stretch is self._stretch:
            self.window.end()

    def _begin_segment(self, stretch: _Stretch, ticks: int) -> None:
        head = stretch.heads.popleft()
        self._list_missing(head)
        start = SegmentHead(head.number, self._init, ticks, head.is_discontinuous, head.is_slate)
        self.window.open_entry(AUDIO, start, self._folder)
        self._open = stretch
        self._part_ticks = self._end_ticks = ticks

    def _list_missing(self, head: SegmentHead) -> None:
        """List gaps in the place of segments that the live could not give."""
        last = self.window.get_last(AUDIO)
        numbers = () if last is None else range(last.number + 1, head.number)
        for number in numbers:
            known = self._source.find_entry(AUDIO, number)
            assert known is not None, "the live has passed it"
            gap = Entry(number, self._folder, self._init, known.start_ticks, known.is_discontinuous)
            gap.duration_ticks = known.duration_ticks
            gap.is_whole = gap.is_gap = True
            self.window.add_stored(AUDIO, gap)

    def _end_segment(self) -> None:
        if self._open is None:
            return
        self._flush()
        entry = self.window.get_last(AUDIO)
        assert entry is not None, "one is open"
        entry.is_gap = not entry.parts  # shorter than a frame
        self.window.end_entry(AUDIO)
        self._open = None

    def _flush(self) -> None:
        if not self._samples:
            return
        self._fragments += 1
        duration_ticks = len(self._samples) * AAC_FRAME_TICKS
        data = build_fragment(
            self._samples, number=self._fragments, base_ticks=self._part_ticks, is_video=False
        )
        self._samples = []
        self.window.add_part(AUDIO, Part(data, duration_ticks, is_independent=True))
