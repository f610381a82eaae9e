"""Where the tests' own servers and homes keep their data: in memory where there is enough of it.

What is waited for there is the disk, which a test of rows asks nothing of: a fresh database for
every test takes 30 ms in memory, and near a second on a disk that encoders write to as well. What
survives a crash is asked of products and of servers with folders of their own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
PREFIX = "sf-test"
FREE_BYTES_MIN = 4 << 30


def make_folder() -> Path:
    """Make a short folder that every user may enter."""
    parent = MEMORY if _has_room(MEMORY) else Path(tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-{os.getpid()}-", dir=parent))
    folder.chmod(0o755)
    return folder


def remove_left_folders() -> None:
    """Free the memory that killed runs left in use."""
    for left in MEMORY.glob(f"{PREFIX}-*"):
        owner = left.name.split("-")[2]
        if not Path(f"/proc/{owner}").exists():
            shutil.rmtree(left, ignore_errors=True)


def _has_room(mount: Path) -> bool:
    return mount.is_mount() and shutil.disk_usage(mount).free >= FREE_BYTES_MIN
