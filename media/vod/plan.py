"""The plan of a transcode: a constant frame grid, four-second segments, chunks, and their order.

Pure, and plain data that becomes JSON. Made once per video by the coordinator and stored; every
chunk task works from it alone, so any chunk can be repeated anywhere with the same result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from media.vod.info import AudioInfo, MediaInfo, VideoInfo
from media.vod.ladder import Rung, decide_ladder, decide_source_bps
from media.vod.records import STORYBOARD

SEGMENT_S = 4
CHUNK_SEGMENTS_MAX = 8
OPENING_CHUNKS = (1, 2, 4)
"""Segments of a long video's first chunks: four seconds play while the next eight are being made,
which takes a core about one."""
OPENING_SOUND_SEGMENTS = (3, 32)
"""Sound made ahead of the rest: for the first two chunks, then for as long as the whole takes to
encode beside one worker (an hour: about 80 s). It is made again, to the same bytes."""
LARGE_SHORT_SIDE = 1080
AUDIO_TASK = "audio"
COPY_TASK = "copy"
FPS_MAX = 60
FPS_MIN = 5
SOUND_GRID_FPS = Fraction(50)
"""Sound alone has no frames; its length is counted in such steps."""
COVER_TASK = "cover"
WAVEFORM_TASK = "waveform"
USUAL_RATES = tuple(
    Fraction(rate)
    for rate in ("24000/1001", "24", "25", "30000/1001", "30", "48", "50", "60000/1001", "60")
)
USUAL_TOLERANCE = Fraction(1, 2000)
PADDING_S_MAX = 0.25
TICKS_PER_S = 90_000
TICKS_PER_S_MIN = 10_000


@dataclass(frozen=True)
class FrameGrid:
    """Output frame i is shown at i / fps and lasts `frame_ticks` of `timescale`."""

    fps: Fraction
    timescale: int
    frame_ticks: int
    segment_frames: int
    frames: int
    origin_us: int
    """The source's clock at frame 0, in microseconds."""

    @property
    def segments(self) -> int:
        """How many segments the whole video has."""
        return math.ceil(self.frames / self.segment_frames)

    @property
    def segment_s(self) -> Fraction:
        """Length of every segment but the last, in seconds."""
        return self.segment_frames / self.fps

    @property
    def duration_s(self) -> Fraction:
        """Length of the whole video in seconds."""
        return self.frames / self.fps

    def slot_of(self, source_s: Fraction) -> int:
        """The output frame nearest to a moment of the source's clock."""
        since_origin_s = source_s - Fraction(self.origin_us, 1_000_000)
        return math.floor(since_origin_s * self.fps + Fraction(1, 2))

    def source_s_of(self, slot: int) -> Fraction:
        """The moment of the source's clock that output frame `slot` shows."""
        return slot / self.fps + Fraction(self.origin_us, 1_000_000)


@dataclass(frozen=True)
class Chunk:
    """A run of whole segments that one task encodes."""

    index: int
    first_segment: int
    segments: int


@dataclass(frozen=True)
class RungGroup:
    """Rungs that are encoded together from one decode; largest first."""

    name: str
    rungs: tuple[Rung, ...]


@dataclass(frozen=True)
class PlanTask:
    """One unit of work; `task_id` is unique within the video and names its record."""

    task_id: str
    kind: Literal["audio", "thumbnails", "storyboard", "chunk", "copy", "cover", "waveform"]
    """Also the name under which the media pool runs it."""
    group: str = ""
    chunk: int = 0
    """Which chunk; for sound, how many segments of its beginning, 0 being all."""


@dataclass(frozen=True)
class TranscodePlan:
    """All that is decided about one video before the first frame is decoded."""

    video_id: str
    source_key: str
    info: MediaInfo
    grid: FrameGrid
    chunks: tuple[Chunk, ...]
    groups: tuple[RungGroup, ...]
    tasks: tuple[PlanTask, ...]
    """In the order they should run: the opening first, then the smallest picture, then the rest."""
    copied: Rung | None = None
    """The source's own picture, passed on by the task "copy" as it is."""
    copies_sound: bool = False

    @property
    def has_audio(self) -> bool:
        """Whether there is a sound track to make."""
        return self.info.audio is not None


@dataclass(frozen=True)
class ChunkJob:
    """What a chunk task is given: some segments of some rungs (largest first)."""

    task_id: str
    video_id: str
    source_key: str
    video: VideoInfo
    grid: FrameGrid
    chunk: Chunk
    rungs: tuple[Rung, ...]

    @property
    def slots(self) -> range:
        """The output frames of this chunk."""
        start = self.chunk.first_segment * self.grid.segment_frames
        stop = start + self.chunk.segments * self.grid.segment_frames
        return range(start, min(stop, self.grid.frames))


