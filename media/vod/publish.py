"""What of a video can be watched by now: its tracks, and the playlists that name them.

The edge's catalog calls it with the rows of finished tasks; nothing of it is stored. A rung appears
once all its chunks are there; the first one (the smallest, or the source's own picture) and the
sound grow from the first seconds on, in playlists of type EVENT that become VOD. It encodes
nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from media.vod.dash import build_manifest
from media.vod.grid import FrameGrid
from media.vod.hls import (
    Beside,
    Track,
    build_keys_playlist,
    build_master_playlist,
    build_media_playlist,
    build_subtitles_playlist,
    choose_sound,
    join_track,
)
from media.vod.plan import EVEN, OPUS, PlanTask, TranscodePlan
from media.vod.records import (
    AUDIO_FRAME_SAMPLES,
    AUDIO_RATE_HZ,
    MANIFEST_NAME,
    MASTER_NAME,
    STORYBOARD,
    STORYBOARD_NAME,
    WAVEFORM_NAME,
    JoinRecord,
    StoryboardRecord,
    TaskRecord,
    TrackRecord,
    keys_playlist_name,
    playlist_name,
    subtitles_playlist_name,
)
from media.vod.rung_groups import RungGroup
from media.vod.tiles import build_tiles_playlist
from media.vod.webvtt import build_storyboard_track
from storage.subtitles import Subtitles

AUDIO_SLACK = Fraction(2 * AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ)
"""How much longer than the picture's a segment of sound may be."""


@dataclass(frozen=True)
class Publication:
    """What can be watched now: tracks by name, and playlists' bytes by file name."""

    tracks: dict[str, Track] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    sheets: int = 0
    """How many sheets the storyboard has."""
    candidates: int = 0
    """How many pictures the owner may choose from."""
    texts: frozenset[str] = frozenset()
    """Files of subtitles."""
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    """Where the bytes of a track's file are that do not lie in the video's own folder."""
    joined: JoinRecord | None = None
    """Of a recording: how its parts lie in one file."""
    key_id: str = ""
    """Of the key its segments are encrypted with, in hex; empty: they are not."""
    former: dict[str, bytes] = field(default_factory=dict)
    """Playlists that nothing names any more, for players that began with them."""

    @property
    def is_playable(self) -> bool:
        """Whether there is anything to watch."""
        return MASTER_NAME in self.files

    @property
    def rungs(self) -> tuple[str, ...]:
        """Names of the rungs that every player can play, smallest first."""
        tracks = [it for it in self.tracks.values() if not it.is_sound and not it.is_extra]
        return tuple(track.name for track in sorted(tracks, key=lambda track: track.pixels))

    @property
    def sound(self) -> Track | None:
        """The sound to be preferred, if there is any, of those that most players can play."""
        sounds = [track for track in self.tracks.values() if track.is_sound]
        return min(sounds, key=lambda track: track.is_extra, default=None)

    @property
    def segments(self) -> int:
        """How many segments are named."""
        return sum(len(track.segments) for track in self.tracks.values())


def publish(
    plan: TranscodePlan, records: Mapping[str, TaskRecord], texts: Sequence[Subtitles] = ()
) -> Publication:
    """Name all there is, from finished tasks by task id; CPU time by length."""
    tracks = {
        name: replace(track, key_id=plan.key_id)
        for name, track in decide_tracks(plan, records).items()
    }
    audio = tracks.get(plan.audio_track)
    rungs = [track for track in tracks.values() if not track.is_sound]
    sounds = _choose_sounds(tracks, rungs)
    if (not rungs and plan.info.video) or (audio is None and plan.has_audio):
        return Publication()
    storyboard = next((found for r in records.values() if (found := r.storyboard)), None)
    beside = Beside(storyboard, texts)
    files = _write_playlists(plan, tracks, beside)
    peaks = next((found for r in records.values() if (found := r.peaks)), ())
    if peaks:
        files[WAVEFORM_NAME] = build_waveform(peaks, plan.grid.duration_s)
    if storyboard is not None:
        files[STORYBOARD_NAME] = build_storyboard_track(storyboard, plan.grid.duration_s)
    if all(task.task_id in records for task in plan.tasks):
        files[MANIFEST_NAME] = build_manifest(
            rungs,
            sounds,
            beside,
            fps=plan.grid.fps,
            are_aligned=plan.copied is None,
        )
    coded = {name: text.encode() for name, text in files.items()}
    passed_on = playlist_name(plan.audio_track)
    former = {passed_on: coded.pop(passed_on)} if plan.even_track in tracks else {}
    pictures = next((found for r in records.values() if (found := r.images)), ())
    sheets = 0 if storyboard is None else storyboard.sheets
    candidates = max(0, len(pictures) - 1)
    return Publication(
        tracks,
        coded,
        sheets,
        candidates,
        list_files(texts),
        key_id=plan.key_id,
        former=former,
    )


def _choose_sounds(tracks: Mapping[str, Track], rungs: Sequence[Track]) -> list[Track]:
    """The sounds that some picture goes with; without pictures, the one there is."""
    sounds = [track for track in tracks.values() if track.is_sound]
    if not rungs:
        return sounds[:1]
    chosen = [choose_sound(rung, sounds) for rung in rungs]
    return [sound for sound in sounds if sound in chosen]


def write_subtitles(texts: Sequence[Subtitles], duration_s: Fraction) -> dict[str, str]:
    """The playlist of every language."""
    return {
        subtitles_playlist_name(each.language): build_subtitles_playlist(each, duration_s)
        for each in texts
    }


