"""A recording or clip as a video: the listed segments of a live under a video's names.

The edge's catalog asks for it where a video has no plan. Nothing is copied: `keys` says where the
bytes of each name are. Gaps are left out; what follows one is discontinuous, and a part of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from media.live.fragments import AUDIO, VIDEO
from media.live.joining import DASH, JOIN_TASK
from media.vod.dash import Beside, build_parted_manifest
from media.vod.hls import (
    Track,
    build_keys_playlist,
    build_master_playlist,
    build_media_playlist,
)
from media.vod.publish import Publication, list_files, write_subtitles
from media.vod.records import (
    AUDIO_TRACK,
    MANIFEST_NAME,
    MASTER_NAME,
    STORYBOARD,
    STORYBOARD_NAME,
    THUMBNAILS,
    SegmentRecord,
    TaskRecord,
    TrackRecord,
    keys_playlist_name,
    playlist_name,
    segment_name,
)
from media.vod.webvtt import build_storyboard_track
from storage.live_segments import StoredSegment, StoredTrack, make_live_key, make_segment_name
from storage.subtitles import Subtitles

NAMES = {VIDEO: VIDEO, AUDIO: AUDIO_TRACK}
THUMBNAILS_TASK = THUMBNAILS
STORYBOARD_TASK = STORYBOARD
TASKS = frozenset({THUMBNAILS_TASK, STORYBOARD_TASK, JOIN_TASK})
"""What is made of every recording beside its playlists."""


@dataclass(frozen=True)
class RecordedTracks:
    """Picture and sound, of the same parts, and where the bytes of each of their files are."""

    picture: Track
    sound: Track
    keys: dict[tuple[str, str], str]


def publish_recording(
    rows: Sequence[StoredSegment],
    records: Mapping[str, TaskRecord],
    texts: Sequence[Subtitles] = (),
) -> Publication:
    """Name what there is, from the records of finished tasks by task id."""
    tracks = build_tracks(rows)
    if tracks is None:
        return Publication()
    picture, sound = tracks.picture, tracks.sound
    duration_s = Fraction(measure_duration_ms(rows), 1000)
    storyboard = next((found for r in records.values() if (found := r.storyboard)), None)
    target_s = max(1, picture.target_s, sound.target_s)
    files = {
        MASTER_NAME: build_master_playlist([picture], [sound], None, texts, target_s=target_s),
        playlist_name(picture.name): build_media_playlist(picture, target_s),
        playlist_name(sound.name): build_media_playlist(sound, target_s),
        **write_subtitles(texts, duration_s),
    }
    if picture.has_keys:
        files[keys_playlist_name(picture.name)] = build_keys_playlist(picture, target_s)
    if storyboard is not None:
        files[STORYBOARD_NAME] = build_storyboard_track(storyboard, duration_s)
    joined = records.get(JOIN_TASK)
    if joined is not None and DASH not in joined.left_out and records.keys() >= TASKS:
        files[MANIFEST_NAME] = build_parted_manifest(picture, sound, Beside(storyboard, texts))
    images = next((found for r in records.values() if (found := r.images)), ())
    return Publication(
        {track.name: track for track in (picture, sound)},
        {name: text.encode() for name, text in files.items()},
        0 if storyboard is None else storyboard.sheets,
        max(0, len(images) - 1),
        list_files(texts),
        tracks.keys,
        None if joined is None else joined.joined,
    )


def build_tracks(rows: Sequence[StoredSegment]) -> RecordedTracks | None:
    """Name the segments; a part ends where the live was interrupted or changed. None: no segment.

    Both tracks have their parts at the same places.
    """
    present = [row for row in rows if row.tracks]
    if not present:
        return None
    keys: dict[tuple[str, str], str] = {}
    picture, sound = (_build_track(track, present, keys) for track in (VIDEO, AUDIO))
    return RecordedTracks(picture, sound, keys)


def measure_duration_ms(rows: Sequence[StoredSegment]) -> int:
    """How long the rows play, gaps left out."""
    return sum(row.duration_ms for row in rows if row.tracks)


def _build_track(
    track: str, rows: Sequence[StoredSegment], keys: dict[tuple[str, str], str]
) -> Track:
    parts: list[tuple[StoredTrack, str, list[SegmentRecord]]] = []
    for number, row in enumerate(rows):
        stored = row.tracks[track]
        before = rows[number - 1] if number else None
        if before is None or row.is_discontinuous or row.number != before.number + 1:
            init_name = f"{len(parts)}-{stored.init_name}"
            parts.append((stored, init_name, []))
            keys[NAMES[track], init_name] = make_live_key(
                row.live_id, row.origin_gen, track, stored.init_name
            )
        parts[-1][2].append(
            SegmentRecord(
                number,
                stored.start_ticks,
                stored.duration_ticks,
                stored.size_bytes,
                stored.key_bytes,
            )
        )
        keys[NAMES[track], segment_name(number)] = make_live_key(
            row.live_id, row.origin_gen, track, make_segment_name(row.number)
        )
    return Track(
        tuple(
            TrackRecord(
                track=NAMES[track],
                codec=stored.codec,
                init_name=init_name,
                timescale=stored.timescale,
                segments=tuple(segments),
                width=stored.width,
                height=stored.height,
                channels=stored.channels,
            )
            for stored, init_name, segments in parts
        )
    )
