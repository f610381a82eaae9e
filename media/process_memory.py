"""What Linux says of this process's memory: proc_pid_status(5).

The probe and the media workers hold it against their limits. Not getrusage: its peak goes over from
the process that started this one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

STATUS = Path("/proc/self/status")


def read_memory_bytes(name: Literal["VmData", "VmHWM"]) -> int:
    """Return private writable addresses (`VmData`), or the most pages there ever were (`VmHWM`)."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"Linux tells every process its {name}")