@dataclass(frozen=True)
class AudioJob:
    """What sound and waveform tasks are given: all of the sound, or its first segments."""

    task_id: str
    video_id: str
    source_key: str
    audio: AudioInfo
    grid: FrameGrid
    segments_max: int | None = None

    @property
    def segments(self) -> int:
        """How many segments it makes."""
        return min(self.grid.segments, self.segments_max or self.grid.segments)


@dataclass(frozen=True)
class PictureJob:
    """What the tasks "thumbnails" and "storyboard" are given."""

    task_id: str
    video_id: str
    source_key: str
    video: VideoInfo
    grid: FrameGrid


@dataclass(frozen=True)
class CoverJob:
    """What the cover task is given: where the file has its picture."""

    task_id: str
    video_id: str
    source_key: str
    stream_index: int


@dataclass(frozen=True)
class CopyJob:
    """What the copy task is given: the rung that is the source itself, perhaps with its sound."""

    task_id: str
    video_id: str
    source_key: str
    video: VideoInfo
    audio: AudioInfo | None
    grid: FrameGrid
    rung: Rung


Job = ChunkJob | AudioJob | PictureJob | CopyJob | CoverJob


def plan_video(
    info: MediaInfo,
    *,
    video_id: str,
    source_key: str,
    segments_max: int = CHUNK_SEGMENTS_MAX,
) -> TranscodePlan:
    """Decide grid, chunks (of at most `segments_max`), rungs and order for one probed source."""
    grid = decide_grid(info)
    chunks = decide_chunks(grid.segments, segments_max)
    if info.video is None:
        tasks = list_sound_tasks(grid, has_cover=info.cover_index is not None)
        return TranscodePlan(video_id, source_key, info, grid, chunks, (), tasks)
    source_bps = decide_source_bps(info.video.codec, info.video.bit_rate_bps)
    ladder = decide_ladder(info.video.width, info.video.height, float(grid.fps), source_bps)
    copied = ladder[-1] if info.copyable else None
    copies_sound = info.copyable is not None and info.copyable.sound
    groups = decide_groups(ladder[:-1] if copied else ladder)
    makes_sound = info.audio is not None and not copies_sound
    tasks = list_tasks(grid, chunks, groups, makes_sound=makes_sound)
    return TranscodePlan(
        video_id=video_id,
        source_key=source_key,
        info=info,
        grid=grid,
        chunks=chunks,
        groups=groups,
        tasks=(PlanTask(COPY_TASK, "copy"), *tasks) if copied else tasks,
        copied=copied,
        copies_sound=copies_sound,
    )


def list_tasks(
    grid: FrameGrid, chunks: tuple[Chunk, ...], groups: tuple[RungGroup, ...], *, makes_sound: bool
) -> tuple[PlanTask, ...]:
    """All that is encoded: what the first seconds need, what all needs, then what is finer."""
    pieces = [
        PlanTask(f"{group.name}-{chunk.index:05d}", "chunk", group.name, chunk.index)
        for group in groups
        for chunk in chunks
    ]
    pictures = (PlanTask("thumbnails", "thumbnails"), PlanTask(STORYBOARD, STORYBOARD))
    if not makes_sound:
        return (*pieces[:1], *pictures, *pieces[1:])
    *early, sound = list_sound(grid)
    if not early:
        return (sound, *pieces[:1], *pictures, *pieces[1:])
    opening, more = early
    ahead = sum(chunk.first_segment + chunk.segments <= more.chunk for chunk in chunks)
    heard = sum(chunk.first_segment + chunk.segments <= opening.chunk for chunk in chunks)
    return (
        opening,
        *pieces[:heard],
        more,
        *pieces[heard:ahead],
        sound,
        *pictures,
        *pieces[ahead:],
    )


def list_sound(grid: FrameGrid) -> tuple[PlanTask, ...]:
    """The tasks that make the sound; of a long one its beginning first, in two steps."""
    opening, more = OPENING_SOUND_SEGMENTS
    sound = PlanTask(AUDIO_TASK, "audio")
    if grid.segments <= more:
        return (sound,)
    return (
        PlanTask(f"{AUDIO_TASK}-opening", "audio", chunk=opening),
        PlanTask(f"{AUDIO_TASK}-more", "audio", chunk=more),
        sound,
    )


def list_sound_tasks(grid: FrameGrid, *, has_cover: bool) -> tuple[PlanTask, ...]:
    """All that is made of sound alone."""
    cover = (PlanTask(COVER_TASK, "cover"),) if has_cover else ()
    return (*list_sound(grid), *cover, PlanTask(WAVEFORM_TASK, "waveform"))


