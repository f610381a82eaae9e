"""Lives whose picture this edge makes smaller, too: while somebody watches them by HLS.

`live_hls.py` asks it. Each has a process of its own; all edges of a node make no more at once than
the settings allow. A ladder follows its live's window in a task of its own.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kit.clock import Clock
from kit.logs import get_log
from kit.metrics import LIVE_LADDERS, LIVE_LADDERS_REFUSED
from kit.setting_sections import LADDER_NAMES
from kit.settings import Settings
from media.live.fragments import VIDEO
from media.live.ladder_lane import measure_shape
from media.live.playlists import Beside, LivePlaylists, Variant
from media.live.rungs import choose_short_sides, list_short_sides
from media.live.shedding import SheddingTerms
from media.live.window import LiveWindow
from serve_apps.edge.ladder_show import LadderShow, ShownRung, ShowTerms
from serve_apps.edge.node_slots import NodeSlot, NodeSlots

IDLE_S = 30.0
"""Longer than a player waits for a blocking reload: then nobody watches by HLS any more."""
LOOK_EVERY_S = 1.0

log = get_log("edge.ladder")


class OnAir(Protocol):
    """What of `broadcasts.Broadcast` is used."""

    room_id: uuid.UUID
    window: LiveWindow | None
    playlists: LivePlaylists | None

    async def wait_change(self) -> None:
        """Return when the window changed."""
        ...


@dataclass(frozen=True)
class LadderTerms:
    """What is made, and how much of it."""

    short_sides: Sequence[int]
    """Wanted, largest first; empty: nothing is made."""
    slots: NodeSlots
    shedding: SheddingTerms = field(default_factory=SheddingTerms)
    idle_s: float = IDLE_S


def is_rung(track: str) -> bool:
    """Say whether a folder of a live is one that a rung can have."""
    return track in LADDER_NAMES[1:]


def make_ladder_desk(settings: Settings, clock: Clock, shedding: SheddingTerms) -> LadderDesk:
    """Return an edge's desk; its edges' slots are files in the node's folder of sockets."""
    slots = NodeSlots(settings.run_folder, "ladder", settings.live.ladders_max)
    sides = list_short_sides(settings.live.ladder)
    return LadderDesk(clock.monotonic_s, LadderTerms(sides, slots, shedding))


class LadderDesk:
    """All ladders of one edge."""

    def __init__(self, now_s: Callable[[], float], terms: LadderTerms) -> None:
        self._now_s = now_s
        self._terms = terms
        self._shows: dict[uuid.UUID, LadderShow] = {}
        self._following: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._shows)

    def watch(self, live: OnAir) -> None:
        """Somebody watches a live by HLS: its ladder begins now, or goes on."""
        if not self._terms.short_sides:
            return
        show, window = self._shows.get(live.room_id), live.window
        if show is not None and show.window is window:
            show.asked_s = self._now_s()
        elif show is None and window is not None:
            self._begin(live, window)
        # Of another window the ladder begins when that of the one before has ended.

    def list_variants(self, room_id: uuid.UUID) -> Sequence[Variant]:
        """Describe the rungs of a live, the largest first; none while none are made."""
        show = self._shows.get(room_id)
        return [] if show is None else show.list_variants()

    def find(self, room_id: uuid.UUID, name: str, folder: str | None = None) -> ShownRung | None:
        """Return a rung that is made, or will be in a moment; with a folder, that one alone."""
        show = self._shows.get(room_id)
        return None if show is None else show.find(name, folder)

    async def close(self) -> None:
        """End all ladders; closing twice does nothing."""
        tasks = list(self._following)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Within

    def _begin(self, live: OnAir, window: LiveWindow) -> None:
        picture = window.get_last_sent(VIDEO)
        if picture is None or window.is_ended:
            return
        sides = choose_short_sides(self._terms.short_sides, measure_shape(window, picture))
        slot = self._terms.slots.take() if sides else None
        if slot is None:
            LIVE_LADDERS_REFUSED.inc(bool(sides))
            return
        show = self._shows[live.room_id] = self._open(live, window, sides, slot)
        following = asyncio.create_task(self._follow(live, show), name="ladder")
        self._following.add(following)
        following.add_done_callback(self._forget)
        LIVE_LADDERS.inc()
        log.info("ladder.begun", room_id=str(live.room_id), rungs=list(sides))

    def _open(
        self, live: OnAir, window: LiveWindow, sides: Sequence[int], slot: NodeSlot
    ) -> LadderShow:
        playlists = live.playlists

        def note_rungs(rungs: Sequence[Beside]) -> None:
            if playlists is not None:
                playlists.rungs = rungs

        terms = ShowTerms(live.room_id, self._now_s, self._terms.shedding, slot, note_rungs)
        return LadderShow(window, sides, terms)

    async def _follow(self, live: OnAir, show: LadderShow) -> None:
        """Step until nobody watches any more, or the window is another one."""
        try:
            while live.window is show.window and not self._is_idle(show):
                await show.step()
                try:
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await live.wait_change()
                except TimeoutError:
                    continue
        finally:
            del self._shows[live.room_id]
            LIVE_LADDERS.dec()
            log.info("ladder.ended", room_id=str(live.room_id))
            await show.close()

    def _is_idle(self, show: LadderShow) -> bool:
        return self._now_s() - show.asked_s > self._terms.idle_s

    def _forget(self, following: asyncio.Task[None]) -> None:
        """Say so when a ladder ended by a fault; nobody awaits the task."""
        self._following.discard(following)
        error = None if following.cancelled() else following.exception()
        if error is not None:
            log.error("ladder.failed", exc_info=error)
