"""What is made of a recording or clip beside its playlists: its tasks, and what each is given.

Pure. The processing job asks for it each time it runs: rows of a video's segments never change.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from media.live.fragments import VIDEO
from media.live.joining import JOIN_TASK, JoinJob, measure_joined_s
from media.live.pictures import Keyframe, LivePictureJob
from media.live.recorded_preview import LivePreviewJob, LiveScene
from media.live.recording import (
    STORYBOARD_TASK,
    THUMBNAILS_TASK,
    RecordedTracks,
    build_tracks,
    measure_duration_ms,
)
from media.vod.plan import PlanTask
from media.vod.preview import PREVIEW_S
from media.vod.storyboard import decide_interval_s
from media.vod.thumbnails import MOMENTS
from storage.live_segments import StoredSegment, make_live_key, make_segment_name

PREVIEW_TASK = "preview"
SHAPE_SHARE = 50
"""Shapes that differ by less than one in so many count as the same."""


@dataclass(frozen=True)
class RecordingPlan:
    """The tasks in their order, and what each is given by its id."""

    tasks: tuple[PlanTask, ...]
    jobs: dict[str, LivePictureJob | JoinJob | LivePreviewJob]
    duration_s: Fraction


def plan_recording(video_id: str, rows: Sequence[StoredSegment]) -> RecordingPlan | None:
    """Decide what to make; None when no segment is left."""
    tracks = build_tracks(rows)
    if tracks is None:
        return None
    duration_ms = measure_duration_ms(rows)
    interval_ms = 1000 * decide_interval_s(duration_ms / 1000)
    spread = (duration_ms * (2 * number + 1) // (2 * MOMENTS) for number in range(MOMENTS))
    present = [row for row in rows if row.tracks]
    looked_at = _list_shown(present, spread)
    tiles = _list_shown(present, range(0, max(1, duration_ms), interval_ms))
    largest = max(tracks.picture.parts, key=lambda part: part.width * part.height)
    width, height = largest.width, largest.height
    return RecordingPlan(
        (
            PlanTask(THUMBNAILS_TASK, "live_thumbnails"),
            PlanTask(JOIN_TASK, "live_join"),
            PlanTask(STORYBOARD_TASK, "live_storyboard"),
            PlanTask(PREVIEW_TASK, "live_preview"),
        ),
        {
            THUMBNAILS_TASK: LivePictureJob(
                THUMBNAILS_TASK,
                video_id,
                width,
                height,
                0,
                tuple(_describe_keyframe(present[place]) for place in dict.fromkeys(looked_at)),
            ),
            JOIN_TASK: _describe_join(video_id, tracks),
            STORYBOARD_TASK: LivePictureJob(
                STORYBOARD_TASK,
                video_id,
                width,
                height,
                interval_ms,
                tuple(_describe_keyframe(present[place]) for place in tiles),
            ),
            PREVIEW_TASK: LivePreviewJob(
                PREVIEW_TASK,
                video_id,
                width,
                height,
                tuple(_list_scenes(present, looked_at, (width, height))),
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


def _list_shown(present: Sequence[StoredSegment], moments_ms: Iterable[int]) -> list[int]:
    """Return the place of the keyframe shown at each moment or before; moments rise.

    A recording that begins without one shows its first keyframe there.
    """
    has_keys = any(row.tracks[VIDEO].key_bytes for row in present)
    shown = next(
        place for place, row in enumerate(present) if row.tracks[VIDEO].key_bytes or not has_keys
    )
    found, position, end_ms = [], 0, present[0].duration_ms
    for moment_ms in moments_ms:
        while moment_ms >= end_ms and position + 1 < len(present):
            position += 1
            end_ms += present[position].duration_ms
            if present[position].tracks[VIDEO].key_bytes or not has_keys:
                shown = position
        found.append(shown)
    return found


def _list_scenes(
    present: Sequence[StoredSegment], places: Iterable[int], size: tuple[int, int]
) -> Iterator[LiveScene]:
    """What a preview may show; pictures of another shape have no place in it."""
    starts_ms = list(itertools.accumulate((row.duration_ms for row in present), initial=0))
    for place in dict.fromkeys(places):
        row = present[place]
        track = row.tracks[VIDEO]
        across, down = track.width * size[1], track.height * size[0]
        if abs(across - down) * SHAPE_SHARE > across:
            continue
        yield LiveScene(
            _describe_keyframe(row),
            starts_ms[place],
            track.start_ticks * 1000 // track.timescale,
            tuple(_list_following(present, place)),
        )


def _list_following(present: Sequence[StoredSegment], place: int) -> Iterator[tuple[str, int]]:
    """Keys and lengths of segments from a place on, of the same part, until a preview is full."""
    length_ms, init_name = 0, present[place].tracks[VIDEO].init_name
    for before, row in zip([None, *present[place:]], present[place:], strict=False):
        goes_on = before is None or (
            row.number == before.number + 1
            and not row.is_discontinuous
            and row.tracks[VIDEO].init_name == init_name
        )
        if not goes_on or length_ms >= PREVIEW_S * 1000:
            return
        length_ms += row.duration_ms
        yield _make_key(row), row.duration_ms


def _make_key(row: StoredSegment) -> str:
    return make_live_key(row.live_id, row.origin_gen, VIDEO, make_segment_name(row.number))


def _describe_keyframe(row: StoredSegment) -> Keyframe:
    track = row.tracks[VIDEO]
    return Keyframe(
        make_live_key(row.live_id, row.origin_gen, VIDEO, track.init_name),
        _make_key(row),
        track.key_bytes,
    )
