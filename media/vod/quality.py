"""The quality probe: a few spread seconds of a video, coded at each size of its ladder.

The quality task calls it, and the head start when half of a file has come; `titles.py` decides
from what it returns. A window out of the middle of the picture is enough, at each size what that
shows of it; XPSNR (libavfilter) compares it with the source, all at the window's size. One thread,
and the same numbers for the same source.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import av.error
import av.filter
from av.video.frame import PictureType

from kit.logs import get_log
from media.vod.arriving import Reach, SourceNotThere
from media.vod.checkpoints import Checkpoints
from media.vod.codecs import BUFFER_SHARE_FIRST, PICTURE_CODECS, open_encoder
from media.vod.frames import (
    SCALER,
    DecodeTally,
    FrameScaler,
    get_video_stream,
    iter_frames,
    seek_keyframe,
)
from media.vod.grid import FrameGrid
from media.vod.info import encode_json
from media.vod.ladder import Rung
from media.vod.ledger import find_record, keep_record
from media.vod.records import RungLook, TaskRecord
from media.vod.source import MediaUnreadable, fetch_source, open_media
from media.vod.task_jobs import QualityJob
from media.vod.titles import LOOK_STEPS
from storage.objects import ObjectStore

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.filter.context import FilterContext
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

SAMPLES, SAMPLES_MIN = 4, 3
"""Fewer keyframes than that show too little of a video."""
SAMPLE_FRAMES = 16
WINDOW_WIDTH, WINDOW_HEIGHT = 640, 360
SIDE_MIN = 32
"""A smaller window of a small size says nothing."""
PLENTY_BPS = 100_000_000
"""No rate limits a look: how many bits its quality takes is the question."""
DB_MAX = 60.0
"""Of a frame that is the same."""

log = get_log("media")
Frames = list["VideoFrame"]


def measure_quality(job: QualityJob, store: ObjectStore) -> TaskRecord:
    """Code samples at every size, twice; where nothing can be measured, there are no looks.

    What was measured while the file arrived counts: its pictures are made as that said.
    """
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    kept = _open_kept(job, store)
    begun = kept.find(0, TaskRecord)
    if begun is not None:
        record = keep_record(job.video_id, begun, store)
        kept.drop()
        return record
    looks: tuple[RungLook, ...] = ()
    # The video is made as ever where its samples cannot be: nothing depends on them.
    try:
        with fetch_source(job.source_key, store) as path, open_media(path) as container:
            looks = _look(container, job, range(job.grid.frames), DecodeTally())
    except (MediaUnreadable, av.error.FFmpegError) as error:
        log.info("media.quality_unmeasured", video_id=job.video_id, error=repr(error)[:300])
    return keep_record(job.video_id, TaskRecord(job.task_id, looks=looks), store)


def measure_ahead(job: QualityJob, store: ObjectStore, reach: Reach) -> TaskRecord | None:
    """Measure the first half of a file that still arrives, and keep that; None: it has not come.

    Raises FileNotFoundError when the upload has ended.
    """
    kept = _open_kept(job, store)
    made = kept.find(0, TaskRecord)
    if made is None:
        slots = range(job.grid.frames // 2)
        try:
            with (
                fetch_source(job.source_key, store) as path,
                open_media(path, reach) as container,
            ):
                looks = _look(container, job, slots, DecodeTally(is_whole=False))
        except (SourceNotThere, MediaUnreadable, av.error.FFmpegError):
            return None
        made = TaskRecord(job.task_id, looks=looks)
        kept.keep(0, made)
    return made


def _open_kept(job: QualityJob, store: ObjectStore) -> Checkpoints:
    """What was measured ahead of the same ladder; where the video ends is not known by then."""
    video = replace(job.video, bit_rate_bps=None)
    grid = replace(job.grid, frames=0)
    bare = replace(job, task_id="", video_id="", source_key="", video=video, grid=grid)
    mark = hashlib.sha256(encode_json(bare)).digest()[:8]
    return Checkpoints(store, job.video_id, job.task_id, mark)


def _look(
    container: InputContainer, job: QualityJob, slots: range, tally: DecodeTally
) -> tuple[RungLook, ...]:
    windows = _decide_windows(job.sizes)
    stream = get_video_stream(container, job.video.stream_index)
    samples = [
        _resize(sample, windows[0], job.sizes[0])
        for sample in _iter_samples(container, stream, job, slots, tally)
    ]
    looks = []
    for size, window in zip(job.sizes, windows, strict=True):
        if min(window) < SIDE_MIN or len(samples) < SAMPLES_MIN:
            return ()
        small = [_resize(sample, window) for sample in samples]
        fine, coarse = (_code(small, samples, job.grid, steps) for steps in (0, LOOK_STEPS))
        looks.append(
            RungLook(
                *size,
                fine_bytes=sum(it.step_bytes for it in fine),
                fine_db=_find_mean(fine),
                coarse_bytes=sum(it.step_bytes for it in coarse),
                coarse_db=_find_mean(coarse),
                worst_db=min(it.quality_db for it in fine),
            )
        )
    return tuple(looks)


@dataclass(frozen=True)
class _Coded:
    """A coded sample: the bytes of a step that goes on like it, and its quality."""

    step_bytes: int
    quality_db: float


def _find_mean(samples: Sequence[_Coded]) -> float:
    return round(sum(it.quality_db for it in samples) / len(samples), 3)


def _decide_windows(sizes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What part of each size is looked at: of the largest at most 640x360 or 360x640 pixels."""
    width, height = sizes[0]
    long_side, short_side = WINDOW_WIDTH, WINDOW_HEIGHT
    if width < height:
        long_side, short_side = short_side, long_side
    window = min(width, long_side), min(height, short_side)
    return [
        (_even(window[0] * size[0] / width), _even(window[1] * size[1] / height)) for size in sizes
    ]


