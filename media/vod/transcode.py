"""The work of one media task: some segments of some rungs, or all of the sound.

Plain functions; `media/pool.py` runs them as Ray tasks. Idempotent: numbered segments are written
if absent and the record last, so a repeated task changes nothing. They read the source and write
objects, and know neither jobs nor tables.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar, cast

from media.cenc import ContentKey, TrackCipher
from media.vod.checkpoints import Checkpoints
from media.vod.chunk_steps import ChunkParts, MadePart, StepPart
from media.vod.copying import build_inits, describe_copies, iter_first_cuts, open_cutters
from media.vod.ladder import Rung
from media.vod.ledger import find_record, keep_record
from media.vod.loudness import find_gain_db
from media.vod.protection import open_key
from media.vod.records import (
    AUDIO_RATE_HZ,
    INIT_NAME,
    Progress,
    TaskRecord,
    TrackRecord,
)
from media.vod.rung_tracks import RungTrack
from media.vod.sound import SoundLine, iter_sound
from media.vod.sound_encoders import AUDIO_CHANNELS, SOUND_CODECS, AudioEncoder, SoundStep
from media.vod.source import fetch_source, open_media
from media.vod.task_jobs import AudioJob, ChunkJob, CopyJob
from media.vod.track_writer import WRITES_MAX, MadeSegment, TrackWriter
from storage.objects import ObjectStore

if TYPE_CHECKING:
    from pathlib import Path

    from av.audio.stream import AudioStream

R = TypeVar("R")
Steps = Generator[Progress, None, R]
"""Work that reports what is done and ends with its result."""


def transcode_chunk(
    job: ChunkJob, store: ObjectStore, on_progress: Callable[[Progress], None] | None = None
) -> TaskRecord:
    """Make a chunk's segments; raises MediaUnreadable when nothing of it can be decoded."""
    return _run(iter_chunk(job, store), on_progress)


def transcode_audio(
    job: AudioJob, store: ObjectStore, on_progress: Callable[[Progress], None] | None = None
) -> TaskRecord:
    """Make the sound's segments, as long as the picture."""
    return _run(iter_audio(job, store), on_progress)


def copy_source(
    job: CopyJob, store: ObjectStore, on_progress: Callable[[Progress], None] | None = None
) -> TaskRecord:
    """Pass on the source's own picture, perhaps with its sound."""
    return _run(iter_copy(job, store), on_progress)


def iter_chunk(job: ChunkJob, store: ObjectStore) -> Steps[TaskRecord]:
    """`transcode_chunk` step by step, going on behind the last one that an attempt kept."""
    kept = Checkpoints(store, job.video_id, job.task_id)
    done = find_record(job.video_id, job.task_id, store)
    if done is None:
        done = yield from _make_chunk(job, store)
    kept.drop()
    return done


def _make_chunk(job: ChunkJob, store: ObjectStore) -> Steps[TaskRecord]:
    key = open_key(job.key_id)
    tracks = [
        RungTrack(job.grid, job.slots, _open_track(store, job, _describe_rung(job, rung), key))
        for rung in job.rungs
    ]
    parts, errors = ChunkParts(job, store), 0
    for part, made in parts.iter_kept():
        errors += made.decode_errors
        _add_part(tracks, part, made)
    if 0 < parts.done < parts.total:
        yield Progress(job.task_id, parts.done, parts.total)
    for part, made in parts.iter_new():
        errors += made.decode_errors
        _add_part(tracks, part, made)
        yield Progress(job.task_id, parts.done, parts.total)
    record = TaskRecord(
        job.task_id, tracks=tuple(track.finish() for track in tracks), decode_errors=errors
    )
    return keep_record(job.video_id, record, store)


def _add_part(tracks: Sequence[RungTrack], part: StepPart, made: MadePart) -> None:
    for place, step in zip(part.rungs, made.rungs, strict=True):
        tracks[place].add(part.slots, step)


def iter_audio(job: AudioJob, store: ObjectStore) -> Steps[TaskRecord]:
    """`transcode_audio` step by step: one Progress per segment.

    Tasks for a sound's beginning keep their steps for the task that makes all of it.
    """
    kept = Checkpoints(store, job.video_id, job.track)
    done = find_record(job.video_id, job.task_id, store)
    if done is None:
        done = yield from _make_sound(job, store, kept)
    if job.segments == job.grid.segments:
        kept.drop()
    return done


