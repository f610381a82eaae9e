"""The work of one media task: some segments of some rungs, or all of the sound.

Plain functions; `media/pool.py` runs them as Ray tasks. Idempotent: numbered segments are written
if absent and the record last, so a repeated task changes nothing. They read the source and write
objects, and know neither jobs nor tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar, cast

from media.vod.encoders import (
    AUDIO_CHANNELS,
    AUDIO_CODEC_NAME,
    AudioEncoder,
    EncodedSegment,
    RungEncoder,
)
from media.vod.frames import DecodeTally, FrameScaler, get_video_stream, iter_grid_frames
from media.vod.ladder import Rung
from media.vod.ledger import find_record, keep_record
from media.vod.plan import AudioJob, ChunkJob
from media.vod.records import (
    AUDIO_RATE_HZ,
    AUDIO_TRACK,
    INIT_NAME,
    Progress,
    SegmentRecord,
    TaskRecord,
    TrackRecord,
    segment_name,
    track_key,
)
from media.vod.sound import SoundLine, iter_sound
from media.vod.source import fetch_source, open_media
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


def iter_chunk(job: ChunkJob, store: ObjectStore) -> Steps[TaskRecord]:
    """`transcode_chunk` step by step: one Progress per segment of all rungs."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    tally = DecodeTally()
    scaler = FrameScaler(job.video, [(rung.width, rung.height) for rung in job.rungs])
    encoders = [RungEncoder(rung, job.grid, job.slots) for rung in job.rungs]
    tracks = [
        _open_picture_track(job, rung, encoder, store)
        for rung, encoder in zip(job.rungs, encoders, strict=True)
    ]
    reported = 0
    with fetch_source(job.source_key, store) as path, open_media(path) as container:
        stream = get_video_stream(container, job.video.stream_index)
        source: VideoFrame | None = None
        scaled: list[VideoFrame] = []
        for slot, frame in iter_grid_frames(container, stream, job.grid, job.slots, tally):
            if frame is not source:
                source, scaled = frame, scaler.scale(frame)
            for encoder, track, picture in zip(encoders, tracks, scaled, strict=True):
                track.store(encoder.encode(picture, slot))
            finished = min(len(track.segments) for track in tracks)
            if finished > reported:
                reported = finished
                yield Progress(job.task_id, finished, job.chunk.segments)
    for encoder, track in zip(encoders, tracks, strict=True):
        track.store(encoder.finish())
    made = tuple(track.record() for track in tracks)
    record = TaskRecord(job.task_id, tracks=made, decode_errors=tally.errors)
    yield Progress(job.task_id, job.chunk.segments, job.chunk.segments)
    return keep_record(job.video_id, record, store)


def iter_audio(job: AudioJob, store: ObjectStore) -> Steps[TaskRecord]:
    """`transcode_audio` step by step: one Progress per segment."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    encoder = AudioEncoder(job.grid.segment_s)
    track = _TrackWriter(
        _Place(store, job.video_id, AUDIO_TRACK),
        TrackRecord(
            track=AUDIO_TRACK,
            codec=AUDIO_CODEC_NAME,
            init_name=INIT_NAME,
            timescale=AUDIO_RATE_HZ,
            segments=(),
            channels=AUDIO_CHANNELS,
        ),
        encoder.init_segment,
    )
    line = SoundLine(round(job.grid.duration_s * AUDIO_RATE_HZ))
    origin_s = Fraction(job.grid.origin_us, 1_000_000)
    with fetch_source(job.source_key, store) as path, open_media(path) as container:
        stream = cast("AudioStream", container.streams[job.audio.stream_index])
        for frame in iter_sound(container, stream, line, origin_s):
            for segment in encoder.encode(frame):
                track.store([segment])
                yield Progress(job.task_id, len(track.segments), job.segments)
            if len(track.segments) == job.segments < job.grid.segments:
                break  # the opening is made; the whole sound repeats its bytes
        else:
            track.store(encoder.finish())
    yield Progress(job.task_id, job.segments, job.segments)
    return keep_record(job.video_id, TaskRecord(job.task_id, (track.record(),)), store)


def _open_picture_track(
    job: ChunkJob, rung: Rung, encoder: RungEncoder, store: ObjectStore
) -> _TrackWriter:
    template = TrackRecord(
        track=rung.name,
        codec=encoder.codec_name,
        init_name=INIT_NAME,
        timescale=job.grid.timescale,
        segments=(),
        width=rung.width,
        height=rung.height,
    )
    return _TrackWriter(_Place(store, job.video_id, rung.name), template, encoder.init_segment)


def _run(steps: Steps[R], on_progress: Callable[[Progress], None] | None) -> R:
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            return cast("R", end.value)
        if on_progress is not None:
            on_progress(progress)


@dataclass(frozen=True)
class _Place:
    """Where a track's objects go."""

    store: ObjectStore
    video_id: str
    track: str

    def key(self, name: str) -> str:
        return track_key(self.video_id, self.track, name)


@dataclass
class _TrackWriter:
    """Stores one track's segments and remembers them for the record."""

    place: _Place
    template: TrackRecord
    init_segment: bytes
    segments: list[SegmentRecord] = field(default_factory=list)

    def store(self, segments: list[EncodedSegment]) -> None:
        """Write segments that are not there yet."""
        for segment in segments:
            key = self.place.key(segment_name(segment.number))
            size_bytes = len(segment.data)
            if not self.place.store.put_sync(key, segment.data, if_absent=True):
                size_bytes = self.place.store.size_bytes_sync(key)
            self.segments.append(
                SegmentRecord(
                    segment.number, segment.start_ticks, segment.duration_ticks, size_bytes
                )
            )

    def record(self) -> TrackRecord:
        """Write the init segment and describe the track."""
        template = self.template
        return TrackRecord(
            track=template.track,
            codec=template.codec,
            init_name=self._store_init(),
            timescale=template.timescale,
            segments=tuple(self.segments),
            width=template.width,
            height=template.height,
            channels=template.channels,
        )

    def _store_init(self) -> str:
        """init.mp4, or a name by content when another build of the encoder wrote another one."""
        store, key = self.place.store, self.place.key(INIT_NAME)
        if store.put_sync(key, self.init_segment, if_absent=True):
            return INIT_NAME
        if store.get_sync(key) == self.init_segment:
            return INIT_NAME
        name = f"init-{hashlib.sha256(self.init_segment).hexdigest()[:8]}.mp4"
        store.put_sync(self.place.key(name), self.init_segment, if_absent=True)
        return name
