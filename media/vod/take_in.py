"""The source of a video: its upload's parts joined into one object, hashed and probed on the way.

The task "take_in" calls it once an upload is complete. What can go on at once does: while bytes
are copied, another thread hashes them and the probe's process starts; it looks at the file while
that is being synced. The parts stay until their rows go.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from media.vod.info import MediaInfo
from media.vod.limited_child import ChildLimits
from media.vod.probe import ProbeAhead
from media.vod.source import MediaUnreadable
from storage.objects import ByteSink, JoinedObject, ObjectStore


@dataclass(frozen=True)
class TakeInJob:
    """Parts in order, and the object they become."""

    video_id: str
    part_keys: tuple[str, ...]
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
    """Join, hash and probe; raises MediaUnreadable when the size is not the announced one."""
    with contextlib.ExitStack() as stack:
        with store.write_sync(job.source_key) as sink:
            path = store.staged_path(sink)
            copy = None
            if path is None:
                # A bucket shows an object when it is whole: the probe reads a copy made beside.
                copy = stack.enter_context(tempfile.NamedTemporaryFile(prefix="source-"))
                path = Path(copy.name)
            probe = stack.enter_context(ProbeAhead(path, job.limits))
            digest = _copy_parts(job.part_keys, store, sink, copy)
            if digest.size_bytes != job.size_bytes:
                raise MediaUnreadable(
                    f"The upload is incomplete: {digest.size_bytes} of {job.size_bytes} bytes"
                    " arrived."
                )
            sink.flush()
            if copy is not None:
                copy.flush()
            probe.begin()
        joined = JoinedObject(job.source_key, digest.size_bytes, digest.sha256)
        try:
            return TakenIn(joined, probe.finish())
        except MediaUnreadable as error:
            return TakenIn(joined, None, error.text)


@dataclass(frozen=True)
class _Digest:
    size_bytes: int
    sha256: str


def _copy_parts(
    part_keys: Sequence[str], store: ObjectStore, sink: ByteSink, copy: IO[bytes] | None
) -> _Digest:
    """Write the parts one behind the other; a thread hashes each while the next is written."""
    digest = hashlib.sha256()
    size_bytes = 0
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="sha256") as hasher:
        hashed: Future[None] | None = None
        for piece in _iter_pieces(part_keys, store):
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


def _iter_pieces(part_keys: Sequence[str], store: ObjectStore) -> Iterator[bytes]:
    for part_key in part_keys:
        yield from store.stream_sync(part_key)
