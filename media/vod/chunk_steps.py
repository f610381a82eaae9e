"""How a chunk is encoded: in steps of two seconds, and each in parts that are kept one by one.

The chunk task makes of them what is stored; the head start leaves them to it. Which parts an
attempt makes changes no byte of any: each rung's encoder begins anew with every step.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from media.vod.arriving import Arriving, Reach
from media.vod.checkpoints import Checkpoints
from media.vod.decoder_buffer import DecoderBuffer
from media.vod.encoders import MadeStep, StepEncoder
from media.vod.frames import (
    DecodeTally,
    FrameScaler,
    describe_scaled,
    get_video_stream,
    iter_grid_frames,
)
from media.vod.grid import FrameGrid
from media.vod.info import encode_json
from media.vod.ladder import Rung
from media.vod.source import fetch_source, open_media
from media.vod.task_jobs import ChunkJob
from storage.objects import ObjectStore

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

WAITING_BYTES_MAX = 96 << 20
"""So much of a step's second largest pictures may wait in memory for the largest rung."""


@dataclass(frozen=True)
class StepPart:
    """Some rungs of one step; `number` counts the chunk's parts."""

    number: int
    slots: range
    rungs: range
    """Places in the job's rungs."""
    is_first: bool
    """Of its step: damage to the source is counted with it."""


@dataclass(frozen=True)
class MadePart:
    """What was encoded of a part, rung by rung."""

    rungs: tuple[MadeStep, ...]
    decode_errors: int


class ChunkParts:
    """All parts of a chunk, in order: those that an attempt kept, then the others."""

    def __init__(self, job: ChunkJob, store: ObjectStore, arriving: Arriving | None = None) -> None:
        self._job = job
        self._store = store
        self._reach = None if arriving is None else arriving.locate(store)
        self._kept = Checkpoints(store, job.video_id, job.task_id, mark_work(job))
        self._buffers = [DecoderBuffer(rung, job.grid.fps) for rung in job.rungs]
        self._left = list_parts(job)
        self.total = len(self._left)

    @property
    def done(self) -> int:
        """How many are kept."""
        return self.total - len(self._left)

    def iter_kept(self) -> Iterator[tuple[StepPart, MadePart]]:
        """Those that are kept already."""
        while self._left:
            made = self._kept.find(self._left[0].number, MadePart)
            if made is None or len(made.rungs) != len(self._left[0].rungs):
                return  # nothing, or kept by a version that cut steps otherwise
            yield self._take(made)

    def iter_new(self) -> Iterator[tuple[StepPart, MadePart]]:
        """Encode what is left behind those; each part is kept when it comes.

        Raises MediaUnreadable when nothing of the chunk can be decoded, SourceNotThere where a file
        that still arrives has come to.
        """
        left = list(self._left)
        made = encode_parts(self._job, self._store, left, self._buffers, self._reach)
        for part, coded in zip(left, made, strict=True):
            self._kept.keep(part.number, coded)
            yield self._take(coded)

    def _take(self, made: MadePart) -> tuple[StepPart, MadePart]:
        part = self._left.pop(0)
        for place, step in zip(part.rungs, made.rungs, strict=True):
            self._buffers[place].add(step)
        return part, made


def mark_work(job: ChunkJob) -> bytes:
    """What a chunk's coded pictures depend on, in eight bytes: its source apart, all it is given.

    The length of the whole video is none of it, nor is where things are stored; an index that was
    sent ahead is, by its digest.
    """
    # The rate has settled the rungs, which are here.
    video = replace(job.video, bit_rate_bps=None)
    grid = replace(job.grid, frames=job.slots.stop)
    chunk = replace(job.chunk, index=0)
    bare = replace(job, task_id="", video_id="", source_key="", key_id="")
    work = replace(bare, video=video, grid=grid, chunk=chunk)
    return hashlib.sha256(encode_json(work)).digest()[:8]


def list_parts(job: ChunkJob) -> list[StepPart]:
    """All parts of a chunk in the order they are made."""
    found: list[StepPart] = []
    for slots in job.grid.list_steps(job.slots):
        for rungs in decide_parts(job.rungs, job.grid):
            found.append(StepPart(len(found), slots, rungs, is_first=rungs.start == 0))
    return found


