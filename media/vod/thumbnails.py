"""Still pictures of a video: keyframes spread over it, judged, the best few stored as JPEG.

The thumbnail task calls it. A picture is good when it is sharp, has contrast and colour, and is
neither black nor white; better with a face in it. It decodes keyframes alone where it can.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from media.vod.faces import rate_faces
from media.vod.frames import (
    DecodeTally,
    FrameScaler,
    get_video_stream,
    iter_frames,
    seek_keyframe,
)
from media.vod.ladder import fit_inside
from media.vod.ledger import find_record, keep_record
from media.vod.records import TaskRecord, candidate_key, thumbnail_key
from media.vod.source import MediaUnreadable, fetch_source, moment_of, open_media
from media.vod.task_jobs import PictureJob
from storage.objects import ObjectStore

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Picture = np.ndarray[Any, np.dtype[Any]]
"""(H, W, 3) uint8 BGR."""

MOMENTS = 10
CANDIDATES_MIN = 3
CANDIDATES_KEPT = 4
LINEAR_FRAMES_MAX = 300
LINEAR_STEP = 30
LONG_SIDE_MAX = 1280
JUDGED_WIDTH = 320
JPEG_QUALITY = 85
BLACK_MEAN = 20.0
WHITE_MEAN = 235.0
CONTRAST_FULL = 64.0
SHARPNESS_FULL = 8.0
"""Natural logarithm of the Laplacian's variance in a crisp picture (about 3,000)."""

FACE_GAIN = 0.4
"""The best face makes a picture so much better, and no more: one with less than 1 / 1.4 of
another's score, as blurred or black ones have, never wins by its face."""


@dataclass(frozen=True)
class Candidate:
    """A judged picture and when it is shown, in the source's clock."""

    moment_s: Fraction
    picture: Picture
    score: float


def make_thumbnails(job: PictureJob, store: ObjectStore) -> TaskRecord:
    """Store the best picture as thumbnail.jpg and the best few to choose from."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    with fetch_source(job.source_key, store) as path, open_media(path) as container:
        candidates = list(_iter_candidates(container, job))
    if not candidates:
        raise MediaUnreadable("The picture cannot be decoded.")
    best = sorted(candidates, key=lambda candidate: candidate.score, reverse=True)
    keys = store_pictures(job.video_id, [candidate.picture for candidate in best], store)
    return keep_record(job.video_id, TaskRecord(job.task_id, images=keys), store)


def store_pictures(
    video_id: str, pictures: Sequence[Picture], store: ObjectStore
) -> tuple[str, ...]:
    """Store the best of all, the first, and the few to choose from; return the keys."""
    keys = [thumbnail_key(video_id)]
    store.put_sync(keys[0], encode_jpeg(pictures[0]))
    for index, picture in enumerate(pictures[:CANDIDATES_KEPT]):
        keys.append(candidate_key(video_id, index))
        store.put_sync(keys[-1], encode_jpeg(picture))
    return tuple(keys)


def judge_picture(picture: Picture) -> float:
    """0 (useless) to about 1: sharp, contrasty, colourful, neither black nor white."""
    height, width = picture.shape[:2]
    if width > JUDGED_WIDTH:
        size = (JUDGED_WIDTH, max(1, height * JUDGED_WIDTH // width))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    mean = float(grey.mean())
    contrast = min(1.0, float(grey.std()) / CONTRAST_FULL)
    sharpness = min(1.0, math.log1p(float(cv2.Laplacian(grey, cv2.CV_64F).var())) / SHARPNESS_FULL)
    spread = picture.max(axis=2).astype(np.int16) - picture.min(axis=2)
    colour = min(1.0, float(spread.mean()) / CONTRAST_FULL)
    light = 1.0 if BLACK_MEAN < mean < WHITE_MEAN else 0.1
    return light * (0.45 * sharpness + 0.35 * contrast + 0.2 * colour)


def judge_candidate(picture: Picture) -> float:
    """As `judge_picture`, and more for a whole, sharp, large face: to about 1.4."""
    return judge_picture(picture) * (1 + FACE_GAIN * rate_faces(picture))


def judge_frame(scaler: FrameScaler, frame: VideoFrame) -> float:
    """As `judge_picture`, of a decoded frame."""
    return judge_picture(_draw(scaler, frame))


def encode_jpeg(picture: Picture) -> bytes:
    """JPEG of a BGR picture."""
    parameters = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    is_encoded, data = cv2.imencode(".jpg", picture, parameters)
    assert is_encoded, "OpenCV encodes any 8-bit BGR picture as JPEG"
    return bytes(data)


def _iter_candidates(container: InputContainer, job: PictureJob) -> Iterator[Candidate]:
    """Keyframes near evenly spread moments; frames from the start when there are too few."""
    stream = get_video_stream(container, job.video.stream_index)
    size = fit_inside(job.video.width, job.video.height, LONG_SIDE_MAX)
    scaler = FrameScaler(job.video, [size])
    seen: set[Fraction] = set()
    for moment_s, frame in iter_spread_keyframes(container, stream, job):
        if moment_s not in seen:
            seen.add(moment_s)
            yield _judge(moment_s, scaler, frame)
    if len(seen) < CANDIDATES_MIN:
        for moment_s, frame in _iter_opening(container, stream, job):
            if moment_s not in seen:
                yield _judge(moment_s, scaler, frame)


def iter_spread_keyframes(
    container: InputContainer, stream: VideoStream, job: PictureJob
) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Keyframes near evenly spread moments, some of them perhaps twice; all frames after it."""
    stream.codec_context.skip_frame = "NONKEY"
    tally = DecodeTally()
    for number in range(MOMENTS):
        slot = job.grid.frames * (2 * number + 1) // (2 * MOMENTS)
        wanted_s = job.grid.source_s_of(slot)
        if not seek_keyframe(container, stream, wanted_s):
            continue
        frame = next(iter_frames(container, stream, tally), None)
        moment_s = None if frame is None else moment_of(frame, stream)
        if frame is not None and moment_s is not None:
            yield moment_s, frame
    stream.codec_context.skip_frame = "DEFAULT"


def _iter_opening(
    container: InputContainer, stream: VideoStream, job: PictureJob
) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Every thirtieth of the first frames, decoded one after the other."""
    seek_keyframe(container, stream, Fraction(job.grid.origin_us, 1_000_000))
    for number, frame in enumerate(iter_frames(container, stream, DecodeTally())):
        if number >= LINEAR_FRAMES_MAX:
            return
        moment_s = moment_of(frame, stream)
        if number % LINEAR_STEP == 0 and moment_s is not None:
            yield moment_s, frame


def _judge(moment_s: Fraction, scaler: FrameScaler, frame: VideoFrame) -> Candidate:
    picture = _draw(scaler, frame)
    return Candidate(moment_s, picture, judge_candidate(picture))


def _draw(scaler: FrameScaler, frame: VideoFrame) -> Picture:
    return scaler.scale(frame)[0].to_ndarray(format="bgr24", src_colorspace="ITU709")
