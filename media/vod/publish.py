"""Playlists of a video as far as it is done: written anew whenever a rung has become complete.

The coordinator calls it after each finished task. A rung appears once all its chunks are there;
the first one together with the sound. It encodes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from media.vod.hls import Track, build_master_playlist, build_media_playlist, join_track
from media.vod.plan import TranscodePlan
from media.vod.records import (
    AUDIO_TRACK,
    MASTER_NAME,
    TaskRecord,
    TrackRecord,
    playlist_key,
    playlist_name,
)
from storage.objects import ObjectStore


@dataclass(frozen=True)
class Publication:
    """What can be watched now."""

    rungs: tuple[str, ...]
    """Names of complete rungs, smallest first."""
    is_playable: bool
    is_complete: bool


def decide_tracks(plan: TranscodePlan, records: Mapping[str, TaskRecord]) -> dict[str, Track]:
    """Tracks whose every task has its record (by task id), in the plan's order."""
    parts: dict[str, list[TrackRecord]] = {}
    for task in plan.tasks:
        for track in records[task.task_id].tracks if task.task_id in records else ():
            parts.setdefault(track.track, []).append(track)
    complete: dict[str, Track] = {}
    if plan.has_audio and AUDIO_TRACK in parts:
        complete[AUDIO_TRACK] = join_track(parts[AUDIO_TRACK])
    for group in plan.groups:
        for rung in reversed(group.rungs):
            if len(parts.get(rung.name, ())) == len(plan.chunks):
                complete[rung.name] = join_track(parts[rung.name])
    return complete


def publish_playlists(
    plan: TranscodePlan, records: Mapping[str, TaskRecord], store: ObjectStore
) -> Publication:
    """Write the playlists of all complete tracks, the master last; blocks on the object store."""
    tracks = decide_tracks(plan, records)
    audio = tracks.pop(AUDIO_TRACK, None)
    is_playable = bool(tracks) and (audio is not None or not plan.has_audio)
    if is_playable:
        for track in [*tracks.values(), *([audio] if audio else [])]:
            key = playlist_key(plan.video_id, playlist_name(track.name))
            store.put_sync(key, build_media_playlist(track).encode())
        master = build_master_playlist(tuple(tracks.values()), audio, plan.grid.fps)
        store.put_sync(playlist_key(plan.video_id, MASTER_NAME), master.encode())
    return Publication(
        rungs=tuple(tracks),
        is_playable=is_playable,
        is_complete=all(task.task_id in records for task in plan.tasks),
    )
