"""One track's objects: its init segment and numbered segments, written if absent and remembered.

Tasks that make segments use it; the record of a track is what it returns. It encodes nothing.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace

from media.cenc import Enciphered, TrackCipher, find_avc_config
from media.cmaf import Sample, build_fragment
from media.vod.records import SegmentRecord, TrackRecord, segment_name, track_key
from storage.objects import ObjectStore

WRITES_MAX = 4
"""So many segments of a track are in memory while threads write them."""


@dataclass(frozen=True)
class MadeSegment:
    """A finished segment: its samples in decoding order, ready to be stored."""

    number: int
    start_ticks: int
    samples: Sequence[Sample]
    is_video: bool
    init_segment: bytes = b""
    """Of a picture that may be encrypted: how it is decoded."""

    @property
    def duration_ticks(self) -> int:
        """How long it lasts."""
        return sum(sample.duration_ticks for sample in self.samples)

    def count_key_bytes(self, size_bytes: int) -> int:
        """From its beginning to the end of its first frame; 0 for sound."""
        later_bytes = sum(len(sample.data) for sample in self.samples[1:])
        return size_bytes - later_bytes if self.is_video else 0


@dataclass
class TrackWriter:
    """Stores one track's segments; `template` is its record without them."""

    store: ObjectStore
    video_id: str
    template: TrackRecord
    cipher: TrackCipher | None = None
    """Encrypts all that is stored; None: it is not."""
    threads: Executor | None = None
    """Write while the next segments are made, several at a time: each waits for the disk. Of work
    that is not encrypted; who lends them waits for what they still do. None: `add` writes."""
    segments: list[SegmentRecord] = field(default_factory=list)
    """Those that are stored, in order."""
    _written: deque[Future[SegmentRecord]] = field(default_factory=deque)

    def add(self, segments: Iterable[MadeSegment]) -> None:
        """Write segments that are not there yet; raises what the store refuses with."""
        for segment in segments:
            if self.threads is None:
                self.segments.append(self._store(segment))
                continue
            self._await_writes(WRITES_MAX - 1)
            self._written.append(self.threads.submit(self._store, segment))

    def _store(self, segment: MadeSegment) -> SegmentRecord:
        key = self._key(segment_name(segment.number))
        data = self._build(segment)
        size_bytes = len(data)
        if not self.store.put_sync(key, data, if_absent=True):
            size_bytes = self.store.size_bytes_sync(key)
        return SegmentRecord(
            segment.number,
            segment.start_ticks,
            segment.duration_ticks,
            size_bytes,
            segment.count_key_bytes(len(data)),
        )

    def _await_writes(self, left: int) -> None:
        """Wait until so many are still being written."""
        while len(self._written) > left:
            self.segments.append(self._written.popleft().result())

    def finish(self, init_segment: bytes, codec: str | None = None) -> TrackRecord:
        """Write the init segment and describe the track; `codec` as is known by now."""
        self._await_writes(0)
        if self.cipher is not None:
            init_segment = self.cipher.protect_init(init_segment)
        name = self._store_init(init_segment)
        return replace(
            self.template,
            codec=codec or self.template.codec,
            init_name=name,
            segments=tuple(self.segments),
        )

    def _build(self, segment: MadeSegment) -> bytes:
        """Write the samples as one fragment."""
        made = Enciphered(tuple(segment.samples))
        if self.cipher is not None and segment.is_video:
            config = find_avc_config(segment.init_segment)
            made = self.cipher.encrypt_pictures(segment.samples, config)
        elif self.cipher is not None:
            made = self.cipher.encrypt_sound(segment.samples)
        return build_fragment(
            made.samples,
            number=segment.number + 1,
            base_ticks=segment.start_ticks,
            is_video=segment.is_video,
            clear_maps=made.clear_maps,
        )

    def _store_init(self, init_segment: bytes) -> str:
        """Its usual name, or one by content when another build of the encoder wrote another one."""
        name = self.template.init_name
        key = self._key(name)
        if self.store.put_sync(key, init_segment, if_absent=True):
            return name
        if self.store.get_sync(key) == init_segment:
            return name
        name = f"init-{hashlib.sha256(init_segment).hexdigest()[:8]}.mp4"
        self.store.put_sync(self._key(name), init_segment, if_absent=True)
        return name

    def _key(self, name: str) -> str:
        return track_key(self.video_id, self.template.track, name)
