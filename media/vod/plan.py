"""The plan of a transcode: a constant frame grid, four-second segments, chunks, and their order.

Pure, and plain data that becomes JSON. Made once per version of a video by the coordinator and
stored; every chunk task works from it alone, so any chunk can be repeated anywhere with the same
result. Names of tracks and tasks differ between versions, so that both can be there at once.
"""

from __future__ import annotations

import math
from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Literal

from media.vod.grid import FrameGrid, decide_grid
from media.vod.info import MediaInfo, VideoInfo
from media.vod.ladder import Rung, decide_ladder, decide_source_bps
from media.vod.recipe import OPUS_CODECS, Recipe, name_in_version
from media.vod.records import AUDIO_TRACK, STORYBOARD
from media.vod.rung_groups import (
    RungGroup,
    decide_groups,
    decide_other_groups,
    is_large,
    needs_nvenc,
)

CHUNK_SEGMENTS_MAX = 8
OPENING_CHUNKS = (1, 2, 4)
"""Segments of a long video's first chunks: four seconds play while the next eight are being made,
which takes a core about one."""
OPENING_SEGMENTS = (3, 32)
"""Of sound, and of a picture that is passed on, what is made ahead of the rest: for the first two
chunks, then for as long as the whole takes to make beside one worker (an hour: about 80 s). It is
made again, to the same bytes."""
COPIED_AT_ONCE_SEGMENTS, COPIED_AT_ONCE_BYTES = 300, 1 << 30
"""So much of a picture is passed on to a disk in less time than its first step plays: it needs no
second."""
AUDIO_TASK = "audio"
COPY_TASK = "copy"
COVER_TASK = "cover"
WAVEFORM_TASK = "waveform"
OPUS = "opus"
EVEN = "even"
"""Group of the task that makes sound that was passed on as loud as that of others."""
X264 = "x264"
QUALITY = "quality"
QUALITY_S_MIN = 24
"""Of a shorter video it would take as long to measure what it can do without as that saves."""
VERSIONED_KINDS = ("audio", "chunk", "copy", "quality")
"""Pictures and the waveform depend on the source alone: all versions share them."""


@dataclass(frozen=True)
class Chunk:
    """A run of whole segments that one task encodes."""

    index: int
    first_segment: int
    segments: int


@dataclass(frozen=True)
class PlanTask:
    """One unit of work; `task_id` is unique within the video and names its record."""

    task_id: str
    kind: Literal[
        "audio",
        "thumbnails",
        "storyboard",
        "preview",
        "quality",
        "chunk",
        "copy",
        "cover",
        "waveform",
        "live_thumbnails",
        "live_storyboard",
        "live_preview",
        "live_join",
        "live_aac",
        "live_rungs",
    ]
    """Also the name under which the media pool runs it."""
    group: str = ""
    chunk: int = 0
    """Which chunk; for sound and copies, how many segments of the beginning, 0 being all."""

    @property
    def is_main_sound(self) -> bool:
        """Whether it is of the sound that everyone can play."""
        return self.kind == "audio" and not self.group

    @property
    def is_needed(self) -> bool:
        """Whether there is no video without it."""
        return self.group != EVEN


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
    """The source's own picture, passed on by the tasks "copy" as it is."""
    copies_sound: bool = False
    version: int = 1
    recipe: Recipe = Recipe()
    key_id: str = ""
    """Of the key its segments are encrypted with, in hex; empty: they are not."""
    hint: str = ""
    """SHA-256 of the index that was sent ahead of the file and proved right, in hex."""

    @property
    def audio_track(self) -> str:
        """Name of the sound's track."""
        return name_in_version(self.version, AUDIO_TRACK)

    @property
    def opus_track(self) -> str:
        """Name of the sound's track beside AV1 and VP9."""
        return f"{self.audio_track}-{OPUS}"

    @property
    def even_track(self) -> str:
        """Name of the sound that is as loud as others', beside the one that was passed on."""
        return f"{self.audio_track}-{EVEN}"

    @property
    def makes_opus(self) -> bool:
        """Whether there is sound beside the picture of a codec that goes with Opus."""
        has_both = self.info.audio is not None and self.info.video is not None
        return has_both and any(codec in OPUS_CODECS for codec in self.recipe.codecs)

    @property
    def has_audio(self) -> bool:
        """Whether there is a sound track to make."""
        return self.info.audio is not None


@dataclass(frozen=True)
class PlanOrder:
    """Which version of which video is to be made of what, and how."""

    video_id: str
    source_key: str
    recipe: Recipe = Recipe()
    version: int = 1
    key_id: str = ""
    """Of a protected version."""
    hint: str = ""
    """Of an index that was sent ahead of the file."""
    nvenc: bool = False
    """Whether a GPU that encodes is there."""
    is_near: bool = False
    """Whether what is made is written to a disk of this machine, and not to a bucket."""


