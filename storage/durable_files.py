"""Files that are whole and on disk once written: staged, fsync'd, named, their folders fsync'd.

What need not outlive the machine's power goes without the fsyncs.

storage/objects.py writes local objects with it. obstore's LocalStore (0.12) stages and renames but
calls neither fsync nor fdatasync (watched with strace), so an acknowledged upload could be lost
in a power cut. Everything here blocks: call it from a thread.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

STAGING_FOLDER = ".staging"
NAMING_ATTEMPTS = 100
"""Each takes microseconds; on a busy machine a deletion was seen to win ten times in a row."""


class DurableFile:
    """A staged file; leaving the block well gives it its name, an error leaves nothing.

    Where it need not be `is_durable`, it survives its writer but not a power cut, behind which it
    may be there and hold anything.
    """

    def __init__(
        self, root: Path, key: str, *, if_absent: bool = False, is_durable: bool = True
    ) -> None:
        self._root = root
        self._target = root / key
        self._if_absent = if_absent
        self._is_durable = is_durable
        self.staged = root / STAGING_FOLDER / secrets.token_hex(12)
        self._file: BinaryIO
        self.was_absent = True

    def __enter__(self) -> Self:
        self._file = self.staged.open("xb")
        return self

    def write(self, data: bytes | bytearray, /) -> int:
        """Append bytes."""
        return self._file.write(data)

    def flush(self) -> None:
        """Let readers of the staged file see what was written."""
        self._file.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with self._file:
                if kind is not None:
                    return
                self._file.flush()
                if self._is_durable:
                    os.fsync(self._file.fileno())
            self._give_name()
        finally:
            self.staged.unlink(missing_ok=True)

    def _give_name(self) -> None:
        for attempt in range(NAMING_ATTEMPTS):
            try:
                self._link_or_rename()
                break
            except (FileNotFoundError, FileExistsError):
                # A deletion removed the folder, empty then, while it was made or used.
                if attempt == NAMING_ATTEMPTS - 1:
                    raise
        if self._is_durable:
            fsync_folders(self._root, self._target.parent)

    def _link_or_rename(self) -> None:
        self._target.parent.mkdir(parents=True, exist_ok=True)
        if not self._if_absent:
            self.staged.rename(self._target)
            return
        try:
            os.link(self.staged, self._target)
        except FileExistsError:
            self.was_absent = False


def write_file(
    root: Path,
    key: str,
    chunks: Iterable[bytes | bytearray],
    *,
    if_absent: bool = False,
    is_durable: bool = True,
) -> bool:
    """Write `root/key` durably; False when `if_absent` and it was there (then it is durable)."""
    if if_absent and (root / key).exists():
        # Its writer may have died between the link and these.
        fsync_folders(root, (root / key).parent)
        return False
    with DurableFile(root, key, if_absent=if_absent, is_durable=is_durable) as sink:
        for chunk in chunks:
            sink.write(chunk)
    return sink.was_absent


def sweep_staging(root: Path, *, before_s: float) -> int:
    """Remove staged files last written or linked before that Unix time; returns how many."""
    count = 0
    for staged in (root / STAGING_FOLDER).iterdir():
        with contextlib.suppress(FileNotFoundError):
            # Not the time of the last write: an adopted file was written long ago.
            if staged.stat().st_ctime < before_s:
                staged.unlink()
                count += 1
    return count


def remove_empty_folders(top: Path) -> None:
    """Remove folders left empty; one that a writer fills meanwhile stays."""
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def fsync_folders(root: Path, folder: Path) -> None:
    """Make the names durable up to `root`: another writer may have made a folder just now."""
    for level in (folder, *folder.parents):
        # A folder that is gone was deleted after the write, the file with it.
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(level, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        if level == root:
            return
