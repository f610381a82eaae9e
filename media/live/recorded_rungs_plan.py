"""How the picture of a recording is made smaller: which pieces, and what each decodes.

Pure. The job that makes it asks each time it runs: rows of a video's segments never change. A rung
has the recording's own segments, parts and times; each of its segments begins with a keyframe, so
pieces need nothing of each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from media.live.recording import (
    build_tracks,
    cut_pieces,
    measure_duration_ms,
    name_part_init,
)
from media.live.rungs import list_short_sides
from media.vod.ladder import decide_source_bps
from media.vod.plan import PlanTask
from media.vod.records import TrackRecord, segment_name
from media.vod.source import MediaUnreadable
from storage.live_segments import StoredSegment

RUNGS = "rungs"
PIECE_SEGMENTS = 16
"""About half a minute, which takes a core eight to sixteen seconds (720p as 480p and 240p, 1080p as
720p, 480p and 240p; noise at 3 Mbit/s): so much a lost worker costs."""
KEYLESS_SHARE_MAX = Fraction(1, 20)
"""Of a part's segments, how many may begin without a keyframe, and always one: who changes to the
source there has a hole, so a source that is often so is better alone."""
LEAD_SEGMENTS_MAX = 16
"""So far back may the keyframe lie that a piece begins to decode at; else each would decode all."""
LOOKED_AT = 3
"""Segments of a part that tell how many pictures a second it has."""
FAMILIES = {"avc1": "h264", "hvc1": "hevc", "av01": "av1"}


class KeyframesRare(MediaUnreadable):
    """Too many of the segments begin without a keyframe: players could not change between sizes."""


@dataclass(frozen=True)
class RungSegment:
    """A segment to be made, by its number in the recording, of the object that has its picture."""

    number: int
    source_key: str
    start_ticks: int
    duration_ticks: int


@dataclass(frozen=True)
class RungSource:
    """The picture of a part."""

    init_key: str
    width: int
    height: int
    bitrate_bps: int
    """In H.264's terms; 0: it tells nothing."""
    looked_at: tuple[RungSegment, ...]
    """The same for every piece, so that all of a part is made alike."""


@dataclass(frozen=True)
class RungStretch:
    """Segments of one part, one after the other."""

    init_name: str
    source: RungSource
    before: tuple[RungSegment, ...]
    """What the decoder needs first, where the first segment begins without a keyframe."""
    segments: tuple[RungSegment, ...]


@dataclass(frozen=True)
class RungsJob:
    """What one piece of the work is given; it makes every rung."""

    task_id: str
    video_id: str
    short_sides: tuple[int, ...]
    """Largest first."""
    stretches: tuple[RungStretch, ...]

    @property
    def segments(self) -> int:
        """How many segments of each rung it makes."""
        return sum(len(stretch.segments) for stretch in self.stretches)


@dataclass(frozen=True)
class RungsPlan:
    """The pieces in their order, and what each is given by its id."""

    tasks: tuple[PlanTask, ...]
    jobs: Mapping[str, RungsJob]
    duration_s: Fraction


def plan_rungs(
    video_id: str,
    rows: Sequence[StoredSegment],
    *,
    ladder: Sequence[str],
    segments_max: int = PIECE_SEGMENTS,
) -> RungsPlan | None:
    """Decide what to make, in pieces of so many segments; None when no segment is left.

    Raises KeyframesRare.
    """
    tracks = build_tracks(rows)
    if tracks is None:
        return None
    if not all(_has_keys(part) for part in tracks.picture.parts):
        raise KeyframesRare
    parts = tracks.picture.parts
    placed = [_place(part, tracks.keys) for part in parts]
    sources = [
        _describe(part, segments, tracks.keys) for part, segments in zip(parts, placed, strict=True)
    ]
    jobs = [
        RungsJob(
            f"{RUNGS}-{number:05d}",
            video_id,
            list_short_sides(ladder),
            tuple(
                RungStretch(
                    name_part_init(part),
                    sources[part],
                    tuple(placed[part][_find_key(parts[part], places.start) : places.start]),
                    placed[part][places.start : places.stop],
                )
                for part, places in piece
            ),
        )
        for number, piece in enumerate(cut_pieces([len(it) for it in placed], segments_max))
    ]
    return RungsPlan(
        tuple(PlanTask(job.task_id, "live_rungs") for job in jobs),
        {job.task_id: job for job in jobs},
        Fraction(measure_duration_ms(rows), 1000),
    )


def _place(part: TrackRecord, keys: Mapping[tuple[str, str], str]) -> tuple[RungSegment, ...]:
    return tuple(
        RungSegment(
            segment.number,
            keys[part.track, segment_name(segment.number)],
            segment.start_ticks,
            segment.duration_ticks,
        )
        for segment in part.segments
    )


def _describe(
    part: TrackRecord, segments: Sequence[RungSegment], keys: Mapping[tuple[str, str], str]
) -> RungSource:
    duration_ticks = sum(segment.duration_ticks for segment in part.segments)
    size_bytes = sum(segment.size_bytes for segment in part.segments)
    bitrate_bps = size_bytes * 8 * part.timescale // max(1, duration_ticks)
    codec = FAMILIES.get(part.codec.partition(".")[0], "")
    return RungSource(
        keys[part.track, part.init_name],
        part.width,
        part.height,
        round(decide_source_bps(codec, bitrate_bps) or 0),
        tuple(_spread(segments)),
    )


def _spread(segments: Sequence[RungSegment]) -> Iterator[RungSegment]:
    """A few of them, evenly, the first one among them."""
    count = min(LOOKED_AT, len(segments))
    for number in range(count):
        yield segments[number * len(segments) // count]


def _has_keys(part: TrackRecord) -> bool:
    begun = groupby(part.segments, lambda segment: segment.key_bytes > 0)
    runs = [len(list(run)) for has_key, run in begun if not has_key]
    return max(runs, default=0) <= LEAD_SEGMENTS_MAX and (
        sum(runs) <= max(1, KEYLESS_SHARE_MAX * len(part.segments))
    )


def _find_key(part: TrackRecord, place: int) -> int:
    """The place of the nearest segment up to one that begins with a keyframe; else the first."""
    while place and not part.segments[place].key_bytes:
        place -= 1
    return place