def plan_video(
    info: MediaInfo, order: PlanOrder, *, segments_max: int = CHUNK_SEGMENTS_MAX
) -> TranscodePlan:
    """Decide grid, chunks (of at most `segments_max`), rungs and order for one probed source."""
    assert bool(order.key_id) == order.recipe.is_protected, "a protected version has a key"
    assert not (order.key_id and order.recipe.codecs), "only H.264 and AAC are encrypted"
    grid = decide_grid(info)
    chunks = decide_chunks(grid.segments, segments_max)
    bare = TranscodePlan(
        video_id=order.video_id,
        source_key=order.source_key,
        info=info,
        grid=grid,
        chunks=chunks,
        groups=(),
        tasks=(),
        version=order.version,
        recipe=order.recipe,
        key_id=order.key_id,
        hint=order.hint,
    )
    if info.video is None:
        tasks = list_sound_tasks(grid, has_cover=info.cover_index is not None)
        return replace(bare, tasks=_name_tasks(tasks, order.version))
    ladder = _plan_ladder(bare, info.video)
    may_copy = info.copyable is not None and _is_whole_size(ladder[-1], info.video)
    if order.key_id:
        may_copy = False  # slices of other encoders may be too many, or of any shape
    copied = ladder[-1] if may_copy else None
    evens = order.recipe.evens_loudness
    copies_sound = info.copyable is not None and may_copy and info.copyable.sound
    if evens and order.version > 1:
        copies_sound = False  # nobody waits for it: its sound is even at once
    # Encrypting reads slices as x264 writes them.
    nvenc = order.nvenc and not order.key_id
    groups = decide_groups(ladder[:-1] if copied else ladder, nvenc=nvenc)
    makes_sound = info.audio is not None and not copies_sound
    tasks = list_tasks(grid, chunks, groups, makes_sound=makes_sound)
    others = decide_other_groups(ladder, order.recipe.codecs)
    tasks += list_pieces_of(others, chunks)
    if copied:
        opening, *more = _list_in_steps(COPY_TASK, "copy", grid)
        if order.is_near and _is_soon_copied(grid, info):
            more = more[-1:]
        heard = int(makes_sound)
        tasks = (opening, *tasks[:heard], *more, *tasks[heard:])
    if copies_sound and evens and bare.has_audio:
        tasks = _even_later(tasks, groups)
    if bare.makes_opus:
        tasks += (PlanTask(f"{AUDIO_TASK}-{OPUS}", "audio", OPUS),)
    groups += others
    if grid.duration_s >= QUALITY_S_MIN:
        tasks = _look_first(tasks, groups)
    return replace(
        bare,
        groups=groups,
        tasks=_name_tasks(tasks, order.version),
        copied=copied,
        copies_sound=copies_sound,
    )


def _is_soon_copied(grid: FrameGrid, info: MediaInfo) -> bool:
    is_short = grid.segments <= COPIED_AT_ONCE_SEGMENTS
    return is_short and info.size_bytes <= COPIED_AT_ONCE_BYTES


def _look_first(tasks: tuple[PlanTask, ...], groups: tuple[RungGroup, ...]) -> tuple[PlanTask, ...]:
    """Put the quality task, if any piece awaits it, behind what the first seconds need."""
    if not any(task.kind == "chunk" and task.group != groups[0].name for task in tasks):
        return tasks
    place = next(n for n, task in enumerate(tasks) if task.kind == "thumbnails")
    return (*tasks[:place], PlanTask(QUALITY, "quality"), *tasks[place:])


def _even_later(tasks: tuple[PlanTask, ...], groups: tuple[RungGroup, ...]) -> tuple[PlanTask, ...]:
    """Put the even sound behind what plays soon and before finer pictures, which take longer."""
    first = groups[0].name if groups else ""
    finer = (n for n, it in enumerate(tasks) if it.kind == "chunk" and it.group != first)
    place = next(finer, len(tasks))
    return (*tasks[:place], PlanTask(f"{AUDIO_TASK}-{EVEN}", "audio", EVEN), *tasks[place:])


def _plan_ladder(bare: TranscodePlan, video: VideoInfo) -> tuple[Rung, ...]:
    """The rungs of a version, under the names of their tracks."""
    source_bps = decide_source_bps(video.codec, video.bit_rate_bps)
    ladder = decide_ladder(
        video.width,
        video.height,
        float(bare.grid.fps),
        source_bps,
        short_side_max=bare.recipe.short_side_max,
    )
    return tuple(replace(it, name=name_in_version(bare.version, it.name)) for it in ladder)


def _is_whole_size(rung: Rung, video: VideoInfo) -> bool:
    return (rung.width, rung.height) == (video.width, video.height)


