"""The status board: `run/status.json`, what the supervisor knows of every part, for other commands.

Written by the supervisor alone, as one step; a reader trusts a pid only after its start time.
"""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cluster.records import Record, find_start_ticks, read_boot_id, write_private

FAULTS_MAX = 50
REWRITE_AFTER_S = 5.0


@dataclass
class PartState:
    """One part of the product as last seen; times are Unix seconds."""

    name: str
    kind: str
    state: str = "stopped"
    pid: int | None = None
    start_ticks: int | None = None
    since: float = 0.0
    fault: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Notice:
    """What was last done about whom, for `status` and the log."""

    at: float
    part: str
    text: str


class Board:
    """All parts, the state of the whole, and the last faults."""

    def __init__(self, path: Path, supervisor: Record) -> None:
        self._path = path
        self._supervisor = supervisor
        self._parts: dict[str, PartState] = {}
        self._faults: deque[Notice] = deque(maxlen=FAULTS_MAX)
        self._written = ""
        self._written_at_s = 0.0
        self.state = "starting"
        self.message = ""
        self.facts: dict[str, Any] = {}

    def set_part(self, name: str, kind: str, state: str, **more: Any) -> bool:
        """Note how a part is (pid, fault, facts); True when its state or process changed."""
        part = self._parts.setdefault(name, PartState(name, kind))
        pid = more.get("pid", part.pid)
        is_changed = part.state != state or part.pid != pid
        if is_changed:
            part.since = time.time()
            part.start_ticks = find_start_ticks(pid) if pid else None
        part.state, part.pid = state, pid
        part.fault = more.get("fault", "")
        part.facts = more.get("facts", part.facts)
        return is_changed

    def find_part(self, name: str) -> PartState | None:
        """Return the part as last seen."""
        return self._parts.get(name)

    def list_parts(self) -> list[PartState]:
        """List the parts seen so far."""
        return list(self._parts.values())

    def add_fault(self, part: str, text: str) -> None:
        """Keep a fault; the oldest of 50 gives way."""
        self._faults.append(Notice(time.time(), part, text))

    def write(self) -> None:
        """Write the board when something changed, or after 5 s."""
        body = {
            "boot_id": read_boot_id(),
            "supervisor": asdict(self._supervisor),
            "state": self.state,
            "message": self.message,
            "facts": self.facts,
            "parts": [asdict(part) for part in self._parts.values()],
            "faults": [asdict(fault) for fault in self._faults],
        }
        text = json.dumps(body, default=str)
        now = time.monotonic()
        if text == self._written and now - self._written_at_s < REWRITE_AFTER_S:
            return
        self._written, self._written_at_s = text, now
        write_private(self._path, json.dumps({**body, "at": time.time()}, default=str, indent=1))


def find_board(path: Path) -> dict[str, Any] | None:
    """Return the board as last written, or None."""
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return None
