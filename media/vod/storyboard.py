"""Small pictures of the whole video on a few sheets, shown while someone scrubs.

The storyboard task calls it. Keyframes alone are decoded, about a fiftieth of a full decode
(measured on H.264 with a keyframe every two seconds); each moment has the keyframe before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from media.vod.frames import (
    DecodeTally,
    FrameScaler,
    get_video_stream,
    iter_frames,
    seek_keyframe,
)
from media.vod.ladder import fit_inside
from media.vod.ledger import find_record, keep_record
from media.vod.records import StoryboardRecord, TaskRecord, storyboard_key, storyboard_name
from media.vod.source import MediaUnreadable, fetch_source, moment_of, open_media
from media.vod.task_jobs import PictureJob
from media.vod.thumbnails import encode_jpeg
from storage.objects import ObjectStore

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Picture = np.ndarray[Any, np.dtype[Any]]
"""(H, W, 3) uint8 BGR."""

TILE_LONG_SIDE = 160
COLUMNS = ROWS = 10
INTERVAL_S_MIN = 2
TILES_MAX = 500


def make_storyboard(job: PictureJob, store: ObjectStore) -> TaskRecord:
    """Store the sheets; raises MediaUnreadable when no picture decodes."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    interval_s = decide_interval_s(float(job.grid.duration_s))
    width, height = fit_inside(job.video.width, job.video.height, TILE_LONG_SIDE)
    record = StoryboardRecord(
        width=width,
        height=height,
        columns=COLUMNS,
        rows=ROWS,
        interval_ms=interval_s * 1000,
        tiles=max(1, math.ceil(float(job.grid.duration_s) / interval_s)),
    )
    # A sheet that is there was stored by an attempt that lost its worker.
    keys = [storyboard_key(job.video_id, storyboard_name(n)) for n in range(record.sheets)]
    first = next((n for n, key in enumerate(keys) if not store.exists_sync(key)), len(keys))
    with fetch_source(job.source_key, store) as path, open_media(path) as container:
        tiles = _iter_tiles(container, job, record, first * COLUMNS * ROWS)
        for number in range(first, record.sheets):
            sheet = fill_sheet(tiles, record, number)
            store.put_sync(keys[number], encode_jpeg(sheet))
    return keep_record(job.video_id, TaskRecord(job.task_id, storyboard=record), store)


def decide_interval_s(duration_s: float) -> int:
    """Every second second, or as often as the number of pictures allows."""
    return max(INTERVAL_S_MIN, math.ceil(duration_s / TILES_MAX))


def fill_sheet(tiles: Iterator[Picture], record: StoryboardRecord, number: int) -> Picture:
    """Lay the next tiles out, row by row; the last sheet is as high as it needs to be."""
    count = min(COLUMNS * ROWS, record.tiles - number * COLUMNS * ROWS)
    rows = math.ceil(count / COLUMNS)
    sheet = np.zeros((rows * record.height, COLUMNS * record.width, 3), dtype=np.uint8)
    for index in range(count):
        top, left = index // COLUMNS * record.height, index % COLUMNS * record.width
        sheet[top : top + record.height, left : left + record.width] = next(tiles)
    return sheet


def _iter_tiles(
    container: InputContainer, job: PictureJob, record: StoryboardRecord, first: int
) -> Iterator[Picture]:
    """The picture of each moment from the `first` on, without end: the last one is repeated."""
    scaler = FrameScaler(job.video, [(record.width, record.height)])
    step_s = Fraction(record.interval_ms, 1000)
    wanted_s = Fraction(job.grid.origin_us, 1_000_000) + first * step_s
    held: VideoFrame | None = None
    tile: Picture | None = None
    for moment_s, frame in _iter_keyframes(container, job, wanted_s if first else None):
        while held is not None and wanted_s < moment_s:
            tile = _draw(scaler, held) if tile is None else tile
            yield tile
            wanted_s += step_s
        held, tile = frame, None
    if held is None:
        raise MediaUnreadable("The picture cannot be decoded.")
    tile = _draw(scaler, held)
    while True:
        yield tile


def _iter_keyframes(
    container: InputContainer, job: PictureJob, wanted_s: Fraction | None
) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Keyframes from one at or before a moment on, if the index leads there; else all.

    Every frame where none of them is shown: an edit list hides the one before a trimmed beginning.
    """
    stream = get_video_stream(container, job.video.stream_index)
    stream.codec_context.skip_frame = "NONKEY"
    if wanted_s is not None and seek_keyframe(container, stream, wanted_s):
        found = _list_moments(container, stream)
        opening = next(found, None)
        if opening is not None and opening[0] <= wanted_s:
            yield opening
            yield from found
            return
        seek_keyframe(container, stream, Fraction(job.grid.origin_us, 1_000_000) - 1)
    found = _list_moments(container, stream)
    opening = next(found, None)
    if opening is None:
        seek_keyframe(container, stream, Fraction(job.grid.origin_us, 1_000_000) - 1)
        stream.codec_context.skip_frame = "DEFAULT"
        yield from _list_moments(container, stream)
        return
    yield opening
    yield from found


def _list_moments(
    container: InputContainer, stream: VideoStream
) -> Iterator[tuple[Fraction, VideoFrame]]:
    for frame in iter_frames(container, stream, DecodeTally()):
        moment_s = moment_of(frame, stream)
        if moment_s is not None:
            yield moment_s, frame


def _draw(scaler: FrameScaler, frame: VideoFrame) -> Picture:
    return scaler.scale(frame)[0].to_ndarray(format="bgr24", src_colorspace="ITU709")
