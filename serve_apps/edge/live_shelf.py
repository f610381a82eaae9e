"""Lives that do not come in at this edge, as their rows list them: ended, interrupted, elsewhere.

`live_hls.py` asks it when no broadcast of this edge answers. Rows are read again after a second;
the windows of lives that ended stay until others need the room.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from dataclasses import dataclass

from kit.clock import Clock
from kit.errors import NotFound
from media.live.playlists import LivePlaylists
from media.live.stored import build_window
from media.live.window import LiveWindow
from storage.database import LOST_CONNECTION, Connection, Database, DatabaseBusy
from storage.edges import find_edge
from storage.live_segments import LiveOrigin, SegmentRange, find_origin, list_segments

FRESH_S = 1.0
LIVES_MAX = 64
NUMBER_MAX = 2**31 - 1
ENDED = "ended"


class LiveUnknown(NotFound):
    """There is no such live, or nothing of it was stored."""

    code, message = "live_not_found", "There is no such live, or nothing of it can be played yet."


@dataclass(frozen=True)
class ShelvedLive:
    """A live as read at `read_s` (monotonic); without a window nothing of it is stored."""

    read_s: float
    origin: LiveOrigin
    edge_url: str | None
    """The edge where it comes in now, while that one lives."""
    window: LiveWindow | None
    playlists: LivePlaylists | None


class LiveShelf:
    """Shelved lives, those that nobody asked for dropped first; one reader per live."""

    def __init__(self, database: Database, clock: Clock, edge_url: str) -> None:
        self._database = database
        self._clock = clock
        self._edge_url = edge_url
        self._lives: OrderedDict[uuid.UUID, ShelvedLive] = OrderedDict()
        self._reads: dict[uuid.UUID, asyncio.Task[ShelvedLive]] = {}

    async def get(self, live_id: uuid.UUID) -> ShelvedLive:
        """Return a live, at most a second old; raises LiveUnknown, DatabaseBusy."""
        known = self._lives.get(live_id)
        if known is not None:
            self._lives.move_to_end(live_id)
            if self._clock.monotonic_s() - known.read_s < FRESH_S:
                return known
        task = self._reads.get(live_id)
        if task is None:
            task = asyncio.create_task(self._read(live_id, known), name="live-shelf")
            self._reads[live_id] = task
            task.add_done_callback(lambda _task: self._reads.pop(live_id, None))
        # Shielded: a reader that goes away must not take the others' answer with it.
        return await asyncio.shield(task)

    async def _read(self, live_id: uuid.UUID, known: ShelvedLive | None) -> ShelvedLive:
        started_s = self._clock.monotonic_s()
        try:
            async with self._database.connection() as connection:
                origin = await find_origin(connection, live_id)
                if origin is None:
                    raise LiveUnknown
                edge_url = await _find_edge_url(connection, origin)
                is_elsewhere = edge_url not in (None, self._edge_url)
                window = (
                    None  # whoever asks is sent there
                    if is_elsewhere
                    else await self._build(connection, live_id, origin, known)
                )
        except LOST_CONNECTION as error:
            raise DatabaseBusy(retry_after_s=1) from error
        playlists = None if window is None else LivePlaylists(window)
        if known is not None and window is known.window:
            playlists = known.playlists
        live = ShelvedLive(started_s, origin, edge_url, window, playlists)
        self._lives[live_id] = live
        while len(self._lives) > LIVES_MAX:
            self._lives.popitem(last=False)
        return live

    async def _build(
        self,
        connection: Connection,
        live_id: uuid.UUID,
        origin: LiveOrigin,
        known: ShelvedLive | None,
    ) -> LiveWindow | None:
        """Build the window from the rows, unless the last of them was there when they were read."""
        if known is not None and known.window is not None and known.window.is_ended:
            return known.window
        rows = await list_segments(connection, SegmentRange(live_id, 0, NUMBER_MAX))
        if not any(row.tracks for row in rows):
            return None
        window = await asyncio.to_thread(build_window, rows, _tell_nobody)
        if origin.status == ENDED and not origin.is_listing:
            window.end()
        return window


async def _find_edge_url(connection: Connection, origin: LiveOrigin) -> str | None:
    """Return where the live comes in, while that edge lives."""
    place = origin.origin
    if origin.status == ENDED or place is None:
        return None
    edge = await find_edge(
        connection, str(place["node"]), int(place["slot"]), int(place["incarnation"])
    )
    return None if edge is None else edge.url


def _tell_nobody() -> None:
    """A window that is built at once has no reader yet."""
