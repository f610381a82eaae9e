"""What is made of a recording or clip beside its playlists: its tasks, and what each is given.

Pure. The processing job asks for it each time it runs: rows of a video's segments never change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from media.live.fragments import VIDEO
from media.live.joining import JOIN_TASK, JoinJob, measure_joined_s
from media.live.pictures import Keyframe, LivePictureJob
from media.live.recording import (
    STORYBOARD_TASK,
    THUMBNAILS_TASK,
    RecordedTracks,
    build_tracks,
    measure_duration_ms,
)
from media.vod.plan import PlanTask
from media.vod.storyboard import decide_interval_s
from media.vod.thumbnails import MOMENTS
from storage.live_segments import StoredSegment, make_live_key, make_segment_name


@dataclass(frozen=True)
class RecordingPlan:
    """The tasks in their order, and what each is given by its id."""

    tasks: tuple[PlanTask, ...]
    jobs: dict[str, LivePictureJob | JoinJob]
    duration_s: Fraction


def plan_recording(video_id: str, rows: Sequence[StoredSegment]) -> RecordingPlan | None:
    """Decide what to make; None when no segment is left."""
    tracks = build_tracks(rows)
    if tracks is None:
        return None
    duration_ms = measure_duration_ms(rows)
    interval_ms = 1000 * decide_interval_s(duration_ms / 1000)
    spread = (duration_ms * (2 * number + 1) // (2 * MOMENTS) for number in range(MOMENTS))
    thumbnails = dict.fromkeys(_list_keyframes(rows, spread))
    tiles = _list_keyframes(rows, range(0, max(1, duration_ms), interval_ms))
    largest = max(tracks.picture.parts, key=lambda part: part.width * part.height)
    width, height = largest.width, largest.height
    return RecordingPlan(
        (
            PlanTask(THUMBNAILS_TASK, "live_thumbnails"),
            PlanTask(JOIN_TASK, "live_join"),
            PlanTask(STORYBOARD_TASK, "live_storyboard"),
        ),
        {
            THUMBNAILS_TASK: LivePictureJob(
                THUMBNAILS_TASK, video_id, width, height, 0, tuple(thumbnails)
            ),
            JOIN_TASK: _describe_join(video_id, tracks),
            STORYBOARD_TASK: LivePictureJob(
                STORYBOARD_TASK, video_id, width, height, interval_ms, tuple(tiles)
            ),
        },
        Fraction(duration_ms, 1000),
    )


def _describe_join(video_id: str, tracks: RecordedTracks) -> JoinJob:
    pictures, sounds = (
        tuple(tracks.keys[part.track, part.init_name] for part in track.parts)
        for track in (tracks.picture, tracks.sound)
    )
    length_s = measure_joined_s(tracks.picture, tracks.sound)
    return JoinJob(JOIN_TASK, video_id, pictures, sounds, round(length_s * 1000))


def _list_keyframes(rows: Sequence[StoredSegment], moments_ms: Iterable[int]) -> list[Keyframe]:
    """Return the keyframe shown at each moment or before; moments rise, gaps do not count.

    A recording that begins without one shows its first keyframe there.
    """
    present = [row for row in rows if row.tracks]
    has_keys = any(row.tracks[VIDEO].key_bytes for row in present)
    shown = next(row for row in present if row.tracks[VIDEO].key_bytes or not has_keys)
    found, position, end_ms = [], 0, present[0].duration_ms
    for moment_ms in moments_ms:
        while moment_ms >= end_ms and position + 1 < len(present):
            position += 1
            end_ms += present[position].duration_ms
            if present[position].tracks[VIDEO].key_bytes or not has_keys:
                shown = present[position]
        found.append(_describe_keyframe(shown))
    return found


def _describe_keyframe(row: StoredSegment) -> Keyframe:
    track = row.tracks[VIDEO]
    return Keyframe(
        make_live_key(row.live_id, row.origin_gen, VIDEO, track.init_name),
        make_live_key(row.live_id, row.origin_gen, VIDEO, make_segment_name(row.number)),
        track.key_bytes,
    )
