"""Waits a moment for the rest of a frame, so that its packets leave together and in bundles.

Called by `server` after each batch of datagrams. A frame's packets come one by one; sending each
to every viewer as it comes costs twice what sending them together does (benchmarks/sfu_peers).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from media.sfu.room import SfuRoom

HOLD_S = 0.008
"""Of ten packets that an encoder spreads over a thirtieth of a second, three go together."""


class FrameHold:
    """Flushes rooms whose frame is whole at once, others after `HOLD_S` at the latest."""

    def __init__(
        self,
        now: Callable[[], float],
        run_later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._now = now
        self._run_later = run_later
        self._held: set[SfuRoom] = set()

    def flush(self, rooms: Iterable[SfuRoom]) -> None:
        """Flush, or hold, what the last batch brought."""
        now_s = self._now()
        for room in rooms:
            if not room.is_amid_frame:
                room.flush(now_s)
            elif room not in self._held:
                self._held.add(room)
                self._run_later(HOLD_S, functools.partial(self._release, room))

    def _release(self, room: SfuRoom) -> None:
        self._held.discard(room)
        room.flush(self._now())
