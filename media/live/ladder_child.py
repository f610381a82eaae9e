"""The process that makes a live's rungs: decodes its picture once, encodes it smaller.

`ladder_tap.py` starts it, with its niceness as argument. Parts come on standard input as the live
has them and leave on standard output as parts of each rung (`ladder_words.py`): as many, as long,
at the same times, so that playlists of all variants agree. Every picture that was sent has one
here; where one cannot be decoded the one before stands. The end of the input ends the process.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import resource
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO, cast

import av
from av.video.frame import PictureType

from media.cmaf import Sample, build_fragment, read_fragment
from media.live.ladder_words import (
    DRAIN,
    DROP,
    FORMAT,
    HEADER,
    INIT,
    MADE,
    MADE_KEY,
    PART,
    PRIME,
    SIZE,
    STILL,
    Word,
    unpack_format,
)
from media.live.rungs import LiveRung
from media.live.samples import VIDEO_TIMESCALE
from media.live.tap_words import run_child

MEMORY_BYTES_MAX = 3 << 30
GLOBAL_HEADER = 1 << 22
"""AV_CODEC_FLAG_GLOBAL_HEADER: parameter sets stand apart."""
TICK = Fraction(1, VIDEO_TIMESCALE)
DECODERS = {"h264": "h264", "hevc": "hevc", "av1": "libdav1d"}
PRESET = "superfast"
"""In a trial with 480p and 240p of 720p30: 0.17 of a core, ultrafast 0.16, veryfast 0.25."""
QUALITY = 24


class NothingDecodes(Exception):
    """A picture is due before any could be decoded."""


@dataclass
class _Open:
    """A part of the live on its way through."""

    word: Word
    left: int
    """Pictures that are still due."""
    is_heard: bool = True


@dataclass(frozen=True)
class _Slot:
    """Where one picture goes: the next one, in the order of showing, takes the next slot.

    Sorted decode times are never later than sorted presentation times, so a rung without
    B-frames keeps the live's own decode times whatever order the live is coded in.
    """

    part: _Open
    dts: int
    duration: int
    position: int
    begins: bool
    """It is the first of its segment."""


class _Encoder:
    """One rung."""

    def __init__(self, number: int, rung: LiveRung) -> None:
        self.number, self.rung = number, rung
        self.samples: list[Sample] = []
        codec = self._codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = rung.width, rung.height, "yuv420p"
        codec.time_base, codec.framerate = TICK, Fraction(30)
        codec.flags |= GLOBAL_HEADER
        codec.thread_count = 1
        level = f"{rung.level // 10}.{rung.level % 10}"
        codec.options = {
            "preset": PRESET,
            "tune": "zerolatency",
            "profile": "main",
            "level": level,
            "crf": str(QUALITY),
            "maxrate": str(rung.bitrate_bps),
            "bufsize": str(rung.bitrate_bps),
            "x264-params": "annexb=0:scenecut=0:bframes=0:keyint=infinite",
        }
        codec.open()
        self._last_pts: int | None = None
        self.init = Word(INIT, number).pack(
            SIZE.pack(rung.width, rung.height) + bytes(codec.extradata or b"")
        )

    def shrink(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the picture in this rung's size."""
        return frame.reformat(
            self.rung.width, self.rung.height, "yuv420p", interpolation="FAST_BILINEAR"
        )

    def encode(self, frame: av.VideoFrame, slot: _Slot, pts: int, duration: int) -> None:
        """Add a picture to the open part."""
        is_key = slot.begins or self._last_pts is None
        shown = pts if self._last_pts is None else max(pts, self._last_pts + 1)
        self._last_pts = frame.pts = shown
        frame.time_base = TICK
        frame.pict_type = PictureType.I if is_key else PictureType.NONE
        (packet,) = self._codec.encode(frame)
        offset = max(0, pts - slot.dts)
        self.samples.append(Sample(bytes(packet), duration, offset, packet.is_keyframe))


