"""A recording or clip as one MP4 file: its parts one after the other, nothing encoded again.

A task of the media pool looks at the init segments of all parts and writes the file's header; the
edge lays the segments out behind it at each request (`media/vod/download.py` adapts them). Where
one file cannot hold the parts, the task says why.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from media.cmaf import read_video_config
from media.vod.download import (
    FRAGMENTS_MAX,
    MOVIE_TIMESCALE,
    Download,
    Piece,
    join_headers,
    merge_descriptions,
    read_description,
    read_parameter_sets,
)
from media.vod.hls import Track
from media.vod.ledger import find_record, keep_record
from media.vod.records import JoinRecord, TaskRecord, TrackRecord, header_key, segment_name
from storage.objects import ObjectStore

JOIN_TASK = "join"
PARTS_MAX = 500
"""A manifest of so many periods is about 1 MB; beyond, there is none."""
FORMATS_MAX = 100
DOWNLOAD = "download"
DASH = "dash"
SOUND_CHANGED = "sound_changed"
PICTURE_CHANGED = "picture_changed"
"""Players decode one codec in a track, whatever a file may describe."""
TOO_MANY_FORMATS = "too_many_formats"
TOO_MANY_PARTS = "too_many_parts"


@dataclass(frozen=True)
class JoinJob:
    """The init segments of every part, by key, and how long all of it is."""

    task_id: str
    video_id: str
    pictures: tuple[str, ...]
    sounds: tuple[str, ...]
    length_ms: int


@dataclass(frozen=True)
class _Placed:
    """A part in the file: by how much both its tracks play before their own times."""

    picture: TrackRecord
    sound: TrackRecord
    earlier_s: Fraction


@dataclass(frozen=True)
class _Line:
    """A segment's place in time, and what of it goes into the file."""

    start_s: float
    track_id: int
    key: str
    size_bytes: int
    earlier_ticks: int
    description: int
    sets: bytes


def join_parts(job: JoinJob, store: ObjectStore) -> TaskRecord:
    """Write the file's header, or say why there can be no file; says so of the manifest, too."""
    done = find_record(job.video_id, job.task_id, store)
    if done is not None:
        return done
    left_out = {DASH: TOO_MANY_PARTS} if len(job.pictures) > PARTS_MAX else {}
    found = {key: store.get_sync(key) for key in sorted({*job.pictures, *job.sounds})}
    formats = list(dict.fromkeys(found[key] for key in job.pictures))
    sounds = {found[key] for key in job.sounds}
    joined = None
    if len({read_description(sound) for sound in sounds}) > 1:
        left_out[DOWNLOAD] = SOUND_CHANGED
    elif len({read_video_config(init)[0] for init in formats}) > 1:
        left_out[DOWNLOAD] = PICTURE_CHANGED
    elif len(formats) > FORMATS_MAX:
        left_out[DOWNLOAD] = TOO_MANY_FORMATS
    else:
        numbers = {init: number for number, init in enumerate(formats, 1)}
        inits = [merge_descriptions(formats), found[job.sounds[0]]]
        length_ticks = job.length_ms * MOVIE_TIMESCALE // 1000
        store.put_sync(header_key(job.video_id), join_headers(inits, length_ticks))
        joined = JoinRecord(
            header_key(job.video_id),
            tuple(numbers[found[key]] for key in job.pictures),
            tuple(read_parameter_sets(init).hex() for init in formats) if len(formats) > 1 else (),
        )
    record = TaskRecord(job.task_id, joined=joined, left_out=left_out)
    return keep_record(job.video_id, record, store)


def measure_joined_s(picture: Track, sound: Track) -> Fraction:
    """How long the file plays: where one track of a part outlasts the other, the next one waits."""
    return _place(picture, sound)[1]


def plan_joined(
    picture: Track,
    sound: Track,
    record: JoinRecord,
    header: bytes,
    keys: Mapping[tuple[str, str], str],
) -> Download:
    """Lay all parts out by time behind the header; `keys` says where segments are.

    CPU time by length: under two seconds for a day.
    """
    placed, _length_s = _place(picture, sound)
    lines = [
        _iter_lines(placed, 1, record, keys),
        _iter_lines(placed, 2, record, keys),
    ]
    at, pieces = len(header), []
    for number, line in enumerate(heapq.merge(*lines, key=lambda line: line.start_s)):
        pieces.append(
            Piece(
                line.key,
                at,
                line.size_bytes,
                number * FRAGMENTS_MAX + 1,
                line.track_id,
                line.earlier_ticks,
                line.description,
                line.sets,
            )
        )
        at += line.size_bytes
    return Download(header, tuple(pieces))


def _place(picture: Track, sound: Track) -> tuple[list[_Placed], Fraction]:
    """Lay the parts end to end; returns where the last one ends, too."""
    placed, at_s = [], Fraction(0)
    for seen, heard in zip(picture.parts, sound.parts, strict=True):
        first = seen.segments[0]
        earlier_s = Fraction(first.start_ticks, seen.timescale) - at_s
        placed.append(_Placed(seen, heard, earlier_s))
        at_s = max(_end_s(seen), _end_s(heard)) - earlier_s
    return placed, at_s


def _end_s(part: TrackRecord) -> Fraction:
    last = part.segments[-1]
    return Fraction(last.start_ticks + last.duration_ticks, part.timescale)


def _iter_lines(
    placed: list[_Placed], track_id: int, record: JoinRecord, keys: Mapping[tuple[str, str], str]
) -> Iterator[_Line]:
    """The segments of the picture (1) or the sound (2)."""
    for it, number in zip(placed, record.formats, strict=True):
        part = it.picture if track_id == 1 else it.sound
        is_described = track_id == 1 and bool(record.sets)
        sets = bytes.fromhex(record.sets[number - 1]) if is_described else b""
        earlier_ticks = int(it.earlier_s * part.timescale)
        for segment in part.segments:
            yield _Line(
                (segment.start_ticks - earlier_ticks) / part.timescale,
                track_id,
                keys[part.track, segment_name(segment.number)],
                segment.size_bytes + len(sets),
                earlier_ticks,
                number if is_described else 0,
                sets,
            )
