"""Stores the samples of a host's rooms: one board per host, beside its rooms.

What cannot be stored waits in its room (`health.py`) and is tried again; a host that dies loses the
samples that wait, and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from actors.hosting.core import HostView
from actors.live_room.room import Room
from kit.errors import Unavailable
from kit.logs import get_log
from storage.database import LOST_CONNECTION
from storage.live_samples import LiveSample, write_samples
from storage.placements import ROOM

log = get_log("room.samples")

ROUND_S = 2.0
SAMPLES_PER_WRITE_MAX = 500


async def run_sample_board(view: HostView) -> None:
    """Store this host's samples until cancelled."""

    def list_rooms() -> list[Room]:
        return [core for core in view.list_cores(ROOM) if isinstance(core, Room)]

    board = SampleBoard(view, list_rooms)
    while True:
        await asyncio.sleep(ROUND_S)
        await board.store()


class SampleBoard:
    """Writes what waits, the rooms in turn."""

    def __init__(self, view: HostView, list_rooms: Callable[[], Sequence[Room]]) -> None:
        self._view = view
        self._list_rooms = list_rooms

    async def store(self) -> None:
        """Write what waits, at most so many samples; the rest goes in the next round."""
        host = self._view.find_host()
        chosen: list[tuple[Room, list[LiveSample]]] = []
        left = SAMPLES_PER_WRITE_MAX
        for room in self._list_rooms():
            samples = list(room.health.waiting)[:left]
            if samples:
                chosen.append((room, samples))
                left -= len(samples)
            if not left:
                break
        if host is None or not chosen:
            return
        samples = [sample for _room, found in chosen for sample in found]
        visitors = [room.health.pack_visitors() for room, _samples in chosen]
        try:
            async with self._view.database.connection() as connection:
                await write_samples(connection, host, samples, visitors)
        except (Unavailable, *LOST_CONNECTION) as error:
            log.info("samples.not_stored", error=type(error).__name__, waiting=len(samples))
            return
        for room, found in chosen:
            room.health.drop_stored(found)
