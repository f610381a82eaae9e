"""Tells the C allocator what to do with large blocks that are freed: keep them, or give them back.

glibc gives a large block back to the kernel as it is freed, and takes fresh pages for the next: for
an upload that costs a quarter of the receiving (measured in `benchmarks/uploads`). Yet with each
one it takes larger blocks for small, up to 32 MiB, and keeps them in a heap that frames of many
sizes leave full of holes: a media worker grew by a third within minutes.
Source: mallopt(3).
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 16 << 20
"""So much at the end of the heap stays ours; more goes back to the kernel."""
MAPPED_BYTES = 4 << 20
"""From this size on, a block is a mapping of its own, as before."""
FRAME_BYTES = 1 << 20
"""A picture of 720p has more."""


def keep_warm() -> bool:
    """Keep freed memory for the next block; False where the allocator is not glibc's."""
    return _set({M_TRIM_THRESHOLD: KEPT_BYTES, M_MMAP_THRESHOLD: MAPPED_BYTES})


def give_frames_back() -> bool:
    """Give every large frame back as it is freed; False where the allocator is not glibc's."""
    return _set({M_MMAP_THRESHOLD: FRAME_BYTES})


def _set(options: Mapping[int, int]) -> bool:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(name, value) for name, value in options.items())