def write_tiles(storyboard: StoryboardRecord | None, duration_s: Fraction) -> dict[str, str]:
    """The playlist of the storyboard's sheets, if there is one."""
    if storyboard is None:
        return {}
    return {playlist_name(STORYBOARD): build_tiles_playlist(storyboard, duration_s)}


def list_files(texts: Sequence[Subtitles]) -> frozenset[str]:
    """Names of the objects that hold the texts."""
    return frozenset(each.file for each in texts)


def build_waveform(peaks: Sequence[int], duration_s: Fraction) -> str:
    """JSON that a player draws: as many peaks, 0 to 100, as equal pieces of the duration."""
    return json.dumps({"duration_ms": round(duration_s * 1000), "peaks": list(peaks)})


def _write_playlists(
    plan: TranscodePlan, tracks: Mapping[str, Track], beside: Beside
) -> dict[str, str]:
    """The list of variants, and the media playlist of every track that it names, or named before.

    Media playlists of one video are alike (RFC 8216 §6.2.4): of one target and one type, and none
    ends more than a segment after the others. So all are EVENT as long as one grows; keyframes,
    texts and the storyboard, which need not be alike, may only be named with VOD.
    """
    shown = cut_alike(tracks)
    is_whole = all(track.is_whole for track in shown.values())
    target_s = max(_decide_target_s(plan), *(track.target_s for track in tracks.values()))
    rungs = [replace(track, is_whole=is_whole) for track in tracks.values() if not track.is_sound]
    sounds = _choose_sounds(tracks, rungs)
    files = {
        playlist_name(name): build_media_playlist(track, target_s)
        for name, track in shown.items()
        if not track.is_sound or tracks[name] in sounds or name == plan.audio_track
    }
    if is_whole:
        files |= write_subtitles(beside.texts, plan.grid.duration_s)
        files |= {
            keys_playlist_name(name): build_keys_playlist(track, target_s)
            for name, track in shown.items()
            if track.has_keys
        }
        files |= write_tiles(beside.storyboard, plan.grid.duration_s)
    named = beside if is_whole else Beside()
    files[MASTER_NAME] = build_master_playlist(rungs, sounds, plan.grid.fps, named)
    return files


def cut_alike(tracks: Mapping[str, Track]) -> dict[str, Track]:
    """As long as one track grows: each as far as that one, and growing like it."""
    if all(track.is_whole for track in tracks.values()):
        return dict(tracks)
    end_s = min(track.duration_s for track in tracks.values())
    return {name: replace(_cut(track, end_s), is_whole=False) for name, track in tracks.items()}


def _cut(track: Track, end_s: Fraction) -> Track:
    """The segments that begin before a moment."""
    end_ticks = end_s * track.parts[0].timescale
    kept = [
        replace(part, segments=tuple(it for it in part.segments if it.start_ticks < end_ticks))
        for part in track.parts
    ]
    return replace(track, parts=tuple(part for part in kept if part.segments))


def _decide_target_s(plan: TranscodePlan) -> int:
    """What no segment is longer than, those that are still to come included."""
    copied = plan.info.copyable
    if plan.copied is None or copied is None:
        return decide_target_s(plan.grid)
    return max(decide_target_s(plan.grid), int(copied.longest_s + Fraction(1, 2)))


def decide_tracks(plan: TranscodePlan, records: Mapping[str, TaskRecord]) -> dict[str, Track]:
    """Whole tracks, and of the sound and the smallest rung what is there without a gap.

    Of two sounds that the same players play the first is preferred: the even one.
    """
    tracks = _join_beside(plan, EVEN, records)
    copies = [task for task in plan.tasks if task.kind == "copy" and task.task_id in records]
    if copies:
        longest = _choose_longest(copies)
        tracks |= {
            part.track: join_track([part], is_whole=not longest.chunk)
            for part in records[longest.task_id].tracks
        }
    sounds = [task for task in plan.tasks if task.is_main_sound and task.task_id in records]
    if sounds:
        longest = _choose_longest(sounds)
        tracks[plan.audio_track] = join_track(
            records[longest.task_id].tracks, is_whole=not longest.chunk
        )
    for group in plan.groups:
        parts = _list_parts(plan, group, records)
        is_whole = len(parts) == len(plan.chunks)
        may_grow = group is plan.groups[0] and plan.copied is None
        for rung in reversed(group.rungs) if parts and (is_whole or may_grow) else ():
            found = [track for part in parts for track in part if track.track == rung.name]
            tracks[rung.name] = join_track(found, is_whole=is_whole)
    return keep_lighter(tracks | _join_beside(plan, OPUS, records))


def _join_beside(
    plan: TranscodePlan, group: str, records: Mapping[str, TaskRecord]
) -> dict[str, Track]:
    """The sound that a task made beside the main one, by its name; none where it made nothing."""
    tasks = [task for task in plan.tasks if task.group == group and task.task_id in records]
    parts = [part for task in tasks for part in records[task.task_id].tracks]
    return {parts[0].track: join_track(parts)} if parts else {}


def _choose_longest(tasks: Sequence[PlanTask]) -> PlanTask:
    """Of the steps that made a track from its beginning, the one that got farthest."""
    return next((task for task in tasks if not task.chunk), tasks[-1])


def keep_lighter(tracks: Mapping[str, Track]) -> dict[str, Track]:
    """Leave out pictures in other codecs that take no fewer bits than H.264's of their size."""
    plain = {
        track.pixels: track.average_bps
        for track in tracks.values()
        if not track.is_sound and not track.is_extra and track.is_whole
    }
    return {
        name: track
        for name, track in tracks.items()
        if track.is_sound
        or not track.is_extra
        or track.average_bps < plain.get(track.pixels, math.inf)
    }


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
