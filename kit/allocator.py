"""Tells the C allocator to keep memory warm in a process through which bytes stream.

glibc gives every large block back to the kernel as it is freed, and takes fresh pages for the next:
for an upload that costs a quarter of the receiving (measured in `benchmarks/uploads`).
Source: mallopt(3).
"""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 16 << 20
"""So much at the end of the heap stays ours; more goes back to the kernel."""
MAPPED_BYTES = 4 << 20
"""From this size on, a block is a mapping of its own, as before."""


def keep_warm() -> bool:
    """Keep freed memory for the next block; False where the allocator is not glibc's."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    kept = mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    return bool(kept and mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES))
