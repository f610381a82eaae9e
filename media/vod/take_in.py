"""The source of a video: its upload's bytes as one object, hashed and probed.

The task "take_in" calls it once an upload is complete. A file that grew in one object gets another
name; other parts are joined: while bytes are copied, another thread hashes them and the probe's
process starts; it looks at the file while that is being synced. What the upload stored stays until
its rows go.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from media.vod.info import MediaInfo
from media.vod.limited_child import ChildLimits
from media.vod.probe import ProbeAhead
from media.vod.source import LAST_COPY, MediaUnreadable, SourceCopy
from storage.growing_files import adopt_object
from storage.objects import ByteSink, ObjectStore


@dataclass(frozen=True)
class SourcePart:
    """An object and how many of its bytes, from the first, are the upload's."""

    key: str
    size_bytes: int


@dataclass(frozen=True)
class JoinedObject:
    """An object made of parts, and what its bytes hash to."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class TakeInJob:
    """Parts in order, and the object they become."""

    video_id: str
    parts: tuple[SourcePart, ...]
    source_key: str
    size_bytes: int
    """What the uploader announced."""
    limits: ChildLimits = field(default_factory=ChildLimits)


@dataclass(frozen=True)
class TakenIn:
    """A stored source, and what it is; or why it is nothing that plays."""

    joined: JoinedObject
    info: MediaInfo | None
    refusal: str = ""


def take_in_source(job: TakeInJob, store: ObjectStore) -> TakenIn:
    """Make the source, hash and probe it; raises MediaUnreadable when bytes are missing."""
    if len(job.parts) == 1 and adopt_object(
        store, job.parts[0].key, job.source_key, job.size_bytes
    ):
        path = store.local_path(job.source_key)
        assert path is not None, "only a local object can be adopted"
        return _look_at(path, job)
    return _join(job, store)


def _look_at(path: Path, job: TakeInJob) -> TakenIn:
    """Hash what lies there while it is probed."""
    with ProbeAhead(path, job.limits) as probe:
        probe.begin()
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return _judge(JoinedObject(job.source_key, job.size_bytes, sha256), probe)


def _judge(joined: JoinedObject, probe: ProbeAhead) -> TakenIn:
    try:
        return TakenIn(joined, probe.finish())
    except MediaUnreadable as error:
        return TakenIn(joined, None, error.text)


def _join(job: TakeInJob, store: ObjectStore) -> TakenIn:
    """Copy the parts one behind the other, hashing and probing on the way."""
    with contextlib.ExitStack() as stack:
        with store.write_sync(job.source_key) as sink:
            path = store.staged_path(sink)
            copy = None
            if path is None:
                # A bucket shows an object when it is whole: the probe reads a copy made beside.
                copy = SourceCopy()
                path = copy.path
            probe = stack.enter_context(ProbeAhead(path, job.limits))
            digest = _copy_parts(job.parts, store, sink, copy)
            if digest.size_bytes != job.size_bytes:
                raise MediaUnreadable(
                    f"The upload is incomplete: {digest.size_bytes} of {job.size_bytes} bytes"
                    " arrived."
                )
            sink.flush()
            if copy is not None:
                copy.flush()
            probe.begin()
        if copy is not None:
            LAST_COPY.keep(job.source_key, store, copy)
        return _judge(JoinedObject(job.source_key, digest.size_bytes, digest.sha256), probe)


@dataclass(frozen=True)
class _Digest:
    size_bytes: int
    sha256: str


def _copy_parts(
    parts: Sequence[SourcePart], store: ObjectStore, sink: ByteSink, copy: SourceCopy | None
) -> _Digest:
    """Write the parts one behind the other; a thread hashes each while the next is written."""
    digest = hashlib.sha256()
    size_bytes = 0
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="sha256") as hasher:
        hashed: Future[None] | None = None
        for piece in _iter_pieces(parts, store):
            if hashed is not None:
                hashed.result()  # no more than two pieces are in memory
            hashed = hasher.submit(digest.update, piece)
            sink.write(piece)
            if copy is not None:
                copy.write(piece)
            size_bytes += len(piece)
        if hashed is not None:
            hashed.result()
    return _Digest(size_bytes, digest.hexdigest())


def _iter_pieces(parts: Sequence[SourcePart], store: ObjectStore) -> Iterator[bytes]:
    for part in parts:
        left_bytes = part.size_bytes
        for piece in store.stream_sync(part.key):
            yield piece[:left_bytes]
            left_bytes -= len(piece)
            if left_bytes <= 0:
                break
