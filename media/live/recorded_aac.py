"""The Opus of a recording as AAC-LC: one piece of the work, a task of the media pool.

It reads the stored segments one after the other and holds one at a time, so memory does not depend
on a live's length. Segments are written if absent and the record last: a repeated piece changes
nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator

import av

from media.cmaf import Sample, read_fragment, split_fragments
from media.live.aac_lane import AAC_FORMAT, AAC_FRAME_TICKS
from media.live.fragments import make_audio_init
from media.live.opus_to_aac import OpusToAac
from media.live.recorded_aac_plan import AacJob, AacStretch
from media.vod.frames import DecodeTally
from media.vod.ledger import find_record, keep_record
from media.vod.records import AAC_TRACK, Progress, TaskRecord, TrackRecord
from media.vod.track_writer import MadeSegment, TrackWriter
from storage.objects import ObjectStore

AFTER_TICKS = 4 * AAC_FRAME_TICKS
"""An encoder gives a frame once it has heard a little more."""


def iter_recorded_aac(job: AacJob, store: ObjectStore) -> Generator[Progress, None, TaskRecord]:
    """Store the piece's segments, one Progress each; the record has a track for each stretch."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    init = make_audio_init(0, AAC_FORMAT)
    tally, tracks, made = DecodeTally(), [], 0
    for stretch in job.stretches:
        template = TrackRecord(
            AAC_TRACK, init.codec, stretch.init_name, init.timescale, (), channels=init.channels
        )
        writer = TrackWriter(store, job.video_id, template)
        for segment in _iter_segments(stretch, store, tally):
            writer.add([segment])
            made += 1
            yield Progress(job.task_id, made, job.segments)
        tracks.append(writer.finish(init.data))
    record = TaskRecord(job.task_id, tuple(tracks), decode_errors=tally.errors)
    return keep_record(job.video_id, record, store)


def _iter_segments(
    stretch: AacStretch, store: ObjectStore, tally: DecodeTally
) -> Iterator[MadeSegment]:
    """Whole segments, each as soon as its frames are there."""
    first = stretch.segments[0].start_ticks
    frames = (data for ticks, data in _iter_frames(stretch, store, tally) if ticks >= first)
    for segment in stretch.segments:
        samples = [
            Sample(data, AAC_FRAME_TICKS) for data in itertools.islice(frames, segment.frames)
        ]
        yield MadeSegment(segment.number, segment.start_ticks, samples, is_video=False)


def _iter_frames(
    stretch: AacStretch, store: ObjectStore, tally: DecodeTally
) -> Iterator[tuple[int, bytes]]:
    """All that the stretch's encoder gives, without a hole, up to a little behind its end."""
    encoder = OpusToAac(stretch.start_ticks)
    wanted = (segment.source_key for segment in stretch.segments)
    for key in (*stretch.before, *wanted, *stretch.after):
        for fragment in split_fragments(store.get_sync(key)):
            ticks, samples = read_fragment(fragment)
            for sample in samples:
                try:
                    yield from encoder.add(ticks, sample.duration_ticks, sample.data)
                except (av.FFmpegError, ValueError):
                    tally.errors += 1  # its time is filled with silence
                ticks += sample.duration_ticks
    # What the rows promise and nobody sent is silence, too.
    yield from encoder.fill(stretch.segments[-1].end_ticks + AFTER_TICKS)
    yield from encoder.finish()
