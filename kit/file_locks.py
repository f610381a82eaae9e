"""Locks on files that the kernel gives back when their last holder dies: flock(2)."""

from __future__ import annotations

import fcntl


def take_lock(descriptor: int) -> bool:
    """Lock an open file for whoever shares the descriptor alone; False while another has it.

    Never waits. Raises OSError where the file system knows no such locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
