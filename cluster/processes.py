"""Looking at and ending the processes of an installation, by what they were started with.

Every process we start carries our settings file's path in its environment; the embedded servers do
not and are ended by their own launchers. Reads /proc; signals only what it found there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from cluster.records import Record, is_alive, make_record, signal_record
from kit.settings import SETTINGS_VARIABLE

POLL_S = 0.05
KIB_PER_MIB = 1024


@dataclass(frozen=True)
class Usage:
    """What a set of processes uses: proportional memory (PSS) in MB, CPU in percent of a core."""

    pss_mb: float
    cpu_percent: float
    processes: int


def list_marked(settings_file: Path) -> list[Record]:
    """List the processes started for this installation and their descendants, without this one.

    Descendants, because a process that writes its own title may overwrite its environment.
    """
    marker = f"{SETTINGS_VARIABLE}={settings_file}".encode()
    pids: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if marker in (entry / "environ").read_bytes().split(b"\0"):
                pids.add(int(entry.name))
    pids |= {child for pid in pids for child in list_family(pid)}
    pids.discard(os.getpid())
    records = (make_record(read_title(pid), pid) for pid in sorted(pids))
    return [record for record in records if record is not None]


def read_title(pid: int) -> str:
    """Return the command line as one line; Ray's workers write what they are into it."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def end_processes(records: list[Record], *, grace_s: float) -> list[Record]:
    """Ask the processes to end, then make them (grace 0: at once); return those still there."""
    if grace_s > 0:
        for record in records:
            signal_record(record, signal.SIGTERM)
        records = wait_gone(records, timeout_s=grace_s)
    for record in records:
        signal_record(record, signal.SIGKILL)
    return wait_gone(records, timeout_s=5.0)


def wait_gone(records: list[Record], *, timeout_s: float) -> list[Record]:
    """Wait until the processes are gone; return those that are not after `timeout_s`."""
    end = time.monotonic() + timeout_s
    alive = [record for record in records if is_alive(record)]
    while alive and time.monotonic() < end:
        time.sleep(POLL_S)
        alive = [record for record in alive if is_alive(record)]
    return alive


def list_family(pid: int) -> list[int]:
    """Return the process and its descendants."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return []


def read_pss_mb(pid: int) -> float:
    """Return the proportional memory of a process in MB; 0 when it is gone or not ours to see."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / KIB_PER_MIB
    except OSError:
        pass
    return 0.0


def read_cpu_s(pid: int) -> float:
    """Return the CPU seconds a process has used; 0 when it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def measure(families: dict[str, list[int]], *, over_s: float) -> dict[str, Usage]:
    """Measure each named set of processes over `over_s` seconds; takes that long."""
    began = time.monotonic()
    before = {pid: read_cpu_s(pid) for pids in families.values() for pid in pids}
    time.sleep(over_s)
    took_s = max(time.monotonic() - began, 1e-3)
    usage = {}
    for name, pids in families.items():
        used_s = sum(max(0.0, read_cpu_s(pid) - before[pid]) for pid in pids)
        pss_mb = sum(read_pss_mb(pid) for pid in pids)
        usage[name] = Usage(round(pss_mb, 1), round(100 * used_s / took_s, 1), len(pids))
    return usage