def _name_tasks(tasks: tuple[PlanTask, ...], version: int) -> tuple[PlanTask, ...]:
    return tuple(
        replace(task, task_id=name_in_version(version, task.task_id))
        if task.kind in VERSIONED_KINDS
        else task
        for task in tasks
    )


def list_tracks(plan: TranscodePlan) -> tuple[str, ...]:
    """Names of all tracks of a version: the folders of its segments."""
    rungs = [rung.name for group in plan.groups for rung in group.rungs]
    copied = [plan.copied.name] if plan.copied else []
    return (*rungs, *copied, plan.audio_track, plan.opus_track, plan.even_track)


def list_pieces(plan: TranscodePlan) -> tuple[str, ...]:
    """Ids of the tasks that are of this version alone."""
    return tuple(task.task_id for task in plan.tasks if task.kind in VERSIONED_KINDS)


def list_tasks(
    grid: FrameGrid, chunks: tuple[Chunk, ...], groups: tuple[RungGroup, ...], *, makes_sound: bool
) -> tuple[PlanTask, ...]:
    """All that is encoded: what the first seconds need, what all needs, then what is finer."""
    pieces = list_pieces_of(groups, chunks)
    pictures = (PlanTask("thumbnails", "thumbnails"), PlanTask(STORYBOARD, STORYBOARD))
    preview = PlanTask("preview", "preview")
    if not makes_sound:
        return (*pieces[:1], *pictures, *pieces[1:], preview)
    *early, sound = _list_in_steps(AUDIO_TASK, "audio", grid)
    if not early:
        return (sound, *pieces[:1], *pictures, *pieces[1:], preview)
    opening, more = early
    ahead = sum(chunk.first_segment + chunk.segments <= more.chunk for chunk in chunks)
    heard = sum(chunk.first_segment + chunk.segments <= opening.chunk for chunk in chunks)
    begun = (opening, *pieces[:heard], more, *pieces[heard:ahead], sound)
    return (*begun, *pictures, *pieces[ahead:], preview)


def list_pieces_of(
    groups: tuple[RungGroup, ...], chunks: tuple[Chunk, ...]
) -> tuple[PlanTask, ...]:
    """Every chunk of every group."""
    return tuple(
        PlanTask(f"{group.name}-{chunk.index:05d}", "chunk", group.name, chunk.index)
        for group in groups
        for chunk in chunks
    )


def _list_in_steps(
    name: str, kind: Literal["audio", "copy"], grid: FrameGrid
) -> tuple[PlanTask, ...]:
    """The tasks that make a whole track; of a long one its beginning first, in two steps."""
    opening, more = OPENING_SEGMENTS
    whole = PlanTask(name, kind)
    if grid.segments <= more:
        return (whole,)
    return (
        PlanTask(f"{name}-opening", kind, chunk=opening),
        PlanTask(f"{name}-more", kind, chunk=more),
        whole,
    )


def list_sound_tasks(grid: FrameGrid, *, has_cover: bool) -> tuple[PlanTask, ...]:
    """All that is made of sound alone."""
    cover = (PlanTask(COVER_TASK, "cover"),) if has_cover else ()
    return (*_list_in_steps(AUDIO_TASK, "audio", grid), *cover, PlanTask(WAVEFORM_TASK, "waveform"))


def name_encoders(plan: TranscodePlan) -> dict[str, str]:
    """What makes each size of H.264, by what people call it."""
    rungs = [rung for group in plan.groups for rung in group.rungs if rung.codec == "h264"]
    return {rung.quality: rung.encoder or X264 for rung in rungs}


def give_up_nvenc(plan: TranscodePlan, done: Set[str]) -> TranscodePlan:
    """The plan without a GPU: what it did not finish is made anew by x264, under other names.

    `done` are finished tasks. A rung stays of one encoder: the pieces that a GPU made of an
    unfinished one are made again.
    """
    groups: list[RungGroup] = []
    tasks = list(plan.tasks)
    for group in plan.groups:
        pieces = [it for it in plan.tasks if it.kind == "chunk" and it.group == group.name]
        if not needs_nvenc(group.rungs) or all(it.task_id in done for it in pieces):
            groups.append(group)
            continue
        rungs = [replace(it, name=f"{it.name}-{X264}", encoder="") for it in group.rungs]
        instead = {
            f"rest-{X264}": tuple(it for it in rungs if not is_large(it)),
            f"large-{X264}": tuple(it for it in rungs if is_large(it)),
        }
        made = tuple(RungGroup(name, part) for name, part in instead.items() if part)
        place = tasks.index(pieces[0])
        tasks = [it for it in tasks if it not in pieces]
        tasks[place:place] = _name_tasks(list_pieces_of(made, plan.chunks), plan.version)
        groups += made
    return replace(plan, groups=tuple(groups), tasks=tuple(tasks))


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
