"""Records of processes we started: `run/<name>.json` with pid, start time and boot id.

A process is ours only when all three match, so a reused pid is never touched. Written by the
supervisor, read by every command.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
START_TICKS_FIELD = 19  # field 22 of proc(5) stat, counted after the command in parentheses
STATE_FIELD = 0
DEAD_STATES = frozenset("ZXx")


@dataclass(frozen=True)
class Record:
    """One process: what it is, and what proves that a pid still means it."""

    name: str
    pid: int
    start_ticks: int
    boot_id: str
    details: dict[str, Any] = field(default_factory=dict)


def read_boot_id() -> str:
    """Return the id of this boot of the machine."""
    return BOOT_ID_FILE.read_text().strip()


def find_start_ticks(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; None when it is gone or dead."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[STATE_FIELD] in DEAD_STATES else int(fields[START_TICKS_FIELD])


def make_record(name: str, pid: int, details: dict[str, Any] | None = None) -> Record | None:
    """Describe a living process; None when it is already gone."""
    ticks = find_start_ticks(pid)
    if ticks is None:
        return None
    return Record(name, pid, ticks, read_boot_id(), details or {})


def is_alive(record: Record) -> bool:
    """Say whether the very process of the record still runs."""
    return record.boot_id == read_boot_id() and find_start_ticks(record.pid) == record.start_ticks


def signal_record(record: Record, number: signal.Signals) -> bool:
    """Send a signal to the process of the record; False when it is gone."""
    if not is_alive(record):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(record.pid, number)
        return True
    return False


class RecordShelf:
    """The records of one installation, in its run folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, record: Record) -> None:
        """Keep the record, replacing the earlier one of that name."""
        write_private(self._path(record.name), json.dumps(asdict(record), indent=1) + "\n")

    def find(self, name: str) -> Record | None:
        """Return the record, or None when there is none or it cannot be read."""
        try:
            values = json.loads(self._path(name).read_text())
            return Record(**values)
        except (OSError, ValueError, TypeError):
            return None

    def find_alive(self, name: str) -> Record | None:
        """Return the record when its process still runs."""
        record = self.find(name)
        return record if record is not None and is_alive(record) else None

    def remove(self, name: str) -> None:
        """Forget the record."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def write_private(path: Path, text: str) -> None:
    """Replace a file as one step, readable by its owner alone."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)
    staged.replace(path)
