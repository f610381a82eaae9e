"""One track's objects: its init segment and numbered segments, written if absent and remembered.

Tasks that make segments use it; the record of a track is what it returns. It encodes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from media.cmaf import Sample, build_fragment
from media.vod.records import INIT_NAME, SegmentRecord, TrackRecord, segment_name, track_key
from storage.objects import ObjectStore


@dataclass(frozen=True)
class MadeSegment:
    """A finished segment, ready to be stored."""

    number: int
    start_ticks: int
    duration_ticks: int
    data: bytes
    key_bytes: int = 0
    """From its beginning to the end of its first frame; 0 for sound."""


def make_segment(
    number: int, start_ticks: int, samples: Sequence[Sample], *, is_video: bool
) -> MadeSegment:
    """Write the samples, in decoding order, as one fragment."""
    data = build_fragment(samples, number=number + 1, base_ticks=start_ticks, is_video=is_video)
    later_bytes = sum(len(sample.data) for sample in samples[1:])
    return MadeSegment(
        number=number,
        start_ticks=start_ticks,
        duration_ticks=sum(sample.duration_ticks for sample in samples),
        data=data,
        key_bytes=len(data) - later_bytes if is_video else 0,
    )


@dataclass
class TrackWriter:
    """Stores one track's segments; `template` is its record without them."""

    store: ObjectStore
    video_id: str
    template: TrackRecord
    segments: list[SegmentRecord] = field(default_factory=list)

    def add(self, segments: Iterable[MadeSegment]) -> None:
        """Write segments that are not there yet."""
        for segment in segments:
            key = self._key(segment_name(segment.number))
            size_bytes = len(segment.data)
            if not self.store.put_sync(key, segment.data, if_absent=True):
                size_bytes = self.store.size_bytes_sync(key)
            self.segments.append(
                SegmentRecord(
                    segment.number,
                    segment.start_ticks,
                    segment.duration_ticks,
                    size_bytes,
                    segment.key_bytes,
                )
            )

    def finish(self, init_segment: bytes, codec: str | None = None) -> TrackRecord:
        """Write the init segment and describe the track; `codec` as is known by now."""
        name = self._store_init(init_segment)
        return replace(
            self.template,
            codec=codec or self.template.codec,
            init_name=name,
            segments=tuple(self.segments),
        )

    def _store_init(self, init_segment: bytes) -> str:
        """init.mp4, or a name by content when another build of the encoder wrote another one."""
        key = self._key(INIT_NAME)
        if self.store.put_sync(key, init_segment, if_absent=True):
            return INIT_NAME
        if self.store.get_sync(key) == init_segment:
            return INIT_NAME
        name = f"init-{hashlib.sha256(init_segment).hexdigest()[:8]}.mp4"
        self.store.put_sync(self._key(name), init_segment, if_absent=True)
        return name

    def _key(self, name: str) -> str:
        return track_key(self.video_id, self.template.track, name)
