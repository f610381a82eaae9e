"""The pictures of a recording or clip: its thumbnail, and small ones for scrubbing.

A task of the media pool. It decodes the one frame that a segment begins with, of the segments
named by the job alone: one per moment of the storyboard.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import cv2

from kit.logs import get_log
from media.vod.ladder import fit_inside
from media.vod.records import (
    StoryboardRecord,
    TaskRecord,
    storyboard_key,
    storyboard_name,
    thumbnail_key,
)
from media.vod.source import MediaUnreadable
from media.vod.storyboard import COLUMNS, ROWS, TILE_LONG_SIDE, decide_interval_s, fill_sheet
from media.vod.thumbnails import LONG_SIDE_MAX, Picture, encode_jpeg, judge_picture
from storage.objects import ObjectStore

log = get_log("media")

PICTURES_TASK = "live_pictures"
JUDGED_MAX = 8


@dataclass(frozen=True)
class LivePictureJob:
    """Which segments to look at, one per moment: keys of an init segment and of what follows it."""

    video_id: str
    width: int
    height: int
    interval_ms: int
    moments: tuple[tuple[str, str], ...]


@dataclass
class _Best:
    """The best picture so far, out of a few that are judged."""

    every: int
    score: float = -1.0
    picture: Picture | None = None
    seen: int = field(default=0)

    def look(self, picture: Picture) -> None:
        """Judge every so manieth picture."""
        if self.seen % self.every == 0:
            score = judge_picture(picture)
            if score > self.score:
                self.score, self.picture = score, picture
        self.seen += 1


def decide_moments_ms(duration_ms: int) -> range:
    """When the storyboard has a picture, in milliseconds from the start."""
    interval_ms = 1000 * decide_interval_s(duration_ms / 1000)
    return range(0, max(1, duration_ms), interval_ms)


def make_live_pictures(job: LivePictureJob, store: ObjectStore) -> TaskRecord:
    """Store the thumbnail and the storyboard's sheets; raises MediaUnreadable."""
    width, height = fit_inside(job.width, job.height, TILE_LONG_SIDE)
    record = StoryboardRecord(width, height, COLUMNS, ROWS, job.interval_ms, len(job.moments))
    best = _Best(every=max(1, len(job.moments) // JUDGED_MAX))
    tiles = (
        cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        for picture in _iter_pictures(job, store, best)
    )
    for number in range(record.sheets):
        sheet = fill_sheet(tiles, record, number)
        store.put_sync(storyboard_key(job.video_id, storyboard_name(number)), encode_jpeg(sheet))
    assert best.picture is not None, "the first picture is judged"
    key = thumbnail_key(job.video_id)
    store.put_sync(key, encode_jpeg(_shrink(best.picture)))
    return TaskRecord(PICTURES_TASK, images=(key,), storyboard=record)


def _iter_pictures(job: LivePictureJob, store: ObjectStore, best: _Best) -> Iterator[Picture]:
    """The picture of each moment; one that cannot be decoded is the one before."""
    init_key, init = "", b""
    before: Picture | None = None
    shown = ""
    for wanted_init, segment_key in job.moments:
        if wanted_init != init_key:
            init_key, init = wanted_init, store.get_sync(wanted_init)
        if segment_key != shown:
            shown = segment_key
            picture = _decode_first(init + store.get_sync(segment_key))
            if picture is None:
                log.info("live.segment_unreadable", key=segment_key)
            else:
                before = picture
        if before is None:
            raise MediaUnreadable("The picture cannot be decoded.")
        best.look(before)
        yield before


def _decode_first(data: bytes) -> Picture | None:
    try:
        with av.open(io.BytesIO(data)) as container:
            frame = next(container.decode(video=0), None)
    except av.FFmpegError:
        return None
    return None if frame is None else frame.to_ndarray(format="bgr24")


def _shrink(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    share = LONG_SIDE_MAX / max(height, width)
    if share >= 1:
        return picture
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
