"""A recording or clip as a video: the listed segments of a live under a video's names.

The edge's catalog asks for it where a video has no plan. Nothing is copied: `keys` says where the
bytes of each name are. Gaps are left out; what follows one is discontinuous, and a part of its own.
What jobs made of it beside has the same parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby

from media.live.fragments import AUDIO, VIDEO
from media.live.joining import DASH, JOIN_TASK
from media.live.packets import OPUS_FORMAT
from media.live.playlists import AAC_CODEC
from media.vod.dash import build_parted_manifest
from media.vod.hls import (
    Beside,
    Track,
    build_keys_playlist,
    build_master_playlist,
    build_media_playlist,
)
from media.vod.publish import Publication, list_files, write_subtitles, write_tiles
from media.vod.records import (
    AAC_TRACK,
    AUDIO_RATE_HZ,
    AUDIO_TRACK,
    INIT_NAME,
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

AAC_CHANNELS = 2
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
    picture, aac = tracks.picture, build_aac(tracks, records)
    sounds = [tracks.sound] if aac is None else [tracks.sound, aac]
    pictures = [picture, *build_rungs(tracks, records)]
    duration_s = Fraction(measure_duration_ms(rows), 1000)
    storyboard = next((found for r in records.values() if (found := r.storyboard)), None)
    beside = Beside(storyboard, texts)
    shown = [*pictures, *sounds]
    target_s = max(1, *(track.target_s for track in shown))
    files = {
        MASTER_NAME: build_master_playlist(pictures, sounds, None, beside, has_every_sound=True),
        **{playlist_name(each.name): build_media_playlist(each, target_s) for each in shown},
        **write_subtitles(texts, duration_s),
        **write_tiles(storyboard, duration_s),
    }
    for each in pictures:
        if each.has_keys:
            files[keys_playlist_name(each.name)] = build_keys_playlist(each, target_s)
    if storyboard is not None:
        files[STORYBOARD_NAME] = build_storyboard_track(storyboard, duration_s)
    joined = records.get(JOIN_TASK)
    if joined is not None and DASH not in joined.left_out and records.keys() >= TASKS:
        files[MANIFEST_NAME] = build_parted_manifest(pictures, sounds, beside)
    images = next((each.images for each in records.values() if each.images), ())
    return Publication(
        {track.name: track for track in shown},
        {name: text.encode() for name, text in files.items()},
        0 if storyboard is None else storyboard.sheets,
        max(0, len(images) - 1),
        list_files(texts),
        tracks.keys if aac is None else tracks.keys | _list_aac_keys(tracks),
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


def build_aac(tracks: RecordedTracks, records: Mapping[str, TaskRecord]) -> Track | None:
    """The sound for players without Opus, once all of it is made; None: not yet, or no need of it.

    Parts that came as AAC are what they are.
    """
    made: dict[str, list[SegmentRecord]] = {}
    for record in records.values():
        for track in record.tracks:
            if track.track == AAC_TRACK:
                made.setdefault(track.init_name, []).extend(track.segments)
    parts = []
    for number, part in enumerate(tracks.sound.parts):
        if part.codec != OPUS_FORMAT.codec_name:
            parts.append(replace(part, track=AAC_TRACK))
            continue
        init_name = name_part_init(number)
        segments = sorted(made.get(init_name, ()), key=lambda segment: segment.number)
        if not _is_whole(segments, part):
            return None
        parts.append(
            TrackRecord(
                AAC_TRACK,
                AAC_CODEC,
                init_name,
                AUDIO_RATE_HZ,
                tuple(segments),
                channels=AAC_CHANNELS,
            )
        )
    return Track(tuple(parts)) if made else None


def _list_aac_keys(tracks: RecordedTracks) -> dict[tuple[str, str], str]:
    """Where the bytes of parts are that came as AAC; what was made is the video's own."""
    found: dict[tuple[str, str], str] = {}
    for part in tracks.sound.parts:
        if part.codec != OPUS_FORMAT.codec_name:
            names = [part.init_name, *(segment_name(it.number) for it in part.segments)]
            found |= {(AAC_TRACK, name): tracks.keys[part.track, name] for name in names}
    return found


def build_rungs(tracks: RecordedTracks, records: Mapping[str, TaskRecord]) -> list[Track]:
    """The smaller pictures of which every segment of every part is made."""
    made: dict[str, dict[str, list[TrackRecord]]] = {}
    for record in records.values():
        for track in record.tracks:
            if track.width:
                made.setdefault(track.track, {}).setdefault(track.init_name, []).append(track)
    rungs = []
    for pieces in made.values():
        parts = []
        for number, part in enumerate(tracks.picture.parts):
            found = pieces.get(name_part_init(number), [])
            segments = sorted(
                (segment for piece in found for segment in piece.segments),
                key=lambda segment: segment.number,
            )
            if not _is_whole(segments, part):
                break
            parts.append(replace(found[0], segments=tuple(segments)))
        else:
            rungs.append(Track(tuple(parts)))
    return rungs


def _is_whole(segments: Sequence[SegmentRecord], part: TrackRecord) -> bool:
    return [it.number for it in segments] == [it.number for it in part.segments]


def name_part_init(part: int) -> str:
    """Name of the init segment of what is made of a part: of its own, so players begin anew."""
    return f"{part}-{INIT_NAME}"


def cut_pieces(lengths: Sequence[int], segments_max: int) -> Iterator[list[tuple[int, range]]]:
    """Parts and places in them, as many as one piece makes: short parts share a piece."""
    places = [(part, place) for part, length in enumerate(lengths) for place in range(length)]
    for start in range(0, len(places), segments_max):
        piece = places[start : start + segments_max]
        yield [
            (part, range(found[0][1], found[-1][1] + 1))
            for part, group in groupby(piece, lambda it: it[0])
            if (found := list(group))
        ]


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
