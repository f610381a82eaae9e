"""Tells the C allocator which freed blocks to keep for the next one, and which to give back.

glibc gives a large block back to the kernel as it is freed, and takes fresh pages for the next: for
an upload that costs a quarter of the receiving (measured in `benchmarks/uploads`). Yet with each
one it takes larger blocks for small, up to 32 MiB, and keeps them in a heap that encoders'
frames of many sizes leave full of holes: 50 MB more of a media worker that encodes 1080p.
Source: mallopt(3).
"""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 16 << 20
"""So much at the end of the heap stays ours; more goes back to the kernel."""
MAPPED_BYTES = 4 << 20
"""From this size on, a block is a mapping of its own, as before."""


def keep_warm(kept_bytes: int = KEPT_BYTES) -> bool:
    """Keep freed memory for the next block, so much of it at the end of the heap.

    False where the allocator is not glibc's.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    options = {M_TRIM_THRESHOLD: kept_bytes, M_MMAP_THRESHOLD: MAPPED_BYTES}
    return mallopt is not None and all(mallopt(name, value) for name, value in options.items())