def _even(side: float) -> int:
    return max(2, round(side / 2) * 2)


def _iter_samples(
    container: InputContainer,
    stream: VideoStream,
    job: QualityJob,
    slots: range,
    tally: DecodeTally,
) -> Iterator[Frames]:
    """Runs of frames from keyframes near moments spread over the slots, none twice, in the largest
    size.
    """
    scaler = FrameScaler(job.video, job.sizes[:1])
    seen: set[int | None] = set()
    for number in range(SAMPLES):
        slot = len(slots) * (2 * number + 1) // (2 * SAMPLES)
        if not seek_keyframe(container, stream, job.grid.source_s_of(slot)):
            continue
        frames: Frames = []
        for frame in iter_frames(container, stream, tally):
            if not frames and (not frame.key_frame or frame.pts in seen):
                break
            seen.add(frame.pts if not frames else None)
            frames.append(scaler.scale(frame)[0])
            if len(frames) == SAMPLE_FRAMES:
                yield frames
                break


def _resize(
    frames: Frames, size: tuple[int, int], crop_from: tuple[int, int] | None = None
) -> Frames:
    """Frames cropped around the middle, from the given size, or scaled; copies in any case."""
    width, height = size
    node = ("scale", f"{width}:{height}:flags={SCALER}")
    if crop_from is not None:
        left, top = ((crop_from[n] - size[n]) // 4 * 2 for n in (0, 1))
        node = ("crop", f"{width}:{height}:{left}:{top}")
    with _Graph(frames[0], Fraction(1), 1, node) as graph:
        return [graph.run(frame, number) for number, frame in enumerate(frames)]


def _code(
    small: list[Frames], samples: list[Frames], grid: FrameGrid, coarser: int
) -> list[_Coded]:
    """Every sample in one fineness, beside the source."""
    return [
        _code_sample(frames, originals, grid, coarser)
        for frames, originals in zip(small, samples, strict=True)
    ]


def _code_sample(frames: Frames, originals: Frames, grid: FrameGrid, coarser: int) -> _Coded:
    rung = Rung("look", frames[0].width, frames[0].height, PLENTY_BPS, coarser=coarser)
    packets, description = _encode(frames, rung, grid)
    first, *others = (packet.size for packet in packets)
    step_bytes = first + sum(others) * (grid.step_frames - 1) // len(others)
    original = originals[0]
    back = _resize(_decode(packets, description), (original.width, original.height))
    frames_db = []
    with _Graph(original, grid.fps, 2, ("xpsnr", "")) as graph:
        for number, pair in enumerate(zip(back, originals, strict=True)):
            found = graph.compare(*pair, number)
            frames_db.append(min(DB_MAX, float(found.metadata["lavfi.xpsnr.xpsnr.y"])))
    return _Coded(step_bytes, round(sum(frames_db) / len(frames_db), 3))


def _encode(frames: Frames, rung: Rung, grid: FrameGrid) -> tuple[list[Packet[Stream]], bytes]:
    """The coded frames, and how they are to be decoded."""
    context = open_encoder(PICTURE_CODECS["h264"], rung, grid, BUFFER_SHARE_FIRST)
    packets = []
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number * grid.frame_ticks, Fraction(1, grid.timescale)
        frame.pict_type = PictureType.NONE
        packets += context.encode(frame)
    return packets + context.encode(None), bytes(context.extradata or b"")


def _decode(packets: Sequence[Packet[Stream]], description: bytes) -> Frames:
    context = av.CodecContext.create("h264", "r")
    context.extradata = description
    context.thread_count = 1
    frames: Frames = []
    for packet in packets:
        frames += context.decode(packet)
    return frames + context.decode(None)


@dataclass
class _Graph(contextlib.AbstractContextManager["_Graph"]):
    """One filter in one thread, over frames shaped as `frame`."""

    frame: VideoFrame
    fps: Fraction
    inputs: int
    node: tuple[str, str]

    def __enter__(self) -> _Graph:
        graph = av.filter.Graph()
        graph.threads = 1
        source = (
            f"video_size={self.frame.width}x{self.frame.height}:pix_fmt=yuv420p:time_base=1/90000"
            f":pixel_aspect=1/1:frame_rate={self.fps}:colorspace=bt709:range=tv"
        )
        name, arguments = self.node
        filtered = graph.add(name, arguments or None)
        self._sources: list[FilterContext] = []
        for number in range(self.inputs):
            node = graph.add("buffer", source)
            node.link_to(filtered, 0, number)
            self._sources.append(node)
        self._sink = graph.add("buffersink")
        filtered.link_to(self._sink)
        graph.configure()
        self._graph = graph
        return self

    def __exit__(self, *_error: object) -> None:
        self._sources.clear()

    def run(self, frame: VideoFrame, number: int) -> VideoFrame:
        """The frame through the filter."""
        return self._push(number, frame)

    def compare(self, frame: VideoFrame, original: VideoFrame, number: int) -> VideoFrame:
        """The frame with what the filter found out beside the original."""
        return self._push(number, frame, original)

    def _push(self, number: int, *frames: VideoFrame) -> VideoFrame:
        for source, frame in zip(self._sources, frames, strict=True):
            frame.pts, frame.time_base = number, Fraction(1, 90_000)
            source.push(frame)
        return cast("VideoFrame", self._sink.pull())
