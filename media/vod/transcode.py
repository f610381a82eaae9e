"""The work of one media task: some segments of some rungs, or all of the sound.

Plain functions; `media/pool.py` runs them as Ray tasks. Idempotent: numbered segments are written
if absent and the record last, so a repeated task changes nothing. They read the source and write
objects, and know neither jobs nor tables.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar, cast

from media.vod.copying import build_inits, describe_copies, iter_first_cuts, open_cutters
from media.vod.encoders import (
    AUDIO_CHANNELS,
    SOUND_CODECS,
    AudioEncoder,
    RungEncoder,
)
from media.vod.frames import DecodeTally, FrameScaler, get_video_stream, iter_grid_frames
from media.vod.ladder import Rung
from media.vod.ledger import find_record, keep_record
from media.vod.loudness import find_gain_db
from media.vod.records import (
    AUDIO_RATE_HZ,
    INIT_NAME,
    Progress,
    TaskRecord,
    TrackRecord,
)
from media.vod.sound import SoundLine, iter_sound
from media.vod.source import fetch_source, open_media
from media.vod.task_jobs import AudioJob, ChunkJob, CopyJob
from media.vod.track_writer import TrackWriter, make_segment
from storage.objects import ObjectStore

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.video.frame import VideoFrame

R = TypeVar("R")
Steps = Generator[Progress, None, R]
"""Work that reports each finished segment and ends with its result."""


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
    """`transcode_chunk` step by step: one Progress per segment of all rungs."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    tally = DecodeTally()
    scaler = FrameScaler(job.video, [(rung.width, rung.height) for rung in job.rungs])
    encoders = [RungEncoder(rung, job.grid, job.slots) for rung in job.rungs]
    tracks = [TrackWriter(store, job.video_id, _describe_rung(job, rung)) for rung in job.rungs]
    reported = 0
    with fetch_source(job.source_key, store) as path, open_media(path) as container:
        stream = get_video_stream(container, job.video.stream_index)
        source: VideoFrame | None = None
        scaled: list[VideoFrame] = []
        for slot, frame in iter_grid_frames(container, stream, job.grid, job.slots, tally):
            if frame is not source:
                source, scaled = frame, scaler.scale(frame)
            for encoder, track, picture in zip(encoders, tracks, scaled, strict=True):
                track.add(encoder.encode(picture, slot))
            finished = min(len(track.segments) for track in tracks)
            if finished > reported:
                reported = finished
                yield Progress(job.task_id, finished, job.chunk.segments)
    for encoder, track in zip(encoders, tracks, strict=True):
        track.add(encoder.finish())
    made = []
    for encoder, track in zip(encoders, tracks, strict=True):
        codec, init_segment = encoder.describe()
        made.append(track.finish(init_segment, codec))
    record = TaskRecord(job.task_id, tracks=tuple(made), decode_errors=tally.errors)
    yield Progress(job.task_id, job.chunk.segments, job.chunk.segments)
    return keep_record(job.video_id, record, store)


def iter_audio(job: AudioJob, store: ObjectStore) -> Steps[TaskRecord]:
    """`transcode_audio` step by step: one Progress per segment."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    kind = SOUND_CODECS[job.codec]
    encoder = AudioEncoder(job.grid.segment_s, kind)
    template = TrackRecord(
        track=job.track,
        codec=kind.name,
        init_name=INIT_NAME,
        timescale=AUDIO_RATE_HZ,
        segments=(),
        channels=AUDIO_CHANNELS,
    )
    track = TrackWriter(store, job.video_id, template)
    origin_s = Fraction(job.grid.origin_us, 1_000_000)
    with fetch_source(job.source_key, store) as path, open_media(path) as container:
        gain_db = find_gain_db(job, path, store) if job.evens_loudness else 0.0
        line = SoundLine(round(job.grid.duration_s * AUDIO_RATE_HZ), gain_db)
        stream = cast("AudioStream", container.streams[job.audio.stream_index])
        for frame in iter_sound(container, stream, line, origin_s):
            for segment in encoder.encode(frame):
                track.add([segment])
                yield Progress(job.task_id, len(track.segments), job.segments)
            if len(track.segments) == job.segments < job.grid.segments:
                break  # the opening is made; the whole sound repeats its bytes
        else:
            track.add(encoder.finish())
    yield Progress(job.task_id, job.segments, job.segments)
    made = track.finish(encoder.init_segment)
    return keep_record(job.video_id, TaskRecord(job.task_id, (made,), gain_db=gain_db), store)


def iter_copy(job: CopyJob, store: ObjectStore) -> Steps[TaskRecord]:
    """Pass on the source's own picture, and its sound where the plan says so; decodes nothing."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    origin_s = Fraction(job.grid.origin_us, 1_000_000)
    with fetch_source(job.source_key, store) as path, open_media(path) as container:
        cutters = open_cutters(container, job.video, job.audio, origin_s)
        tracks = [
            TrackWriter(store, job.video_id, template) for template in describe_copies(cutters, job)
        ]
        total = min(job.grid.segments, job.segments_max or job.grid.segments)
        reported = 0
        for place, cut in iter_first_cuts(container, cutters, job.segments_max):
            is_video = place == 0
            tracks[place].add(
                [make_segment(cut.number, cut.start_ticks, cut.samples, is_video=is_video)]
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
