"""Local objects that grow: an upload's bytes lie behind each other in one file, ready to be used.

The edge appends to it, and taking a source in gives it another name; only a folder has such
objects, a bucket takes pieces. Whoever has one open keeps all others out with flock(2), which the
kernel ends with the process. Bytes that no row acknowledges are cut off by whoever opens it next.
Everything here blocks, unless its name ends with `at_once`: call it from a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from kit.file_locks import take_lock
from storage.durable_files import STAGING_FOLDER, fsync_folders
from storage.objects import Chunk, ObjectStore

WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system answers that knows no flock."""
CHUNKS_MAX = os.sysconf("SC_IOV_MAX")
"""So many does one call of the kernel take."""


class GrowingBusy(Exception):
    """Somebody else has the object open, or it was removed at this moment."""


class GrowingObject:
    """An object that is open for appending, to one writer alone until `close`."""

    def __init__(self, root: Path, path: Path, descriptor: int) -> None:
        self._root = root
        self._path = path
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self._size_bytes = 0
        self._found_bytes = os.fstat(descriptor).st_size
        self._is_named = False
        self._is_durable = True
        # A cancelled request closes it while a thread still writes.
        self._lock = threading.Lock()

    @classmethod
    def open(cls, store: ObjectStore, key: str, *, is_new: bool) -> Self | None:
        """Open the object, made where it `is_new`; raises GrowingBusy.

        None where there is no such object, and where nobody can be kept out.
        """
        path = store.local_path(key)
        if path is None:
            return None
        root = path.parents[key.count("/")]
        with contextlib.ExitStack() as stack:
            try:
                descriptor = _open(path, is_new=is_new)
            except FileNotFoundError:
                return None
            stack.callback(os.close, descriptor)
            if not _take_alone(path, descriptor):
                return None
            stack.pop_all()
            return cls(root, path, descriptor)

    def begin(self, size_bytes: int) -> bool:
        """Cut off what lies behind the first `size_bytes`; False when it has less than those.

        Call it once it is certain that nobody else may write, and before anything is appended.
        """
        with self._lock:
            if self._found_bytes >= size_bytes:
                self._begin(size_bytes)
                self._cut()
            return self._found_bytes >= size_bytes

    def begin_at_once(self, size_bytes: int) -> bool:
        """As `begin` where nothing has to be cut off; False, and nothing done, elsewhere."""
        if self._found_bytes == size_bytes:
            self._begin(size_bytes)
        return self._found_bytes == size_bytes

    def append(self, chunks: Sequence[Chunk], *, is_durable: bool) -> None:
        """Write these behind what is there; `is_durable`: all of it is on the disk afterwards."""
        with self._lock:
            for at in range(0, len(chunks), CHUNKS_MAX):
                self._write(chunks[at : at + CHUNKS_MAX])
            if is_durable:
                self._sync()

    def draw(self, pipe: int, size_bytes: int) -> None:
        """Append so many bytes from a pipe, which has them; the kernel moves them."""
        with self._lock:
            while size_bytes > 0:
                self._is_durable = False
                drawn_bytes = os.splice(
                    pipe, self._file.fileno(), size_bytes, offset_dst=self._size_bytes
                )
                self._size_bytes += drawn_bytes
                size_bytes -= drawn_bytes

    def shorten(self, size_bytes: int) -> None:
        """Take back what was appended behind the first `size_bytes`."""
        with self._lock:
            self._size_bytes = size_bytes
            self._cut()

    def close(self) -> None:
        """Let others in, once a write that is under way has ended; nothing is no object."""
        with self._lock:
            if self._file.closed:
                return
            if os.fstat(self._file.fileno()).st_size == 0:
                self._path.unlink(missing_ok=True)
            self._file.close()

    def close_at_once(self) -> bool:
        """As `close` where all is on the disk; False, and nothing done, elsewhere."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if self._size_bytes > 0 and self._is_durable:
                self._file.close()
            return self._file.closed
        finally:
            self._lock.release()

    def _begin(self, size_bytes: int) -> None:
        self._size_bytes, self._is_named = size_bytes, size_bytes > 0

    def _cut(self) -> None:
        if os.fstat(self._file.fileno()).st_size > self._size_bytes:
            self._is_durable = False
            self._file.truncate(self._size_bytes)

    def _sync(self) -> None:
        os.fdatasync(self._file.fileno())
        if not self._is_named:
            fsync_folders(self._root, self._path.parent)
            self._is_named = True
        self._is_durable = True

    def _write(self, chunks: Sequence[Chunk]) -> None:
        wanted_bytes = sum(map(len, chunks))
        self._is_durable = False
        written_bytes = os.pwritev(self._file.fileno(), chunks, self._size_bytes)
        self._size_bytes += written_bytes
        if written_bytes < wanted_bytes:  # a disk that is nearly full takes what it can
            rest = memoryview(b"".join(chunks))[written_bytes:]
            while rest:
                written_bytes = os.pwrite(self._file.fileno(), rest, self._size_bytes)
                self._size_bytes += written_bytes
                rest = rest[written_bytes:]


def adopt_object(store: ObjectStore, key: str, own_key: str, size_bytes: int) -> bool:
    """Give an object that grew to `size_bytes` a second name, durably, without copying it.

    False, and nothing done, where that cannot be: in a bucket, with another size, or while
    somebody still has it open. May be repeated.
    """
    path, target = store.local_path(key), store.local_path(own_key)
    if path is None or target is None:
        return False
    root = target.parents[own_key.count("/")]
    with _open_alone(path) as descriptor:
        if descriptor is None or os.fstat(descriptor).st_size != size_bytes:
            return False
        staged = root / STAGING_FOLDER / f"adopted-{os.getpid()}-{threading.get_ident()}"
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.unlink(missing_ok=True)
        staged.hardlink_to(path)
        try:
            staged.rename(target)
        finally:
            staged.unlink(missing_ok=True)  # it stays where both were names of one file
        fsync_folders(root, target.parent)
    return True


def _open(path: Path, *, is_new: bool) -> int:
    """Open for reading and writing; raises FileNotFoundError for one that should be there."""
    if is_new:
        path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if is_new else 0), 0o666)


def _take_alone(path: Path, descriptor: int) -> bool:
    """Keep others out; False where the file system cannot. Raises GrowingBusy."""
    try:
        is_ours = take_lock(descriptor)
    except OSError as error:
        if error.errno in WITHOUT_LOCKS:
            return False
        raise
    if not is_ours:
        raise GrowingBusy
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(path.stat(), os.fstat(descriptor)):
            return True
    raise GrowingBusy  # it was taken back between opening and locking


@contextlib.contextmanager
def _open_alone(path: Path) -> Iterator[int | None]:
    """The object while nobody writes to it; None when that cannot be had."""
    with contextlib.ExitStack() as stack:
        found: int | None = None
        with contextlib.suppress(FileNotFoundError, GrowingBusy):
            descriptor = _open(path, is_new=False)
            stack.callback(os.close, descriptor)
            found = descriptor if _take_alone(path, descriptor) else None
        yield found
