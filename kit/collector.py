"""How Python's collector of cycles runs where many objects live for long: seldom in full.

Called once by hosts and edges, when they have started. A full collection walks every object: with
10,000 rooms on an edge it holds everything up for half a second, and Python's own rule has one each
time a quarter has been added.
"""

from __future__ import annotations

import gc

YOUNG_MAX = 5_000
MIDDLE_EVERY = 10
FULL_EVERY = 20
"""Middle collections between full ones: a full one comes when a million objects were added at
least, which is when cycles that died could hold a hundred megabytes or two."""


def spare_the_long_lived() -> None:
    """Leave what exists out of all later collections, and have full ones seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, MIDDLE_EVERY, FULL_EVERY)