@dataclass
class Ladder:
    """All that one live's process knows; `answers` is what it says next."""

    answers: list[bytes] = field(default_factory=list)
    blank: av.VideoFrame | None = None
    """Stands until a picture could be decoded; without one NothingDecodes ends the work."""

    def __post_init__(self) -> None:
        self._encoders: dict[int, _Encoder] = {}
        self._decoder: av.VideoCodecContext | None = None
        self._config = b""
        self._slots: deque[_Slot] = deque()
        self._owed: list[int] = []
        """A heap: when the pictures inside the decoder are shown."""
        self._last: av.VideoFrame | None = None
        self._offset = 0
        """How much later than decoded the newest picture was shown."""
        self._fragments = 0
        self._segment = -1

    def take(self, word: Word, body: bytes) -> None:
        """Do what an order says."""
        if word.kind == FORMAT:
            self._set_format(body)
        elif word.kind in (PART, PRIME):
            self._add_part(word, body)
        elif word.kind == STILL:
            self._drain()
            part = _Open(word, 1)
            self._slots.append(_Slot(part, word.ticks, word.duration, 0, self._begins(word)))
            self._show(self._last, word.ticks + self._offset)
        elif word.kind == DROP:
            self._encoders.pop(word.rung, None)
        elif word.kind == DRAIN:
            self._drain()

    # Within

    def _set_format(self, body: bytes) -> None:
        rungs, codec, config = unpack_format(body)
        self._drain()
        for number, rung in rungs:
            known = self._encoders.get(number)
            if known is None or known.rung != rung:
                self._encoders[number] = encoder = _Encoder(number, rung)
                self.answers.append(encoder.init)
        self._encoders = dict(sorted(self._encoders.items()))  # the largest has the least number
        if config != self._config or self._decoder is None:
            self._config = config
            self._decoder = cast(
                "av.VideoCodecContext", av.CodecContext.create(DECODERS[codec], "r")
            )
            self._decoder.extradata = config
            self._decoder.thread_count = 1

    def _begins(self, word: Word) -> bool:
        begins, self._segment = word.number != self._segment, word.number
        return begins

    def _add_part(self, word: Word, body: bytes) -> None:
        assert self._decoder is not None, "FORMAT comes first"
        ticks, samples = read_fragment(body)
        if samples[0].is_key:
            self._drain()  # what follows needs nothing of what was before
        begins = self._begins(word)
        part = _Open(word, len(samples), is_heard=word.kind == PART)
        at = ticks
        for position, sample in enumerate(samples):
            first = begins and position == 0
            self._slots.append(_Slot(part, at, sample.duration_ticks, position, first))
            heapq.heappush(self._owed, at + sample.cts_offset_ticks)
            at += sample.duration_ticks
        at = ticks
        for sample in samples:
            packet = av.Packet(sample.data)
            packet.dts, packet.pts, packet.time_base = at, at + sample.cts_offset_ticks, TICK
            at += sample.duration_ticks
            for frame in self._decode(packet):
                self._receive(frame)

    def _decode(self, packet: av.Packet | None) -> Iterator[av.VideoFrame]:
        assert self._decoder is not None, "FORMAT comes first"
        with contextlib.suppress(av.FFmpegError):  # what it does not give is stood in for
            yield from self._decoder.decode(packet)

    def _receive(self, frame: av.VideoFrame) -> None:
        """Put a decoded picture in its slot; those that are missing before it are stood in for."""
        pts = frame.pts
        if pts is None or not self._owed or pts < self._owed[0]:
            return  # its place was taken
        while self._owed and self._owed[0] < pts:
            self._show(self._last or frame, heapq.heappop(self._owed))
        if self._owed and self._owed[0] == pts:
            heapq.heappop(self._owed)
            self._last = frame
            self._show(frame, pts)

    def _drain(self) -> None:
        """Have out what the decoder keeps; what it does not give is stood in for."""
        if self._decoder is None:
            return
        if self._owed:
            for frame in self._decode(None):
                self._receive(frame)
        self._decoder.flush_buffers()
        while self._owed:
            self._show(self._last, heapq.heappop(self._owed))

    def _show(self, frame: av.VideoFrame | None, pts: int) -> None:
        """Encode a picture for the next slot."""
        frame = frame or self.blank
        if frame is None:
            raise NothingDecodes
        slot = self._slots.popleft()
        self._offset = max(0, pts - slot.dts)
        if slot.part.is_heard:
            shown = frame
            for encoder in self._encoders.values():
                if slot.position % encoder.rung.every == 0:
                    shown = encoder.shrink(shown)  # the largest comes first
                    encoder.encode(shown, slot, pts, self._measure(slot, encoder.rung.every))
        slot.part.left -= 1
        if slot.part.left == 0:
            self._finish(slot.part)

    def _measure(self, slot: _Slot, every: int) -> int:
        """How long a picture stands that takes the place of the next ones of its part, too."""
        following = itertools.islice(self._slots, every - 1)
        return slot.duration + sum(s.duration for s in following if s.part is slot.part)

    def _finish(self, part: _Open) -> None:
        if not part.is_heard:
            return
        self._fragments += 1
        for encoder in self._encoders.values():
            self.answers.append(self._build(encoder, part.word))
            encoder.samples = []

    def _build(self, encoder: _Encoder, word: Word) -> bytes:
        samples = encoder.samples
        data = build_fragment(samples, number=self._fragments, base_ticks=word.ticks, is_video=True)
        later_bytes = sum(len(sample.data) for sample in samples[1:])
        made = Word(
            MADE_KEY if any(sample.is_key for sample in samples) else MADE,
            encoder.number,
            word.number,
            word.position,
            word.ticks,
            sum(sample.duration_ticks for sample in samples),
            len(samples),
            len(data) - later_bytes if samples[0].is_key else 0,
        )
        return made.pack(data)


def serve(orders: BinaryIO, answers: BinaryIO) -> None:
    """Work until the input ends."""
    ladder = Ladder()
    while len(header := orders.read(HEADER.size)) == HEADER.size:
        *fields, size = HEADER.unpack(header)
        ladder.take(Word(*fields), orders.read(size))
        for answer in ladder.answers:
            answers.write(answer)
        ladder.answers.clear()
        answers.flush()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    run_child(serve, int(sys.argv[1]))
