"""Writes what rooms accepted: one statement per tick for all of them, one tick at a time.

`host.py` owns one `TickWriter`. While a tick is being written more lines gather for the next, so
load makes batches by itself; a quiet host writes nothing. When nobody knows whether a tick was
stored, it waits for its own writes to end, then compares the rooms with storage.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from actors.live_room.activation import list_rows, read_entries_after
from actors.live_room.entries import Batch, Effect, StorageAway
from actors.live_room.lease import Lease
from actors.live_room.room import Room
from kit.errors import AppError
from kit.logs import get_log
from kit.metrics import CHAT_MESSAGES
from storage.database import LOST_CONNECTION, Database, WriteOutcomeUnknown
from storage.rooms import SequenceTaken, TickOutcome, WriteRefused, write_tick

log = get_log("room_host")

ROWS_PER_TICK_MAX = 500
ROWS_PER_ROOM_MAX = 100
PAUSE_S = 0.2
UNSETTLED_MAX = 10_000

Repeats = dict[tuple[uuid.UUID, str], tuple[uuid.UUID, int]]


@dataclass(frozen=True)
class TickPorts:
    """What the writer needs of its host."""

    database: Database
    lease: Lease
    host: tuple[str, int]
    find_room: Callable[[uuid.UUID], Room | None]
    apply: Callable[[Room, list[Effect]], None]
    """Carry out effects; called on the event loop after the tick was stored."""
    on_displaced: Callable[[uuid.UUID], None]
    """The room is not ours any more: put it away."""


class TickWriter:
    """Writes until cancelled."""

    def __init__(self, ports: TickPorts) -> None:
        self._ports = ports
        self._dirty: dict[uuid.UUID, None] = {}
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()
        self.is_storage_away = False
        self.ticks = 0

    def note(self, room_id: uuid.UUID) -> None:
        """Say that the room has work."""
        self._dirty[room_id] = None
        self._quiet.clear()
        self._wake.set()

    async def wait_quiet(self) -> None:
        """Return when nothing is out and nothing waits."""
        await self._quiet.wait()

    async def run(self) -> None:
        """Write tick after tick; while storage is away, ask for it until it is back."""
        while True:
            if not self._dirty and not self.is_storage_away:
                self._quiet.set()
                await self._wake.wait()
            self._wake.clear()
            if self.is_storage_away and not await self._is_back():
                await asyncio.sleep(PAUSE_S)
            elif self._dirty:
                await self._write(self._take_batches())
                self.ticks += 1

    def _take_batches(self) -> dict[uuid.UUID, Batch]:
        batches: dict[uuid.UUID, Batch] = {}
        rows = 0
        for room_id in list(self._dirty):
            if rows >= ROWS_PER_TICK_MAX:
                break
            del self._dirty[room_id]
            room = self._ports.find_room(room_id)
            batch = None if room is None else room.take_batch(ROWS_PER_ROOM_MAX)
            if batch is not None:
                batches[room_id] = batch
                rows += len(batch.entries)
        return batches

    async def _write(self, batches: Mapping[uuid.UUID, Batch]) -> None:
        if not batches:
            return
        messages, changes = list_rows(batches)
        try:
            async with self._ports.database.connection() as connection:
                outcome = await write_tick(connection, self._ports.host, messages, changes)
        except WriteRefused as error:
            await self._write_one_by_one(batches, error)
        except (SequenceTaken, WriteOutcomeUnknown, *LOST_CONNECTION) as error:
            log.warning("tick.outcome_unknown", error=type(error).__name__, rooms=len(batches))
            await self._compare_with_storage(batches)
        except AppError as error:
            log.warning("tick.not_written", code=error.code, rooms=len(batches))
            self.is_storage_away = True
            for room_id in batches:
                self._settle(room_id, lambda room: room.revert(StorageAway(retry_after_s=1)))
        else:
            self._apply_outcome(batches, outcome)

    async def _write_one_by_one(
        self, batches: Mapping[uuid.UUID, Batch], error: WriteRefused
    ) -> None:
        """One refused row refuses the statement: find the room it belongs to."""
        if len(batches) > 1:
            for room_id, batch in batches.items():
                await self._write({room_id: batch})
            return
        (room_id,) = batches
        log.error("tick.refused", room_id=str(room_id), cause=repr(error.__cause__))
        self._settle(room_id, lambda room: room.revert(error))
        await asyncio.sleep(PAUSE_S)

    def _apply_outcome(self, batches: Mapping[uuid.UUID, Batch], outcome: TickOutcome) -> None:
        repeats: dict[uuid.UUID, Repeats] = {}
        for (room_id, user_id, client_id), known in outcome.repeated.items():
            repeats.setdefault(room_id, {})[(user_id, client_id)] = known
        for room_id, batch in batches.items():
            if room_id in outcome.fenced:
                self._ports.on_displaced(room_id)
            elif room_id in repeats:
                self._settle(room_id, partial(_drop_repeats, repeats[room_id]))
            else:
                CHAT_MESSAGES.inc(sum(entry.kind == "chat_message" for entry in batch.entries))
                self._settle(room_id, Room.confirm)

    async def _compare_with_storage(self, batches: Mapping[uuid.UUID, Batch]) -> None:
        """Find out what was stored. Renewing first waits for our own writes still in flight."""
        self.is_storage_away = True
        while not await self._is_back():
            if self._ports.lease.is_fenced:
                return
            await asyncio.sleep(PAUSE_S)
        for room_id in batches:
            while True:
                if await self._compare_room(room_id):
                    break
                await asyncio.sleep(PAUSE_S)

    async def _compare_room(self, room_id: uuid.UUID) -> bool:
        room = self._ports.find_room(room_id)
        if room is None:
            return True
        try:
            async with self._ports.database.connection() as connection:
                stored = await read_entries_after(connection, room_id, room.head, UNSETTLED_MAX)
        except (AppError, *LOST_CONNECTION):
            return False
        self._settle(room_id, lambda room: room.resolve(stored))
        return True

    async def _is_back(self) -> bool:
        """Ask storage, by renewing the lease."""
        try:
            is_ours = await self._ports.lease.renew()
        except (AppError, *LOST_CONNECTION):
            return False
        self.is_storage_away = not is_ours
        return is_ours

    def _settle(self, room_id: uuid.UUID, step: Callable[[Room], list[Effect]]) -> None:
        """Take the room one step on, carry out what follows, and come back if more waits."""
        room = self._ports.find_room(room_id)
        if room is None:
            return
        self._ports.apply(room, step(room))
        if room.has_work:
            self.note(room_id)


def _drop_repeats(repeats: Repeats, room: Room) -> list[Effect]:
    return room.drop_repeats(repeats)
