"""The picture of a recording or clip: the best of the frames that its segments begin with.

A task of the media pool. It decodes one frame from each of a few segments, and stores the best as
the video's thumbnail.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import av
import cv2

from kit.logs import get_log
from media.vod.records import thumbnail_key
from media.vod.source import MediaUnreadable
from media.vod.thumbnails import LONG_SIDE_MAX, Picture, encode_jpeg, judge_picture
from storage.objects import ObjectStore

log = get_log("media")


@dataclass(frozen=True)
class LivePictureJob:
    """Which segments to look at: keys of an init segment and of what follows it."""

    video_id: str
    segments: tuple[tuple[str, str], ...]


def make_live_picture(job: LivePictureJob, store: ObjectStore) -> str:
    """Store the best picture and return its key; raises MediaUnreadable."""
    pictures: list[Picture] = []
    for init_key, segment_key in job.segments:
        data = store.get_sync(init_key) + store.get_sync(segment_key)
        try:
            with av.open(io.BytesIO(data)) as container:
                frame = next(container.decode(video=0), None)
        except av.FFmpegError:
            log.info("live.segment_unreadable", key=segment_key)
            continue
        if frame is not None:
            pictures.append(_shrink(frame.to_ndarray(format="bgr24")))
    if not pictures:
        raise MediaUnreadable("The picture cannot be decoded.")
    key = thumbnail_key(job.video_id)
    store.put_sync(key, encode_jpeg(max(pictures, key=judge_picture)))
    return key


def _shrink(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    share = LONG_SIDE_MAX / max(height, width)
    if share >= 1:
        return picture
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
