"""What a sound without a picture shows: its waveform, and the cover its file carries.

Tasks of the media pool. The waveform decodes all of the sound once (about 1 s for ten minutes); its
peaks travel in the task's record, as they are few.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av.error
import numpy as np

from media.vod.ladder import fit_inside
from media.vod.ledger import find_record, keep_record
from media.vod.records import AUDIO_RATE_HZ, TaskRecord, thumbnail_key
from media.vod.sound import SoundLine, iter_sound
from media.vod.source import fetch_source, limit_decoder, open_media
from media.vod.task_jobs import AudioJob, CoverJob
from media.vod.thumbnails import LONG_SIDE_MAX, encode_jpeg
from storage.objects import ObjectStore

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.video.stream import VideoStream

PEAKS_MAX = 800
PEAK_FULL = 100


def make_waveform(job: AudioJob, store: ObjectStore) -> TaskRecord:
    """Measure the loudest of each piece of the sound."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    line = SoundLine(round(job.grid.duration_s * AUDIO_RATE_HZ))
    origin_s = Fraction(job.grid.origin_us, 1_000_000)
    with fetch_source(job.source_key, store) as path, open_media(path) as container:
        stream = cast("AudioStream", container.streams[job.audio.stream_index])
        loudest = [
            float(np.abs(frame.to_ndarray()).max(initial=0.0))
            for frame in iter_sound(container, stream, line, origin_s)
        ]
    record = TaskRecord(job.task_id, peaks=decide_peaks(np.array(loudest)))
    return keep_record(job.video_id, record, store)


def decide_peaks(loudest: np.ndarray[Any, Any]) -> tuple[int, ...]:
    """At most 800 peaks of 0 to 100 from the loudest of each frame, 1.0 being full scale."""
    count = min(PEAKS_MAX, len(loudest))
    if count == 0:
        return ()
    borders = np.arange(count) * len(loudest) // count
    highest = np.maximum.reduceat(np.nan_to_num(loudest), borders)
    return tuple(int(peak) for peak in np.clip(np.rint(highest * PEAK_FULL), 0, PEAK_FULL))


def make_cover(job: CoverJob, store: ObjectStore) -> TaskRecord:
    """Write the file's own cover anew as a JPEG; none when it does not decode after all."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    with fetch_source(job.source_key, store) as path, open_media(path) as container:
        stream = cast("VideoStream", container.streams[job.stream_index])
        limit_decoder(stream)
        try:
            frame = next(container.decode(stream), None)
        except av.error.FFmpegError:
            frame = None
    images: tuple[str, ...] = ()
    if frame is not None:
        width, height = fit_inside(frame.width, frame.height, LONG_SIDE_MAX)
        picture = frame.reformat(width=width, height=height, format="bgr24").to_ndarray()
        images = (thumbnail_key(job.video_id),)
        store.put_sync(images[0], encode_jpeg(picture))
    return keep_record(job.video_id, TaskRecord(job.task_id, images=images), store)
