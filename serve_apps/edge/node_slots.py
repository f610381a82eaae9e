"""How many of something the edges of one node have at once, together: locked files, one per slot.

The kernel gives a slot back when its process dies. Taking one never waits.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from kit.file_locks import take_lock
from kit.logs import get_log

log = get_log("edge.node_slots")

FOLDER_MODE = 0o700
FILE_MODE = 0o600


class NodeSlots:
    """`count` slots of one name in a folder that the node's processes share."""

    def __init__(self, folder: Path, name: str, count: int) -> None:
        self._folder = folder
        self._name = name
        self._count = count

    def take(self) -> NodeSlot | None:
        """Return a slot, held until it is given back; None: all are taken."""
        try:
            self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            files = map(self._lock, range(self._count))
            file = next((file for file in files if file is not None), None)
        except OSError as error:
            log.exception("node_slots.failed", name=self._name, error=type(error).__name__)
            return None
        return None if file is None else NodeSlot(file)

    def _lock(self, number: int) -> int | None:
        path = self._folder / f"{self._name}-{number}.lock"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        if take_lock(file):
            return file
        os.close(file)
        return None


class NodeSlot:
    """A slot that is held."""

    def __init__(self, file: int) -> None:
        self._file: int | None = file

    def give_back(self) -> None:
        """Let another one have it; twice does nothing."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.close(file)
