"""Lives whose sound this edge makes as AAC, too: as soon as a player asks, until none does.

`live_hls.py` asks it. One process makes the AAC of all of them; no more are made at once than the
settings allow. A live's lane follows its window in a task of its own.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid

from kit.clock import Clock
from kit.errors import Unavailable
from kit.logs import get_log
from kit.metrics import LIVE_AAC, LIVE_AAC_DROPPED, LIVE_AAC_REFUSED
from media.live.aac_lane import AacLane
from media.live.fragments import AUDIO
from media.live.sound_tap import AAC_CHILD, SoundTap
from media.live.window import LiveWindow
from serve_apps.edge.broadcasts import Broadcast

IDLE_S = 30.0
"""Longer than a player waits for a blocking reload: then nobody listens any more."""
LOOK_EVERY_S = 1.0
RETRY_AFTER_S = 10

log = get_log("edge.aac")


class AacBusy(Unavailable):
    """As many lives as may are made as AAC here."""

    code = "aac_busy"
    message = "This edge makes no more sound as AAC at present; play Opus, or ask again."


class AacShow:
    """One live's lane while somebody listens; `window` is the live's own."""

    def __init__(self, window: LiveWindow, tap: SoundTap) -> None:
        self.window = window
        self.asked_s = 0.0
        self.following: asyncio.Task[None] | None = None
        self.is_over = False
        self._changed = asyncio.Event()
        # Caches keep what lies under an address: each lane has addresses of its own.
        self.lane = AacLane(window, tap, secrets.token_hex(8), self.note_change)

    @property
    def is_playable(self) -> bool:
        """Whether there is sound yet."""
        entries = self.lane.window.list_entries(AUDIO)
        return any(entry.duration_ticks for entry in entries[:2])

    async def wait_change(self) -> None:
        """Return when the lane's window changed."""
        await self._changed.wait()

    def note_change(self) -> None:
        """Wake everybody who waits."""
        self._changed.set()
        self._changed = asyncio.Event()


class AacDesk:
    """All lanes of one edge."""

    def __init__(
        self, clock: Clock, *, lives_max: int, tap: SoundTap | None = None, idle_s: float = IDLE_S
    ) -> None:
        self.is_on = lives_max > 0
        self._clock = clock
        self._lives_max = lives_max
        self._idle_s = idle_s
        self._tap = tap or SoundTap(AAC_CHILD)
        self._shows: dict[uuid.UUID, AacShow] = {}
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._shows)

    def open(self, broadcast: Broadcast, window: LiveWindow) -> AacShow:
        """Return the lane of a live, begun now when nobody asked before; raises AacBusy."""
        show = self._shows.get(broadcast.room_id)
        if show is not None and show.window is not window:
            self._close(broadcast.room_id)
            show = None
        if show is None:
            show = self._begin(broadcast, window)
        show.asked_s = self._clock.monotonic_s()
        return show

    def find(self, room_id: uuid.UUID) -> AacShow | None:
        """Return the lane of a live that somebody asked for."""
        return self._shows.get(room_id)

    async def close(self) -> None:
        """End all lanes and the process; closing twice does nothing."""
        tasks = [show.following for show in self._shows.values() if show.following]
        for room_id in list(self._shows):
            self._close(room_id)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._tap.close()

    # Within

    def _begin(self, broadcast: Broadcast, window: LiveWindow) -> AacShow:
        if len(self._shows) >= self._lives_max:
            LIVE_AAC_REFUSED.inc()
            raise AacBusy(retry_after_s=RETRY_AFTER_S)
        show = AacShow(window, self._tap)
        self._shows[broadcast.room_id] = show
        LIVE_AAC.set(len(self._shows))
        show.following = asyncio.create_task(self._follow(broadcast, show), name="aac-lane")
        show.following.add_done_callback(_report_end)
        log.info("aac.begun", room_id=str(broadcast.room_id))
        return show

    async def _follow(self, broadcast: Broadcast, show: AacShow) -> None:
        """Hand the live's sound over until nobody asks any more, or the window is another one."""
        try:
            self._tap.start()
            await self._tap.wait_process()
            while broadcast.window is show.window and not self._is_idle(show):
                show.lane.follow()
                LIVE_AAC_DROPPED.inc(self._tap.dropped - self._dropped)
                self._dropped = self._tap.dropped
                try:
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await broadcast.wait_change()
                except TimeoutError:
                    continue
        finally:
            if self._shows.get(broadcast.room_id) is show:
                self._close(broadcast.room_id)
            log.info("aac.ended", room_id=str(broadcast.room_id))
        if not self._shows:
            await self._tap.close()

    def _is_idle(self, show: AacShow) -> bool:
        return self._clock.monotonic_s() - show.asked_s > self._idle_s

    def _close(self, room_id: uuid.UUID) -> None:
        show = self._shows.pop(room_id)
        show.is_over = True
        show.lane.close()
        if show.following is not None and show.following is not asyncio.current_task():
            show.following.cancel()
        show.note_change()
        LIVE_AAC.set(len(self._shows))


def _report_end(following: asyncio.Task[None]) -> None:
    """Say so when a lane ended by a fault; nobody awaits the task."""
    error = None if following.cancelled() else following.exception()
    if error is not None:
        log.error("aac.failed", exc_info=error)