def decide_groups(ladder: tuple[Rung, ...]) -> tuple[RungGroup, ...]:
    """The smallest rung alone, so that it plays soon; the others together from one decode.

    Rungs above 1080p are a group of their own: encoders of all at once would fill the memory.
    """
    parts = {
        "first": ladder[:1],
        "rest": [rung for rung in ladder[1:] if not _is_large(rung)],
        "large": [rung for rung in ladder[1:] if _is_large(rung)],
    }
    return tuple(RungGroup(name, tuple(reversed(part))) for name, part in parts.items() if part)


def _is_large(rung: Rung) -> bool:
    return min(rung.width, rung.height) > LARGE_SHORT_SIDE


def get_job(plan: TranscodePlan, task_id: str) -> Job:
    """The payload of one task of the plan; raises KeyError."""
    task = next((task for task in plan.tasks if task.task_id == task_id), None)
    if task is None:
        raise KeyError(task_id)
    if task.kind in ("audio", "waveform"):
        assert plan.info.audio is not None, "an audio task was planned for a silent source"
        return AudioJob(
            task_id,
            plan.video_id,
            plan.source_key,
            plan.info.audio,
            plan.grid,
            task.chunk or None,
        )
    if task.kind == "cover":
        assert plan.info.cover_index is not None, "a cover was planned for a file without one"
        return CoverJob(task_id, plan.video_id, plan.source_key, plan.info.cover_index)
    assert plan.info.video is not None, "pictures were planned for sound alone"
    if task.kind == "copy":
        assert plan.copied is not None, "a copy task was planned without a rung"
        return CopyJob(
            task_id,
            plan.video_id,
            plan.source_key,
            plan.info.video,
            plan.info.audio if plan.copies_sound else None,
            plan.grid,
            plan.copied,
        )
    if task.kind in ("thumbnails", STORYBOARD):
        return PictureJob(task_id, plan.video_id, plan.source_key, plan.info.video, plan.grid)
    return ChunkJob(
        task_id=task_id,
        video_id=plan.video_id,
        source_key=plan.source_key,
        video=plan.info.video,
        grid=plan.grid,
        chunk=plan.chunks[task.chunk],
        rungs=next(group.rungs for group in plan.groups if group.name == task.group),
    )


def decide_grid(info: MediaInfo) -> FrameGrid:
    """A constant rate at most 60, with whole frames per segment and whole ticks per frame."""
    fps = decide_frame_rate(info.video.fps) if info.video else SOUND_GRID_FPS
    frame_ticks = TICKS_PER_S / fps
    timescale = TICKS_PER_S
    if frame_ticks.denominator != 1:
        timescale = fps.numerator * math.ceil(TICKS_PER_S_MIN / fps.numerator)
        frame_ticks = timescale / fps
    return FrameGrid(
        fps=fps,
        timescale=timescale,
        frame_ticks=int(frame_ticks),
        segment_frames=round(SEGMENT_S * fps),
        frames=max(1, round(_decide_length_s(info) * fps)),
        origin_us=info.origin_us,
    )


def _decide_length_s(info: MediaInfo) -> Fraction:
    """The picture's length; sound that goes on is followed, a codec's padding is not."""
    has_more_sound = info.duration_s - info.picture_s > PADDING_S_MAX
    length_s = info.duration_s if has_more_sound else info.picture_s
    return Fraction(length_s).limit_denominator(1_000_000)


def decide_frame_rate(source_fps: Fraction) -> Fraction:
    """The source's rate, divided until it is at most 60; the usual rate when it is near one."""
    # The tolerance keeps 60.01 from becoming 30.
    divisor = math.ceil(source_fps / FPS_MAX * (1 - USUAL_TOLERANCE))
    fps = max(source_fps / max(1, divisor), Fraction(FPS_MIN))
    for rate in USUAL_RATES:
        if abs(fps - rate) <= rate * USUAL_TOLERANCE:
            return rate
    return fps.limit_denominator(1001)


def decide_chunks(segments: int, segments_max: int) -> tuple[Chunk, ...]:
    """Runs of at most `segments_max` segments: short ones first, then as even as they can be."""
    borders = [0]
    for opening in OPENING_CHUNKS:
        if segments - borders[-1] > segments_max > opening:
            borders.append(borders[-1] + opening)
    first = borders.pop()
    count = math.ceil((segments - first) / segments_max)
    borders += [first + (segments - first) * n // count for n in range(count + 1)]
    count = len(borders) - 1
    return tuple(
        Chunk(index=n, first_segment=borders[n], segments=borders[n + 1] - borders[n])
        for n in range(count)
    )
