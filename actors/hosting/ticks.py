"""Writes what objects of one kind accepted: one statement per tick for all of them.

`host.py` owns one `TickWriter` per kind; a writer has one tick out at a time. What comes meanwhile
gathers for the next, and ticks keep a pace of at most 80 ms that follows the load, so that a busy
time shares commits and frames; a quiet host writes at once, or nothing. When nobody knows whether
a tick was stored, the writer waits for its own writes to end, then compares with storage; whoever
waits for an answer is told so after `WRITE_TIMEOUT_S`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from actors.hosting.core import Core, HostRef, ObjectKey, TickOutcome
from actors.hosting.effects import Effect, StorageAway
from actors.hosting.entries import Batch, Repeats
from actors.hosting.lease import Lease
from actors.hosting.log import Log
from actors.hosting.ports import HostStore
from actors.hosting.supervision import Guard
from kit.clock import Clock
from kit.errors import AppError
from kit.logs import get_log
from kit.metrics import ENTRIES_STORED, MAILBOX_DEPTH, TICK_DURATION, TICK_ENTRIES, label
from storage.database import WRITE_TIMEOUT_S, SequenceTaken, WriteOutcomeUnknown, WriteRefused

log = get_log("host")

ROWS_PER_TICK_MAX = 500
ROWS_PER_OBJECT_MAX = 100
PAUSE_S = 0.2
UNSETTLED_MAX = 10_000
TICK_MAX_S = 0.08
TICK_FOR_ROWS_MAX_S = 0.05
TICK_PER_ROW_S = 0.001
"""At 20 rows a second a tick lasts 20 ms, from 50 rows a second on the longest."""
TICK_PER_VIEWER_S = 0.000_08
"""Each viewer costs its edge a write per frame: rooms of 1,000 get 12.5 frames a second at most."""
RATE_OVER_S = 1.0


class Pace:
    """How long the next tick waits: longer the more rows come, and the more are shown them.

    Not at all after a quiet time. `benchmarks/chat_fanout` shows what shared frames save.
    """

    def __init__(self) -> None:
        self._rows_per_s = 0.0
        self._ticked_at_s = 0.0
        self._audience = 0

    def decide_wait_s(self, now_s: float) -> float:
        """Return how long to let rows gather before the next tick."""
        for_rows_s = min(TICK_FOR_ROWS_MAX_S, self._rows_per_s * TICK_PER_ROW_S)
        for_viewers_s = min(TICK_MAX_S, self._audience * TICK_PER_VIEWER_S)
        tick_s = max(for_rows_s, for_viewers_s)
        return max(0.0, self._ticked_at_s + tick_s - now_s)

    def count_tick(self, now_s: float, rows: int, audience: int) -> None:
        """Note that a tick of so many rows begins now, shown to so many."""
        passed_s = max(now_s - self._ticked_at_s, 1e-3)
        share = min(1.0, passed_s / RATE_OVER_S)
        self._rows_per_s += (rows / passed_s - self._rows_per_s) * share
        self._ticked_at_s = now_s
        self._audience = audience


@dataclass(frozen=True)
class TickPorts:
    """What the writer needs of its host."""

    store: HostStore
    lease: Lease
    host: HostRef
    find_core: Callable[[ObjectKey], Core | None]
    act: Callable[[ObjectKey, Callable[[Core], list[Effect]]], bool]
    """Take an object a step on, and carry out what follows."""
    guard: Callable[[ObjectKey], Guard]
    """One object that breaks must not hold up the others."""
    clock: Clock
    on_displaced: Callable[[ObjectKey], None]
    """The object is not ours any more: put it away."""


class TickWriter:
    """Writes one kind until cancelled."""

    def __init__(self, kind: str, ports: TickPorts) -> None:
        self._kind = kind
        self._ports = ports
        self._dirty: dict[uuid.UUID, None] = {}
        self._wake = asyncio.Event()
        self._pace = Pace()
        self._out: frozenset[uuid.UUID] = frozenset()
        self._tick_over = asyncio.Event()
        self.is_storage_away = False
        self.ticks = 0

    def note(self, object_id: uuid.UUID) -> None:
        """Say that the object has work."""
        self._dirty[object_id] = None
        self._wake.set()

    async def wait_written(self, object_id: uuid.UUID) -> None:
        """Return when no tick is out that has something of this object."""
        while object_id in self._out:
            await self._tick_over.wait()

    async def run(self) -> None:
        """Write tick after tick; while storage is away, ask for it until it is back."""
        while True:
            if not self._dirty and not self.is_storage_away:
                await self._wake.wait()
            self._wake.clear()
            if self.is_storage_away and not await self._is_back():
                await asyncio.sleep(PAUSE_S)
            elif self._dirty:
                await self._keep_pace()
                await self._tick()

    async def _tick(self) -> None:
        batches = self._take_batches()
        if not batches:
            return
        rows = sum(len(batch.entries) for batch in batches.values())
        cores = filter(None, map(self._find_core, batches))
        audience = sum(core.audience for core in cores)
        self._pace.count_tick(asyncio.get_running_loop().time(), rows, audience)
        self._out = frozenset(batches)
        began_s = self._ports.clock.monotonic_s()
        loop = asyncio.get_running_loop()
        patience = loop.call_later(WRITE_TIMEOUT_S, self._end_waiting, batches)
        try:
            await self._write(batches)
        finally:
            patience.cancel()
            self._out = frozenset()
            self._tick_over.set()
            self._tick_over = asyncio.Event()
        self.ticks += 1
        label(TICK_DURATION, self._kind).observe(self._ports.clock.monotonic_s() - began_s)
        label(TICK_ENTRIES, self._kind).observe(rows)

    def _end_waiting(self, batches: Mapping[uuid.UUID, Batch]) -> None:
        """Storage has been silent for too long: answer whoever waits, take nothing more for now."""
        log.warning("tick.silent", kind=self._kind, objects=len(batches))
        self.is_storage_away = True
        unknown, refused = WriteOutcomeUnknown(retry_after_s=1), StorageAway(retry_after_s=1)
        for object_id in {**batches, **self._dirty}:
            self._settle(object_id, lambda log: log.end_waiting(unknown, refused))

    async def _keep_pace(self) -> None:
        """Let rows gather where many come; they are in one commit and one frame then."""
        wait_s = self._pace.decide_wait_s(asyncio.get_running_loop().time())
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def _take_batches(self) -> dict[uuid.UUID, Batch]:
        batches: dict[uuid.UUID, Batch] = {}
        rows = 0
        for object_id in list(self._dirty):
            if rows >= ROWS_PER_TICK_MAX:
                break
            del self._dirty[object_id]
            batch = self._take_batch(object_id)
            if batch is not None:
                batches[object_id] = batch
                rows += len(batch.entries)
        return batches

    def _take_batch(self, object_id: uuid.UUID) -> Batch | None:
        core = self._find_core(object_id)
        if core is None:
            return None
        label(MAILBOX_DEPTH, self._kind).observe(core.log.depth)
        batch = None
        with self._ports.guard(ObjectKey(self._kind, object_id)):
            batch = core.log.take_batch(ROWS_PER_OBJECT_MAX)
        return batch

    async def _write(self, batches: Mapping[uuid.UUID, Batch]) -> None:
        try:
            outcome = await self._ports.store.write(self._kind, self._ports.host, batches)
        except WriteRefused as error:
            await self._write_one_by_one(batches, error)
        except (SequenceTaken, WriteOutcomeUnknown) as error:
            log.warning("tick.outcome_unknown", error=type(error).__name__, objects=len(batches))
            await self._compare_with_storage(batches)
        except AppError as error:
            log.warning("tick.not_written", code=error.code, objects=len(batches))
            self.is_storage_away = True
            for object_id in batches:
                self._settle(object_id, lambda log: log.revert(StorageAway(retry_after_s=1)))
        else:
            await self._apply_outcome(batches, outcome)

    async def _write_one_by_one(
        self, batches: Mapping[uuid.UUID, Batch], error: WriteRefused
    ) -> None:
        """One refused row refuses the statement: find the object it belongs to."""
        if len(batches) > 1:
            for object_id, batch in batches.items():
                await self._write({object_id: batch})
            return
        (object_id,) = batches
        log.error("tick.refused", object_id=str(object_id), cause=repr(error.__cause__))
        self._settle(object_id, lambda log: log.revert(error))
        await asyncio.sleep(PAUSE_S)

    async def _apply_outcome(
        self, batches: Mapping[uuid.UUID, Batch], outcome: TickOutcome
    ) -> None:
        outdated: dict[uuid.UUID, Batch] = {}
        for object_id, batch in batches.items():
            if object_id in outcome.fenced:
                self._ports.on_displaced(ObjectKey(self._kind, object_id))
            elif object_id in outcome.repeated:
                repeats = outcome.repeated[object_id]
                if self._is_outdated(object_id, repeats):
                    outdated[object_id] = batch
                else:
                    self._settle(object_id, partial(_drop_repeats, repeats))
            else:
                for entry in batch.entries:
                    label(ENTRIES_STORED, self._kind, entry.kind).inc()
                self._settle(object_id, Log.confirm)
        if outdated:
            await self._compare_with_storage(outdated)

    def _is_outdated(self, object_id: uuid.UUID, repeats: Repeats) -> bool:
        """Whether a statement that came late stored what the object has not shown yet."""
        core = self._find_core(object_id)
        return core is not None and any(known.seq > core.log.head for known in repeats.values())

    async def _compare_with_storage(self, batches: Mapping[uuid.UUID, Batch]) -> None:
        """Find out what was stored. Renewing first waits for our own writes still in flight."""
        self.is_storage_away = True
        while not await self._is_back():
            if self._ports.lease.is_fenced:
                return
            await asyncio.sleep(PAUSE_S)
        for object_id in batches:
            while True:
                if await self._compare_object(object_id):
                    break
                await asyncio.sleep(PAUSE_S)

    async def _compare_object(self, object_id: uuid.UUID) -> bool:
        core = self._find_core(object_id)
        if core is None:
            return True
        key = ObjectKey(self._kind, object_id)
        try:
            stored = await self._ports.store.read_after(key, core.log.head, UNSETTLED_MAX)
        except AppError:
            return False
        self._settle(object_id, lambda log: log.resolve(stored))
        return True

    async def _is_back(self) -> bool:
        """Ask storage, by renewing the lease."""
        try:
            is_ours = await self._ports.lease.renew()
        except (AppError, TimeoutError):
            return False
        self.is_storage_away = not is_ours
        return is_ours

    def _settle(self, object_id: uuid.UUID, step: Callable[[Log], list[Effect]]) -> None:
        """Take the object one step on; the roster notes it again if more waits."""
        self._ports.act(ObjectKey(self._kind, object_id), lambda core: step(core.log))

    def _find_core(self, object_id: uuid.UUID) -> Core | None:
        return self._ports.find_core(ObjectKey(self._kind, object_id))


def _drop_repeats(repeats: Repeats, log: Log) -> list[Effect]:
    return log.drop_repeats(repeats)