def decide_parts(rungs: Sequence[Rung], grid: FrameGrid) -> list[range]:
    """The largest rung by itself, which takes as long as the others together, unless what they are
    scaled from would fill the memory while it waits.
    """
    pixels = sum(rung.width * rung.height for rung in rungs[1:2])
    if pixels == 0 or pixels * 3 // 2 * grid.step_frames > WAITING_BYTES_MAX:
        return [range(len(rungs))]
    return [range(1), range(1, len(rungs))]


class PartScaler:
    """Scales for each part of a step when its turn comes, so that one picture a slot waits.

    Which part comes when changes no pixel: each size is scaled from the one before it.
    """

    def __init__(self, job: ChunkJob) -> None:
        sizes = [(rung.width, rung.height) for rung in job.rungs]
        ends = decide_parts(job.rungs, job.grid)[0].stop + 1
        self._early = FrameScaler(job.video, sizes[:ends])
        self._late = FrameScaler(describe_scaled(job.video), sizes[ends:]) if sizes[ends:] else None
        self._latest: list[VideoFrame] = []

    def scale(self, source: VideoFrame) -> list[VideoFrame]:
        """The first part's pictures, then the largest of the second if there is one."""
        return self._early.scale(source)

    def scale_on(self, picture: VideoFrame) -> list[VideoFrame]:
        """The second part's pictures, of its largest."""
        if not self._latest or picture is not self._latest[0]:
            self._latest = [picture, *(self._late.scale(picture) if self._late else ())]
        return self._latest

    def pick(self, part: StepPart, scaled: Sequence[VideoFrame]) -> Sequence[VideoFrame]:
        """The part's pictures, of what `scale` made."""
        return scaled[: part.rungs.stop] if part.is_first else self.scale_on(scaled[-1])


def encode_parts(
    job: ChunkJob,
    store: ObjectStore,
    parts: Sequence[StepPart],
    buffers: Sequence[DecoderBuffer],
    reach: Reach | None = None,
) -> Iterator[MadePart]:
    """Decode once and encode part by part; whoever takes one adds it to the rungs' buffers.

    Raises MediaUnreadable when nothing of the chunk can be decoded, SourceNotThere.
    """
    if not parts:
        return
    steps = {step.start: list(found) for step, found in groupby(parts, lambda part: part.slots)}
    slots = range(parts[0].slots.start, job.slots.stop)
    tally = DecodeTally(is_whole=reach is None)
    scaler = PartScaler(job)
    todo: list[StepPart] = []
    encoders: list[StepEncoder] = []
    waiting: deque[tuple[int, VideoFrame]] = deque()
    errors = 0
    with fetch_source(job.source_key, store) as path, open_media(path, reach) as container:
        stream = get_video_stream(container, job.video.stream_index)
        source: VideoFrame | None = None
        scaled: list[VideoFrame] = []
        for slot, frame in iter_grid_frames(container, stream, job.grid, slots, tally):
            if slot in steps:
                todo = steps[slot]
                encoders = _open_encoders(job, todo[0], buffers)
                # What is damaged before a chunk's middle was counted by who decoded it first.
                errors = tally.errors if slot > job.slots.start else 0
            if frame is not source:
                source, scaled = frame, scaler.scale(frame)
            _encode(encoders, slot, scaler.pick(todo[0], scaled))
            waiting += [(slot, scaled[-1]) for _part in todo[1:]]
            if slot == todo[0].slots[-1]:
                damage = tally.errors - errors if todo[0].is_first else 0
                yield MadePart(tuple(encoder.finish() for encoder in encoders), damage)
                # An encoder of 1080p has as much memory as all that waits: one after the other.
                encoders.clear()
                for part in todo[1:]:
                    encoders = _open_encoders(job, part, buffers)
                    while waiting:
                        waits, picture = waiting.popleft()
                        _encode(encoders, waits, scaler.scale_on(picture))
                    yield MadePart(tuple(encoder.finish() for encoder in encoders), 0)
                    encoders.clear()


def _open_encoders(
    job: ChunkJob, part: StepPart, buffers: Sequence[DecoderBuffer]
) -> list[StepEncoder]:
    return [
        StepEncoder(job.rungs[place], job.grid, part.slots, buffers[place].share)
        for place in part.rungs
    ]


def _encode(encoders: Sequence[StepEncoder], slot: int, pictures: Sequence[VideoFrame]) -> None:
    for encoder, picture in zip(encoders, pictures, strict=True):
        encoder.encode(picture, slot)
