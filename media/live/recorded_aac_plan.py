"""How the Opus of a recording becomes AAC: which pieces, and which frame falls into which segment.

Pure. The job that makes it asks each time it runs: rows of a video's segments never change. The
frames of a part lie on one grid from its first moment on, whichever piece makes them, so that
pieces fit and segments end where those of the Opus end, to the nearest frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from media.live.aac_lane import AAC_FRAME_TICKS
from media.live.packets import OPUS_FORMAT
from media.live.recording import (
    build_tracks,
    cut_pieces,
    measure_duration_ms,
    name_part_init,
)
from media.vod.plan import PlanTask
from media.vod.records import AAC_TRACK, TrackRecord, segment_name
from storage.live_segments import StoredSegment

PIECE_SEGMENTS = 64
"""About two minutes, which take a core under two seconds: so much a lost worker costs."""
LEAD_FRAMES = 128
"""An encoder that begins within a part hears so much first, which is thrown away; as of uploads
(`media/vod/sound_encoders.py`). The decoder needs 80 ms of it (RFC 7845 §4.6)."""


@dataclass(frozen=True)
class AacSegment:
    """A segment to be made, by its number in the recording, of the object that has its Opus."""

    number: int
    source_key: str
    start_ticks: int
    """Where its first frame begins; it has `frames`."""
    frames: int

    @property
    def end_ticks(self) -> int:
        """Where its last frame ends."""
        return self.start_ticks + self.frames * AAC_FRAME_TICKS


@dataclass(frozen=True)
class AacStretch:
    """Segments of one part, one after the other, and what else their encoder hears."""

    init_name: str
    start_ticks: int
    """The encoder's first frame."""
    before: tuple[str, ...]
    """Objects with what it hears first."""
    segments: tuple[AacSegment, ...]
    after: tuple[str, ...]
    """What follows; nothing where the part ends."""


@dataclass(frozen=True)
class AacJob:
    """What one piece of the work is given."""

    task_id: str
    video_id: str
    stretches: tuple[AacStretch, ...]

    @property
    def segments(self) -> int:
        """How many segments it makes."""
        return sum(len(stretch.segments) for stretch in self.stretches)


@dataclass(frozen=True)
class AacPlan:
    """The pieces in their order, and what each is given by its id."""

    tasks: tuple[PlanTask, ...]
    jobs: Mapping[str, AacJob]
    duration_s: Fraction


@dataclass(frozen=True)
class _Part:
    """A part of the Opus: all that can be made of it."""

    init_name: str
    segments: tuple[AacSegment, ...]


def plan_aac(
    video_id: str, rows: Sequence[StoredSegment], *, segments_max: int = PIECE_SEGMENTS
) -> AacPlan | None:
    """Decide what to make, in pieces of so many segments; None when no sound is Opus."""
    tracks = build_tracks(rows)
    if tracks is None:
        return None
    parts = [
        _Part(name_part_init(number), tuple(_place(part, tracks.keys)))
        for number, part in enumerate(tracks.sound.parts)
        if part.codec == OPUS_FORMAT.codec_name
    ]
    jobs = [
        AacJob(f"{AAC_TRACK}-{number:05d}", video_id, tuple(_list_stretches(parts, piece)))
        for number, piece in enumerate(cut_pieces([len(p.segments) for p in parts], segments_max))
    ]
    if not jobs:
        return None
    return AacPlan(
        tuple(PlanTask(job.task_id, "live_aac") for job in jobs),
        {job.task_id: job for job in jobs},
        Fraction(measure_duration_ms(rows), 1000),
    )


def _place(part: TrackRecord, keys: Mapping[tuple[str, str], str]) -> Iterator[AacSegment]:
    """Say which frames of the part's grid each segment has: one at least, since none is empty."""
    origin = part.segments[0].start_ticks
    first = 0
    for segment in part.segments:
        end = segment.start_ticks + segment.duration_ticks - origin
        stop = max(first + 1, -(-end // AAC_FRAME_TICKS))
        yield AacSegment(
            segment.number,
            keys[part.track, segment_name(segment.number)],
            origin + first * AAC_FRAME_TICKS,
            stop - first,
        )
        first = stop


def _list_stretches(
    parts: Sequence[_Part], piece: Sequence[tuple[int, range]]
) -> Iterator[AacStretch]:
    for number, places in piece:
        part = parts[number]
        wanted = part.segments[places.start : places.stop]
        origin = part.segments[0].start_ticks
        begin = max(origin, wanted[0].start_ticks - LEAD_FRAMES * AAC_FRAME_TICKS)
        yield AacStretch(
            part.init_name,
            begin,
            tuple(it.source_key for it in part.segments[: places.start] if it.end_ticks > begin),
            wanted,
            tuple(it.source_key for it in part.segments[places.stop : places.stop + 1]),
        )