def _make_sound(job: AudioJob, store: ObjectStore, kept: Checkpoints) -> Steps[TaskRecord]:
    kind = SOUND_CODECS[job.codec]
    encoder = AudioEncoder(job.grid.segment_s, kind, kept.keep)
    template = TrackRecord(
        track=job.track,
        codec=kind.name,
        init_name=INIT_NAME,
        timescale=AUDIO_RATE_HZ,
        segments=(),
        channels=AUDIO_CHANNELS,
    )
    track = _open_track(store, job, template, open_key(job.key_id))
    with fetch_source(job.source_key, store) as path:
        gain_db = find_gain_db(job, path, store) if job.evens_loudness else 0.0
        if job.only_uneven and gain_db == 0:
            return keep_record(job.video_id, TaskRecord(job.task_id), store)
        for segment in _iter_sound_segments(job, path, encoder, kept, gain_db):
            track.add([segment])
            yield Progress(job.task_id, len(track.segments), job.segments)
            if len(track.segments) == job.segments < job.grid.segments:
                break  # the opening is made; the whole sound repeats its bytes
    made = track.finish(encoder.init_segment)
    return keep_record(job.video_id, TaskRecord(job.task_id, (made,), gain_db=gain_db), store)


def _iter_sound_segments(
    job: AudioJob, path: Path, encoder: AudioEncoder, kept: Checkpoints, gain_db: float
) -> Iterator[MadeSegment]:
    """Segments of kept steps, then those that are encoded; all is decoded from the beginning."""
    yield from encoder.resume(_iter_kept(kept))
    line = SoundLine(round(job.grid.duration_s * AUDIO_RATE_HZ), gain_db)
    origin_s = Fraction(job.grid.origin_us, 1_000_000)
    with open_media(path) as container:
        stream = cast("AudioStream", container.streams[job.audio.stream_index])
        for frame in iter_sound(container, stream, line, origin_s):
            yield from encoder.encode(frame)
    yield from encoder.finish()


def _iter_kept(kept: Checkpoints) -> Iterator[SoundStep]:
    for number in itertools.count():
        step = kept.find(number, SoundStep)
        if step is None:
            return
        yield step


def iter_copy(job: CopyJob, store: ObjectStore) -> Steps[TaskRecord]:
    """Pass on the source's own picture, and its sound where the plan says so; decodes nothing."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    origin_s = Fraction(job.grid.origin_us, 1_000_000)
    with (
        fetch_source(job.source_key, store) as path,
        open_media(path) as container,
        ThreadPoolExecutor(WRITES_MAX, "copy-writes") as threads,
    ):
        cutters = open_cutters(container, job, origin_s)
        tracks = [
            TrackWriter(store, job.video_id, template, threads=threads)
            for template in describe_copies(cutters, job)
        ]
        total = min(job.grid.segments, job.segments_max or job.grid.segments)
        reported = 0
        for place, cut in iter_first_cuts(container, cutters, job.segments_max):
            is_video = place == 0
            tracks[place].add(
                [MadeSegment(cut.number, cut.start_ticks, cut.samples, is_video=is_video)]
            )
            if len(tracks[0].segments) > reported:
                reported = len(tracks[0].segments)
                yield Progress(job.task_id, min(reported, total), total)
        made = tuple(
            track.finish(init)
            for track, init in zip(tracks, build_inits(cutters, job.video, job.audio), strict=True)
        )
    yield Progress(job.task_id, total, total)
    return keep_record(job.video_id, TaskRecord(job.task_id, made), store)


def _open_track(
    store: ObjectStore, job: ChunkJob | AudioJob, template: TrackRecord, key: ContentKey | None
) -> TrackWriter:
    cipher = None if key is None else TrackCipher(key, template.track)
    return TrackWriter(store, job.video_id, template, cipher)


def _describe_rung(job: ChunkJob, rung: Rung) -> TrackRecord:
    """The record of a track whose codec's name comes with its last segment."""
    return TrackRecord(
        track=rung.name,
        codec="",
        init_name=INIT_NAME,
        timescale=job.grid.timescale,
        segments=(),
        width=rung.width,
        height=rung.height,
    )


def _run(steps: Steps[R], on_progress: Callable[[Progress], None] | None) -> R:
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            return cast("R", end.value)
        if on_progress is not None:
            on_progress(progress)
