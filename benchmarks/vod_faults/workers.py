"""Which processes are media workers, and what processor time they and their children have used."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from cluster.processes import list_marked, read_title

LOOK_EVERY_S = 0.2
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
RAY_TITLE, MEDIA_TITLE, IDLE_TITLE = "ray::", "ray::media:", "ray::IDLE"


@dataclass
class _Seen:
    """A process as it was seen last; `is_other`: it is an actor, or a part of Ray."""

    cpu_s: float
    before_s: float
    is_media: bool = False
    is_other: bool = False


@dataclass
class WorkerWatch:
    """Looks at all that Ray's node starts. Who dies is counted with what it had when seen last."""

    settings_file: Path
    kills: int = 0
    _seen: dict[tuple[int, int], _Seen] = field(default_factory=dict)
    _raylets: list[int] = field(default_factory=list)

    async def run(self) -> None:
        """Look until cancelled."""
        self._raylets = [
            record.pid
            for record in list_marked(self.settings_file)
            if Path(read_title(record.pid).partition(" ")[0]).name == "raylet"
        ]
        assert self._raylets, "the product runs Ray's node here"
        self._look(is_begin=True)
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._look()

    def list_workers(self) -> list[int]:
        """Return the living processes that have run a media task."""
        return [
            pid
            for (pid, started), seen in self._seen.items()
            if seen.is_media and _read_stat(pid)[:1] == (started,)
        ]

    def note_kill(self) -> None:
        """Count one that is about to be killed, up to this moment."""
        self.kills += 1
        self._look()

    def count_cpu_s(self) -> float:
        """Processor time since the beginning, of workers and what they started.

        What died before it was given anything to do was to become a worker.
        """
        return sum(seen.cpu_s - seen.before_s for seen in self._seen.values() if not seen.is_other)

    def _look(self, *, is_begin: bool = False) -> None:
        for raylet in self._raylets:
            for pid in _list_children(raylet):
                title = read_title(pid)
                seen = self._note(pid, is_begin=is_begin)
                if seen is None:
                    continue
                if title.startswith(MEDIA_TITLE):
                    seen.is_media = True
                    for child in _list_children(pid):
                        self._note(child, is_begin=is_begin)
                elif title.startswith(RAY_TITLE) and not title.startswith(IDLE_TITLE):
                    seen.is_other = True

    def _note(self, pid: int, *, is_begin: bool) -> _Seen | None:
        stat = _read_stat(pid)
        if not stat:
            return None
        started, cpu_s = stat
        seen = self._seen.setdefault((pid, started), _Seen(cpu_s, cpu_s if is_begin else 0.0))
        seen.cpu_s = max(seen.cpu_s, cpu_s)
        return seen


def _list_children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except OSError:
        return found
    return found


def _read_stat(pid: int) -> tuple[int, float] | tuple[()]:
    """When a process started (in ticks), and its user and system time; nothing when it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ()
    if words[0] in "ZX":
        return ()
    return int(words[19]), (int(words[11]) + int(words[12])) / TICKS_PER_S
