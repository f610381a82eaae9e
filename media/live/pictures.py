"""The pictures of a recording or clip: thumbnails to choose from, and small ones for scrubbing.

Tasks of the media pool. They decode the keyframes that segments begin with, of the segments that
their job names alone, and read no more than those frames.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import av
import cv2
import numpy as np

from kit.logs import get_log
from media.vod.ladder import fit_inside
from media.vod.ledger import find_record, keep_record
from media.vod.records import (
    STORYBOARD,
    Progress,
    StoryboardRecord,
    TaskRecord,
    storyboard_key,
    storyboard_name,
)
from media.vod.storyboard import COLUMNS, ROWS, TILE_LONG_SIDE, fill_sheet
from media.vod.thumbnails import (
    CANDIDATES_MIN,
    LINEAR_FRAMES_MAX,
    LINEAR_STEP,
    LONG_SIDE_MAX,
    Picture,
    encode_jpeg,
    judge_candidate,
    store_pictures,
)
from storage.objects import ObjectStore

log = get_log("media")

THUMBNAIL = "thumbnail"
PICTURE_UNREADABLE = "picture_unreadable"


@dataclass(frozen=True)
class Keyframe:
    """Where a segment's first frame is: keys of an init segment and of what follows it."""

    init_key: str
    segment_key: str
    size_bytes: int = 0
    """To the frame's end; 0: not known, all of the segment is read."""


@dataclass(frozen=True)
class LivePictureJob:
    """Which frames to look at; of a storyboard one per `interval_ms`."""

    task_id: str
    video_id: str
    width: int
    height: int
    interval_ms: int
    keyframes: tuple[Keyframe, ...]


def make_live_thumbnails(job: LivePictureJob, store: ObjectStore) -> TaskRecord:
    """Store the best picture and the best few to choose from; says so when none decodes."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    decoded = (decode_keyframe(frame, store) for frame in job.keyframes)
    found = [_shrink(picture) for picture in decoded if picture is not None]
    if len(found) < CANDIDATES_MIN:
        found += _iter_opening(job.keyframes, store)
    if not found:
        return keep_record(
            job.video_id, TaskRecord(job.task_id, left_out={THUMBNAIL: PICTURE_UNREADABLE}), store
        )
    best = sorted(found, key=judge_candidate, reverse=True)
    keys = store_pictures(job.video_id, best, store)
    return keep_record(job.video_id, TaskRecord(job.task_id, images=keys), store)


def make_live_storyboard(
    job: LivePictureJob, store: ObjectStore
) -> Generator[Progress, None, TaskRecord]:
    """Store the sheets, one Progress per sheet; says so when no picture decodes."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    width, height = fit_inside(job.width, job.height, TILE_LONG_SIDE)
    tiles = len(job.keyframes)
    record = StoryboardRecord(width, height, COLUMNS, ROWS, job.interval_ms, tiles)
    pictures = _iter_tiles(job, store, (width, height))
    first = next(pictures, None)
    if first is None:
        return keep_record(
            job.video_id, TaskRecord(job.task_id, left_out={STORYBOARD: PICTURE_UNREADABLE}), store
        )
    shown = _chain(first, pictures)
    for number in range(record.sheets):
        sheet = fill_sheet(shown, record, number)
        store.put_sync(storyboard_key(job.video_id, storyboard_name(number)), encode_jpeg(sheet))
        yield Progress(job.task_id, number + 1, record.sheets)
    return keep_record(job.video_id, TaskRecord(job.task_id, storyboard=record), store)


def _chain(first: Picture, rest: Iterator[Picture]) -> Iterator[Picture]:
    yield first
    yield from rest


def _iter_tiles(
    job: LivePictureJob, store: ObjectStore, size: tuple[int, int]
) -> Iterator[Picture]:
    """The small picture of each moment; one that cannot be decoded is the one before.

    Moments before the first that can be decoded have that one; nothing where none can.
    """
    before: Picture | None = None
    owed, shown = 0, None
    for frame in job.keyframes:
        if frame != shown:
            shown = frame
            picture = decode_keyframe(frame, store)
            before = before if picture is None else _fit(picture, size)
        owed += 1
        if before is not None:
            for _ in range(owed):
                yield before
            owed = 0


def _iter_opening(keyframes: tuple[Keyframe, ...], store: ObjectStore) -> Iterator[Picture]:
    """Every thirtieth of the first frames, keyframes left out: of a clip of a few seconds."""
    number = 0
    for frame in dict.fromkeys(keyframes):
        data = store.get_sync(frame.init_key) + store.get_sync(frame.segment_key)
        try:
            with av.open(io.BytesIO(data)) as container:
                for decoded in container.decode(video=0):
                    if number >= LINEAR_FRAMES_MAX:
                        return
                    if number % LINEAR_STEP == LINEAR_STEP // 2:
                        yield _shrink(decoded.to_ndarray(format="bgr24"))
                    number += 1
        except av.FFmpegError:
            log.info("live.segment_unreadable", key=frame.segment_key)


def decode_keyframe(frame: Keyframe, store: ObjectStore) -> Picture | None:
    """The picture, or None when it cannot be decoded."""
    data = store.get_sync(frame.init_key) + _read_start(frame, store)
    try:
        with av.open(io.BytesIO(data)) as container:
            decoded = next(container.decode(video=0), None)
    except av.FFmpegError:
        decoded = None
    if decoded is None:
        log.info("live.segment_unreadable", key=frame.segment_key)
        return None
    return decoded.to_ndarray(format="bgr24")


def _read_start(frame: Keyframe, store: ObjectStore) -> bytes:
    """The segment up to the end of its first frame."""
    if not frame.size_bytes:
        return store.get_sync(frame.segment_key)
    path = store.local_path(frame.segment_key)
    if path is not None:
        with path.open("rb") as file:
            return file.read(frame.size_bytes)
    start = b""
    for piece in store.stream_sync(frame.segment_key, chunk_bytes=frame.size_bytes):
        start += piece
        if len(start) >= frame.size_bytes:
            break
    return start[: frame.size_bytes]


def _fit(picture: Picture, size: tuple[int, int]) -> Picture:
    """The picture within a tile; another shape has black beside it."""
    width, height = size
    share = min(width / picture.shape[1], height / picture.shape[0])
    inner = (max(1, round(picture.shape[1] * share)), max(1, round(picture.shape[0] * share)))
    small = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
    if inner == size:
        return small
    tile = np.zeros((height, width, 3), dtype=np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    tile[top : top + inner[1], left : left + inner[0]] = small
    return tile


def _shrink(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    share = LONG_SIDE_MAX / max(height, width)
    if share >= 1:
        return picture
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
