"""How a chunk is encoded: in steps of two seconds, and each in parts that are kept one by one.

The chunk task says which parts are left; what it is given it keeps. Which parts an attempt makes
changes no byte of any: each rung's encoder begins anew with every step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from media.vod.encoders import MadeStep, StepEncoder
from media.vod.frames import DecodeTally, FrameScaler, get_video_stream, iter_grid_frames
from media.vod.grid import FrameGrid
from media.vod.ladder import Rung
from media.vod.rung_tracks import RungTrack
from media.vod.source import fetch_source, open_media
from media.vod.task_jobs import ChunkJob
from storage.objects import ObjectStore

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

WAITING_BYTES_MAX = 160 << 20
"""So much of a step's smaller pictures may wait in memory for the largest rung."""


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


def list_parts(job: ChunkJob) -> list[StepPart]:
    """All parts of a chunk in the order they are made."""
    found: list[StepPart] = []
    for slots in job.grid.list_steps(job.slots):
        for rungs in decide_parts(job.rungs, job.grid):
            found.append(StepPart(len(found), slots, rungs, is_first=rungs.start == 0))
    return found


def decide_parts(rungs: Sequence[Rung], grid: FrameGrid) -> list[range]:
    """The largest rung by itself, which takes as long as the others together, unless they would
    fill the memory while they wait.
    """
    pixels = sum(rung.width * rung.height for rung in rungs[1:])
    if pixels == 0 or pixels * 3 // 2 * grid.step_frames > WAITING_BYTES_MAX:
        return [range(len(rungs))]
    return [range(1), range(1, len(rungs))]


def encode_parts(
    job: ChunkJob, store: ObjectStore, parts: Sequence[StepPart], tracks: Sequence[RungTrack]
) -> Iterator[MadePart]:
    """Decode once and encode part by part; whoever takes one adds it to the tracks.

    Raises MediaUnreadable when nothing of the chunk can be decoded.
    """
    if not parts:
        return
    steps = {step.start: list(found) for step, found in groupby(parts, lambda part: part.slots)}
    slots = range(parts[0].slots.start, job.slots.stop)
    tally = DecodeTally()
    scaler = FrameScaler(job.video, [(rung.width, rung.height) for rung in job.rungs])
    todo: list[StepPart] = []
    encoders: list[StepEncoder] = []
    waiting: list[tuple[int, list[VideoFrame]]] = []
    errors = 0
    with fetch_source(job.source_key, store) as path, open_media(path) as container:
        stream = get_video_stream(container, job.video.stream_index)
        source: VideoFrame | None = None
        scaled: list[VideoFrame] = []
        for slot, frame in iter_grid_frames(container, stream, job.grid, slots, tally):
            if slot in steps:
                todo = steps[slot]
                encoders = _open_encoders(job, todo[0], tracks)
                # What is damaged before a chunk's middle was counted by who decoded it first.
                errors = tally.errors if slot > job.slots.start else 0
            if frame is not source:
                source, scaled = frame, scaler.scale(frame)
            _encode(encoders, slot, _pick(scaled, todo[0]))
            waiting += [(slot, _pick(scaled, part)) for part in todo[1:]]
            if slot == todo[0].slots[-1]:
                damage = tally.errors - errors if todo[0].is_first else 0
                yield MadePart(tuple(encoder.finish() for encoder in encoders), damage)
                for part in todo[1:]:
                    encoders = _open_encoders(job, part, tracks)
                    for place, pictures in waiting:
                        _encode(encoders, place, pictures)
                    yield MadePart(tuple(encoder.finish() for encoder in encoders), 0)
                waiting = []


def _open_encoders(job: ChunkJob, part: StepPart, tracks: Sequence[RungTrack]) -> list[StepEncoder]:
    return [
        StepEncoder(job.rungs[place], job.grid, part.slots, tracks[place].buffer_share)
        for place in part.rungs
    ]


def _pick(scaled: Sequence[VideoFrame], part: StepPart) -> list[VideoFrame]:
    return [scaled[place] for place in part.rungs]


def _encode(encoders: Sequence[StepEncoder], slot: int, pictures: Sequence[VideoFrame]) -> None:
    for encoder, picture in zip(encoders, pictures, strict=True):
        encoder.encode(picture, slot)
