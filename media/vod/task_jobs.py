"""What each kind of task is given: the payloads that travel to a worker.

Pure, and plain data. Whoever runs a plan's task asks `get_job`; the payload names all it needs, so
any task can be repeated anywhere with the same result.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.vod.grid import FrameGrid
from media.vod.info import AudioInfo, VideoInfo
from media.vod.ladder import Rung
from media.vod.plan import EVEN, OPUS, QUALITY, Chunk, PlanTask, TranscodePlan
from media.vod.records import AUDIO_TRACK, STORYBOARD
from media.vod.titles import list_looked_sizes


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
    key_id: str = ""
    """Of the key its segments are encrypted with."""
    hint: str = ""
    """SHA-256 of the source's index where that came ahead of it: steps may have been made by it."""

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
    track: str = AUDIO_TRACK
    evens_loudness: bool = True
    codec: str = "aac"
    key_id: str = ""
    """Of the key its segments are encrypted with."""
    only_uneven: bool = False
    """Whether nothing is made of what is as loud as others already."""

    @property
    def segments(self) -> int:
        """How many segments it makes."""
        return min(self.grid.segments, self.segments_max or self.grid.segments)


@dataclass(frozen=True)
class PictureJob:
    """What the tasks "thumbnails", "storyboard" and "preview" are given."""

    task_id: str
    video_id: str
    source_key: str
    video: VideoInfo
    grid: FrameGrid


@dataclass(frozen=True)
class QualityJob:
    """What the quality task is given: displayed sizes, largest first."""

    task_id: str
    video_id: str
    source_key: str
    video: VideoInfo
    grid: FrameGrid
    sizes: tuple[tuple[int, int], ...]
    hint: str = ""
    """SHA-256 of the source's index where that came ahead of it, which a head start measured by."""


@dataclass(frozen=True)
class CoverJob:
    """What the cover task is given: where the file has its picture."""

    task_id: str
    video_id: str
    source_key: str
    stream_index: int


@dataclass(frozen=True)
class CopyJob:
    """What copy tasks are given: the rung that is the source itself, perhaps with its sound."""

    task_id: str
    video_id: str
    source_key: str
    video: VideoInfo
    audio: AudioInfo | None
    grid: FrameGrid
    rung: Rung
    audio_track: str = AUDIO_TRACK
    segments_max: int | None = None
    """Only so many of the picture's first segments, and as much sound."""


Job = ChunkJob | AudioJob | PictureJob | CopyJob | CoverJob | QualityJob


def get_job(plan: TranscodePlan, task_id: str) -> Job:
    """The payload of one task of the plan; raises KeyError."""
    task = next((task for task in plan.tasks if task.task_id == task_id), None)
    if task is None:
        raise KeyError(task_id)
    if task.kind in ("audio", "waveform"):
        return _get_audio_job(plan, task)
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
            plan.audio_track,
            task.chunk or None,
        )
    if task.kind in ("thumbnails", STORYBOARD, "preview"):
        return PictureJob(task_id, plan.video_id, plan.source_key, plan.info.video, plan.grid)
    if task.kind == QUALITY:
        return QualityJob(
            task_id,
            plan.video_id,
            plan.source_key,
            plan.info.video,
            plan.grid,
            list_looked_sizes(plan),
            plan.hint,
        )
    return ChunkJob(
        task_id=task_id,
        video_id=plan.video_id,
        source_key=plan.source_key,
        video=plan.info.video,
        grid=plan.grid,
        chunk=plan.chunks[task.chunk],
        rungs=next(group.rungs for group in plan.groups if group.name == task.group),
        key_id=plan.key_id,
        hint=plan.hint,
    )


def _get_audio_job(plan: TranscodePlan, task: PlanTask) -> AudioJob:
    assert plan.info.audio is not None, "an audio task was planned for a silent source"
    names = {OPUS: plan.opus_track, EVEN: plan.even_track}
    return AudioJob(
        task.task_id,
        plan.video_id,
        plan.source_key,
        plan.info.audio,
        plan.grid,
        task.chunk or None,
        names.get(task.group, plan.audio_track),
        plan.recipe.evens_loudness,
        OPUS if task.group == OPUS else "aac",
        plan.key_id,
        only_uneven=task.group == EVEN,
    )
