"""The picture of a recording in smaller sizes: one piece of the work, a task of the media pool.

What makes a live's rungs (`ladder_child.py`) makes these, too, of the stored segments, of which it
holds one at a time: memory does not depend on a live's length. Segments are written if absent and
the record last, so a repeated piece changes nothing.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import replace

import av
import numpy as np

from media.cmaf import Sample, read_fragment, read_video_config, split_fragments
from media.live.fragments import InitSegment, make_video_init
from media.live.ladder_child import Ladder
from media.live.ladder_words import (
    DRAIN,
    FORMAT,
    HEADER,
    INIT,
    PART,
    PRIME,
    SIZE,
    Word,
    pack_format,
)
from media.live.recorded_rungs_plan import RungSegment, RungsJob, RungSource, RungStretch
from media.live.rungs import LiveRung, SourceShape, build_rung
from media.live.samples import VIDEO_TIMESCALE, VideoFormat
from media.vod.ledger import find_record, keep_record
from media.vod.records import Progress, TaskRecord, TrackRecord
from media.vod.track_writer import MadeSegment, TrackWriter
from storage.objects import ObjectStore

BLACK_SIDE = 16


def iter_recorded_rungs(job: RungsJob, store: ObjectStore) -> Generator[Progress, None, TaskRecord]:
    """Store the piece's segments, one Progress each; the record has a track per stretch and rung.

    Pictures that cannot be decoded are the one before; black where there was none.
    """
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    tracks, made = list[TrackRecord](), 0
    for stretch in job.stretches:
        maker = _StretchMaker(job, stretch, store)
        for _segment in maker.iter_primed():
            yield Progress(job.task_id, made, job.segments)
        for _segment in maker.iter_made():
            made += 1
            yield Progress(job.task_id, made, job.segments)
        tracks += maker.finish()
    return keep_record(job.video_id, TaskRecord(job.task_id, tuple(tracks)), store)


class _StretchMaker:
    """Segments of one part, in every rung."""

    def __init__(self, job: RungsJob, stretch: RungStretch, store: ObjectStore) -> None:
        self._stretch, self._store = stretch, store
        shape = _measure_shape(stretch.source, store)
        rungs = [build_rung(side, shape) for side in job.short_sides]
        self._ladder = Ladder(blank=_make_black())
        init = store.get_sync(stretch.source.init_key)
        codec, config = read_video_config(init)
        self._ladder.take(Word(FORMAT), pack_format(list(enumerate(rungs)), codec, config))
        self._inits: list[InitSegment] = []
        for word, body in self._take_answers():
            assert word.kind == INIT, "nothing else is said before a picture came"
            width, height = SIZE.unpack_from(body)
            self._inits.append(make_video_init(0, VideoFormat(width, height, body[SIZE.size :])))
        self._writers = [
            TrackWriter(store, job.video_id, _describe(rung, init, stretch.init_name))
            for rung, init in zip(rungs, self._inits, strict=True)
        ]
        self._open: deque[tuple[RungSegment, int]] = deque()
        """Segments on their way, and how many parts each has."""
        self._parts: dict[int, list[list[list[Sample]]]] = {}
        """What came of each: by rung the samples of its parts."""

    def iter_primed(self) -> Iterator[RungSegment]:
        """Decode what lies between the keyframe and the first segment."""
        for segment in self._stretch.before:
            for position, (fragment, _samples) in enumerate(self._read(segment)):
                self._ladder.take(Word(PRIME, 0, segment.number, position), fragment)
            yield segment

    def iter_made(self) -> Iterator[RungSegment]:
        """Write the segments, each as soon as all its pictures are there; after `iter_primed`."""
        for segment in self._stretch.segments:
            found = self._read(segment)
            self._open.append((segment, len(found)))
            self._parts[segment.number] = [[] for _rung in self._writers]
            ticks = segment.start_ticks
            for position, (fragment, samples) in enumerate(found):
                length = sum(sample.duration_ticks for sample in samples)
                word = Word(PART, 0, segment.number, position, ticks, length, len(samples))
                self._ladder.take(word, fragment)
                ticks += length
            yield from self._write_whole()
        self._ladder.take(Word(DRAIN), b"")
        yield from self._write_whole()
        assert not self._open, "a drained ladder has answered for every picture"

    def finish(self) -> list[TrackRecord]:
        """Write how each rung is decoded; return what was made of it."""
        tracks = []
        for writer, init in zip(self._writers, self._inits, strict=True):
            track = writer.finish(init.data)
            # Another build of the encoder made the rest of the part: they cannot be one.
            assert track.init_name == self._stretch.init_name, "parameter sets differ within a part"
            tracks.append(track)
        return tracks

    def _read(self, segment: RungSegment) -> list[tuple[bytes, list[Sample]]]:
        fragments = split_fragments(self._store.get_sync(segment.source_key))
        return [(fragment, read_fragment(fragment)[1]) for fragment in fragments]

    def _take_answers(self) -> Iterator[tuple[Word, bytes]]:
        answers, self._ladder.answers = self._ladder.answers, []
        for answer in answers:
            *fields, _size = HEADER.unpack_from(answer)
            yield Word(*fields), answer[HEADER.size :]

    def _write_whole(self) -> Iterator[RungSegment]:
        for word, body in self._take_answers():
            self._parts[word.number][word.rung].append(read_fragment(body)[1])
        while self._open:
            segment, count = self._open[0]
            rungs = self._parts[segment.number]
            if any(len(parts) < count for parts in rungs):
                return
            self._open.popleft()
            del self._parts[segment.number]
            for writer, parts in zip(self._writers, rungs, strict=True):
                writer.add([_join(segment, [sample for part in parts for sample in part])])
            yield segment


def _join(segment: RungSegment, samples: list[Sample]) -> MadeSegment:
    """A segment as long as its row says, where bytes are missing, too: its last picture stands."""
    missing = segment.duration_ticks - sum(sample.duration_ticks for sample in samples)
    last = samples[-1]
    samples[-1] = replace(last, duration_ticks=max(1, last.duration_ticks + missing))
    return MadeSegment(segment.number, segment.start_ticks, samples, is_video=True)


def _describe(rung: LiveRung, init: InitSegment, init_name: str) -> TrackRecord:
    size = {"width": rung.width, "height": rung.height}
    return TrackRecord(rung.name, init.codec, init_name, VIDEO_TIMESCALE, (), **size)


def _measure_shape(source: RungSource, store: ObjectStore) -> SourceShape:
    """Look at how many pictures a few segments have: their rows do not say."""
    rates = []
    for segment in source.looked_at:
        fragments = split_fragments(store.get_sync(segment.source_key))
        pictures = sum(len(read_fragment(fragment)[1]) for fragment in fragments)
        rates.append(pictures * VIDEO_TIMESCALE / max(1, segment.duration_ticks))
    return SourceShape(source.width, source.height, statistics.median(rates), source.bitrate_bps)


def _make_black() -> av.VideoFrame:
    luma = np.full((BLACK_SIDE, BLACK_SIDE), 16, np.uint8)
    chroma = np.full((BLACK_SIDE // 2, BLACK_SIDE), 128, np.uint8)
    return av.VideoFrame.from_ndarray(np.concatenate([luma, chroma]), format="yuv420p")
