"""A file that still arrives, as FFmpeg may read it: what has come, and perhaps its index ahead.

The head start and its probe open one. It shows no byte that could still become another, and reads
nothing else.
"""

from __future__ import annotations

import io
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kit.errors import AppError

if TYPE_CHECKING:
    from storage.objects import ObjectStore


class SourceNotThere(AppError):
    """The file still arrives, and what is asked for lies in bytes that have not come."""

    code, status, message = "source_not_there", 409, "This part of the file has not come yet."


@dataclass(frozen=True)
class Reach:
    """How far a file can be read, and its index where that was sent ahead."""

    known_bytes: int
    size_bytes: int
    index: Path | None = None
    index_at: int = 0


@dataclass(frozen=True)
class Arriving:
    """A file that still arrives: its first `known_bytes` of `size_bytes` stay as they are."""

    known_bytes: int
    size_bytes: int
    index_key: str = ""
    """The object of its index (an MP4's moov box), which lies at `index_at`; empty: none came."""
    index_at: int = 0

    def locate(self, store: ObjectStore) -> Reach:
        """How far it can be read here."""
        index = store.local_path(self.index_key) if self.index_key else None
        return Reach(self.known_bytes, self.size_bytes, index, self.index_at)


class ArrivingFile:
    """Bytes for FFmpeg's own reading: as if the file ended where it has come to, but for its index.

    It is as long as it will be, so that a demuxer finds the index where it lies.
    """

    def __init__(self, path: Path, reach: Reach) -> None:
        self._file = path.open("rb")
        weakref.finalize(self, self._file.close)  # FFmpeg's door has no moment for it
        self._index = b"" if reach.index is None else reach.index.read_bytes()
        self._reach = reach
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return what comes next; nothing where it has not come."""
        reach = self._reach
        if self._at < reach.known_bytes:
            data = os.pread(self._file.fileno(), min(size, reach.known_bytes - self._at), self._at)
        else:
            start = self._at - reach.index_at
            data = self._index[start : start + size] if start >= 0 else b""
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, which need not be there."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._reach.size_bytes}
        self._at = max(0, begin[whence] + offset)
        return self._at

    def tell(self) -> int:
        """Where it stands."""
        return self._at
