"""A recording or clip as a video: the listed segments of a live under a video's names.

The edge's catalog asks for it where a video has no plan. Nothing is copied: `keys` says where the
bytes of each name are. Gaps are left out; what follows one is discontinuous.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from media.live.fragments import AUDIO, VIDEO
from media.vod.hls import Track, build_master_playlist, build_media_playlist
from media.vod.publish import Publication, list_files, write_subtitles
from media.vod.records import (
    AUDIO_TRACK,
    MASTER_NAME,
    STORYBOARD_NAME,
    SegmentRecord,
    StoryboardRecord,
    TrackRecord,
    playlist_name,
    segment_name,
)
from media.vod.webvtt import build_storyboard_track
from storage.live_segments import StoredSegment, StoredTrack, make_live_key, make_segment_name
from storage.subtitles import Subtitles

NAMES = {VIDEO: VIDEO, AUDIO: AUDIO_TRACK}


def publish_recording(
    rows: Sequence[StoredSegment],
    storyboard: StoryboardRecord | None = None,
    texts: Sequence[Subtitles] = (),
) -> Publication:
    """Name what there is; a part of a track ends where the live was interrupted or changed."""
    present = [row for row in rows if row.tracks]
    if not present:
        return Publication()
    keys: dict[tuple[str, str], str] = {}
    tracks = {NAMES[track]: _build_track(track, present, keys) for track in NAMES}
    target_s = max(_measure_longest_s(track) for track in tracks.values())
    files = {
        playlist_name(name): build_media_playlist(track, target_s).encode()
        for name, track in tracks.items()
    }
    picture, sound = tracks[NAMES[VIDEO]], tracks[NAMES[AUDIO]]
    files[MASTER_NAME] = build_master_playlist([picture], [sound], None, texts).encode()
    duration_s = Fraction(measure_duration_ms(rows), 1000)
    written = write_subtitles(texts, duration_s).items()
    files |= {name: text.encode() for name, text in written}
    if storyboard is None:
        return Publication(tracks, files, texts=list_files(texts), keys=keys)
    files[STORYBOARD_NAME] = build_storyboard_track(storyboard, duration_s).encode()
    return Publication(tracks, files, storyboard.sheets, texts=list_files(texts), keys=keys)


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
            SegmentRecord(number, stored.start_ticks, stored.duration_ticks, stored.size_bytes)
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


def _measure_longest_s(track: Track) -> int:
    """RFC 8216 §4.3.3.1: seconds of the longest segment, halves up."""
    timescale = track.parts[0].timescale
    longest = max(segment.duration_ticks for segment in track.segments)
    return max(1, (2 * longest + timescale) // (2 * timescale))
