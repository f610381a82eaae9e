"""What of a video can be watched by now: its tracks, and the playlists that name them.

The edge's catalog calls it with the rows of finished tasks; nothing of it is stored. A rung appears
once all its chunks are there; the smallest one and the sound grow from the first seconds on, in
playlists of type EVENT that become VOD. It encodes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from media.vod.hls import Track, build_master_playlist, build_media_playlist, join_track
from media.vod.plan import (
    AUDIO_TASK,
    COPY_TASK,
    OPENING_SOUND_TASK,
    FrameGrid,
    RungGroup,
    TranscodePlan,
)
from media.vod.records import (
    AUDIO_FRAME_SAMPLES,
    AUDIO_RATE_HZ,
    AUDIO_TRACK,
    MASTER_NAME,
    TaskRecord,
    TrackRecord,
    playlist_name,
)

AUDIO_SLACK = Fraction(2 * AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ)
"""How much longer than the picture's a segment of sound may be."""


@dataclass(frozen=True)
class Publication:
    """What can be watched now: tracks by name, and playlists' bytes by file name."""

    tracks: dict[str, Track] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def is_playable(self) -> bool:
        """Whether there is anything to watch."""
        return MASTER_NAME in self.files

    @property
    def rungs(self) -> tuple[str, ...]:
        """Names of the rungs that are offered, smallest first."""
        tracks = [track for name, track in self.tracks.items() if name != AUDIO_TRACK]
        return tuple(track.name for track in sorted(tracks, key=lambda track: track.pixels))

    @property
    def segments(self) -> int:
        """How many segments are named."""
        return sum(len(track.segments) for track in self.tracks.values())


def publish(plan: TranscodePlan, records: Mapping[str, TaskRecord]) -> Publication:
    """Name all there is, from finished tasks by task id; CPU time by length."""
    tracks = decide_tracks(plan, records)
    audio = tracks.get(AUDIO_TRACK)
    rungs = [track for name, track in tracks.items() if name != AUDIO_TRACK]
    if not rungs or (audio is None and plan.has_audio):
        return Publication()
    target_s = decide_target_s(plan.grid)
    files = {
        playlist_name(name): build_media_playlist(track, max(target_s, track.target_s)).encode()
        for name, track in tracks.items()
    }
    files[MASTER_NAME] = build_master_playlist(rungs, audio, plan.grid.fps).encode()
    return Publication(tracks, files)


def decide_tracks(plan: TranscodePlan, records: Mapping[str, TaskRecord]) -> dict[str, Track]:
    """Whole tracks, and of the sound and the smallest rung what is there without a gap."""
    copies = records[COPY_TASK].tracks if COPY_TASK in records else ()
    tracks = {part.track: join_track([part]) for part in copies}
    for task_id in (AUDIO_TASK, OPENING_SOUND_TASK) if AUDIO_TRACK not in tracks else ():
        if task_id in records:
            is_whole = task_id == AUDIO_TASK
            tracks[AUDIO_TRACK] = join_track(records[task_id].tracks, is_whole=is_whole)
            break
    for group in plan.groups:
        parts = _list_parts(plan, group, records)
        is_whole = len(parts) == len(plan.chunks)
        may_grow = group is plan.groups[0] and plan.copied is None
        for rung in reversed(group.rungs) if parts and (is_whole or may_grow) else ():
            found = [track for part in parts for track in part if track.track == rung.name]
            tracks[rung.name] = join_track(found, is_whole=is_whole)
    return tracks


def decide_target_s(grid: FrameGrid) -> int:
    """EXT-X-TARGETDURATION, which may not change while a playlist grows (RFC 8216 §6.2.1)."""
    longest_s = min(grid.segment_s, grid.duration_s) + AUDIO_SLACK
    return max(1, int(longest_s + Fraction(1, 2)))


def _list_parts(
    plan: TranscodePlan, group: RungGroup, records: Mapping[str, TaskRecord]
) -> list[tuple[TrackRecord, ...]]:
    """What the group's chunks recorded, from the first one up to the first that is not done."""
    parts = []
    for task in plan.tasks:
        if task.kind == "chunk" and task.group == group.name:
            if task.task_id not in records:
                break
            parts.append(records[task.task_id].tracks)
    return parts
