"""A few silent seconds of a recording's or clip's best scenes, which cards play in a loop.

A task of the media pool. Scenes are chosen and encoded as those of uploads are, by
`media/vod/preview.py`; it decodes the keyframes its job names, then only the segments of the scenes
themselves. What no decoder reads leaves the recording without a preview.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from kit.logs import get_log
from media.live.pictures import Keyframe, decode_keyframe
from media.vod.frames import DecodeTally, FrameScaler, get_video_stream, iter_grid_frames
from media.vod.grid import TICKS_PER_S, FrameGrid
from media.vod.info import VideoInfo
from media.vod.ladder import fit_inside
from media.vod.ledger import find_record, keep_record
from media.vod.pictures import decide_matrix
from media.vod.preview import (
    FPS_MAX,
    LONG_SIDE_MAX,
    PREVIEW_S,
    SCENES,
    Scene,
    choose_scenes,
    encode_preview,
)
from media.vod.records import TaskRecord, preview_key
from media.vod.source import MediaUnreadable
from media.vod.thumbnails import judge_picture
from storage.objects import ObjectStore

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

log = get_log("media")

FPS = Fraction(FPS_MAX)


@dataclass(frozen=True)
class LiveScene:
    """A keyframe that a scene may begin with, and the segments that go on from it."""

    keyframe: Keyframe
    moment_ms: int
    """In the video's time."""
    start_ms: int
    """In the live's, which its pictures tell."""
    segments: tuple[tuple[str, int], ...]
    """Keys and lengths in milliseconds, the keyframe's first."""


@dataclass(frozen=True)
class LivePreviewJob:
    """What may be shown; `width` and `height` of the recording."""

    task_id: str
    video_id: str
    width: int
    height: int
    scenes: tuple[LiveScene, ...]


def make_live_preview(job: LivePreviewJob, store: ObjectStore) -> TaskRecord:
    """Store preview.mp4; the record has no bytes of it where nothing could be decoded."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    size = fit_inside(job.width, job.height, LONG_SIDE_MAX)
    chosen = _choose(job.scenes, store)
    length_s = Fraction(PREVIEW_S, max(1, len(chosen)))
    frames = [frame for scene in chosen for frame in _read_scene(scene, store, size, length_s)]
    data = encode_preview(iter(frames), size, FPS) if frames else b""
    if data:
        store.put_sync(preview_key(job.video_id), data)
    return keep_record(job.video_id, TaskRecord(job.task_id, preview_bytes=len(data)), store)


def _choose(scenes: Sequence[LiveScene], store: ObjectStore) -> list[LiveScene]:
    by_moment = {}
    found = []
    for scene in scenes:
        picture = decode_keyframe(scene.keyframe, store)
        if picture is not None:
            moment_s = Fraction(scene.moment_ms, 1000)
            by_moment[moment_s] = scene
            found.append(Scene(moment_s, judge_picture(picture)))
    return [by_moment[it.moment_s] for it in choose_scenes(found, PREVIEW_S / SCENES)]


def _read_scene(
    scene: LiveScene, store: ObjectStore, size: tuple[int, int], length_s: Fraction
) -> list[VideoFrame]:
    """The scene's pictures, scaled; at most so long, and none where it cannot be decoded."""
    keys, there_ms = [], 0
    for key, length_ms in scene.segments:
        if there_ms < length_s * 1000:
            keys.append(key)
            there_ms += length_ms
    count = max(1, math.ceil(min(length_s, Fraction(there_ms, 1000)) * FPS))
    data = b"".join(store.get_sync(key) for key in (scene.keyframe.init_key, *keys))
    try:
        return list(_iter_scaled(data, scene.start_ms, count, size))
    except (MediaUnreadable, av.FFmpegError):
        log.info("live.scene_unreadable", key=keys[0])
        return []


def _iter_scaled(
    data: bytes, start_ms: int, count: int, size: tuple[int, int]
) -> Iterator[VideoFrame]:
    grid = FrameGrid(
        FPS, TICKS_PER_S, int(TICKS_PER_S / FPS), count, count, origin_us=start_ms * 1000
    )
    scaler: FrameScaler | None = None
    with av.open(io.BytesIO(data), "r") as container:
        stream = get_video_stream(container, container.streams.video[0].index)
        frames = iter_grid_frames(container, stream, grid, range(count), DecodeTally())
        for _slot, frame in frames:
            if scaler is None:
                scaler = FrameScaler(_describe(frame), [size])
            yield scaler.scale(frame)[0]


def _describe(frame: VideoFrame) -> VideoInfo:
    """Describe a live's picture, which is upright and of standard range."""
    return VideoInfo(
        stream_index=0,
        codec="h264",
        pix_fmt=frame.format.name,
        width=frame.width,
        height=frame.height,
        coded_width=frame.width,
        coded_height=frame.height,
        rotation_deg=0,
        mirrored=False,
        sar=Fraction(1),
        fps=FPS,
        bit_rate_bps=None,
        color_matrix=decide_matrix(int(frame.colorspace), frame.height),
        is_hdr=False,
    )
