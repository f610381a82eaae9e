"""A few silent seconds of a video's best scenes, which cards play in a loop.

The preview task calls it, and that of recordings uses its parts. It decodes keyframes to choose,
then only the scenes themselves. What a decoder cannot do leaves the video without a preview:
nobody's video fails for want of one.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import av.error

from media.vod.codecs import avoid_avx512
from media.vod.frames import DecodeTally, FrameScaler, get_video_stream, iter_grid_frames
from media.vod.grid import FrameGrid
from media.vod.ladder import fit_inside
from media.vod.ledger import find_record, keep_record
from media.vod.records import TaskRecord, preview_key
from media.vod.source import MediaUnreadable, fetch_source, open_media
from media.vod.task_jobs import PictureJob
from media.vod.thumbnails import iter_spread_keyframes, judge_frame
from storage.objects import ObjectStore

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PREVIEW_S = 3
SCENES = 3
LONG_SIDE_MAX = 320
FPS_MAX = 15
QUALITY_CRF = 28
RATE_MAX_BPS = 400_000
"""Three seconds take at most 150 kB and what the encoder's buffer of one second lends: 200 kB."""


@dataclass(frozen=True)
class Scene:
    """Where a scene begins in the source's clock, and how good its first picture is."""

    moment_s: Fraction
    score: float


def make_preview(job: PictureJob, store: ObjectStore) -> TaskRecord:
    """Store preview.mp4; the record has no bytes of it where nothing could be decoded."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    data = b""
    with fetch_source(job.source_key, store) as path:
        try:
            with open_media(path) as container:
                data = _render(container, job)
        except (MediaUnreadable, av.error.FFmpegError):
            data = b""
    if data:
        store.put_sync(preview_key(job.video_id), data)
    return keep_record(job.video_id, TaskRecord(job.task_id, preview_bytes=len(data)), store)


def choose_scenes(found: Sequence[Scene], apart_s: float) -> list[Scene]:
    """The best that do not overlap, in their order in time."""
    chosen: list[Scene] = []
    for scene in sorted(found, key=lambda scene: scene.score, reverse=True):
        if all(abs(scene.moment_s - other.moment_s) >= apart_s for other in chosen):
            chosen.append(scene)
    return sorted(chosen[:SCENES], key=lambda scene: scene.moment_s)


def decide_slots(grid: FrameGrid, scenes: Sequence[Scene]) -> list[range]:
    """The output frames of each scene, which together play for the preview's length.

    Every so many of the grid's frames is taken, so that no more are shown per second than may be.
    """
    count = max(1, len(scenes))
    frames = min(grid.frames, math.ceil(PREVIEW_S * grid.fps / count))
    step = decide_step(grid)
    firsts = [grid.slot_of(scene.moment_s) for scene in scenes] or [0]
    starts = [max(0, min(first, grid.frames - frames)) for first in firsts]
    return [range(start, start + frames, step) for start in starts]


def decide_step(grid: FrameGrid) -> int:
    """Of how many of the grid's frames one is shown."""
    return max(1, math.ceil(grid.fps / FPS_MAX))


def _render(container: InputContainer, job: PictureJob) -> bytes:
    stream = get_video_stream(container, job.video.stream_index)
    size = fit_inside(job.video.width, job.video.height, LONG_SIDE_MAX)
    scaler = FrameScaler(job.video, [size])
    found = [
        Scene(moment_s, judge_frame(scaler, frame))
        for moment_s, frame in iter_spread_keyframes(container, stream, job)
    ]
    slots = decide_slots(job.grid, choose_scenes(found, PREVIEW_S / SCENES))
    frames = (
        scaler.scale(frame)[0]
        for part in slots
        for frame in _iter_scene(container, stream, job.grid, part)
    )
    return encode_preview(frames, size, job.grid.fps / decide_step(job.grid))


def _iter_scene(
    container: InputContainer, stream: VideoStream, grid: FrameGrid, slots: range
) -> Iterator[VideoFrame]:
    every = range(slots.start, min(slots.stop, grid.frames))
    for slot, frame in iter_grid_frames(container, stream, grid, every, DecodeTally()):
        if slot in slots:
            yield frame


def encode_preview(frames: Iterator[VideoFrame], size: tuple[int, int], fps: Fraction) -> bytes:
    """MP4 with its index in front; the same frames give the same bytes."""
    with tempfile.TemporaryDirectory(prefix="preview-") as folder:
        path = Path(folder) / "preview.mp4"
        options = {"movflags": "faststart", "fflags": "bitexact"}
        with av.open(str(path), "w", format="mp4", options=options) as output:
            track = cast("VideoStream", output.add_stream("libx264", rate=fps))
            track.width, track.height = size
            track.pix_fmt = "yuv420p"
            track.codec_context.thread_count = 1
            track.options = {
                "preset": "veryfast",
                "crf": str(QUALITY_CRF),
                "maxrate": str(RATE_MAX_BPS),
                "bufsize": str(RATE_MAX_BPS),
                "x264-params": "colorprim=bt709:transfer=bt709:colormatrix=bt709" + avoid_avx512(),
            }
            for number, frame in enumerate(frames):
                frame.pts, frame.time_base = number, 1 / fps
                output.mux(track.encode(frame))
            output.mux(track.encode(None))
        return path.read_bytes()
