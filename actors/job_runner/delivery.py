"""Hands outbox events to their listeners: one loop each, woken by NOTIFY and once a second.

The runner owns the task. A delivery is leased, handled, and marked; what fails comes again later
and is held after its last try. It survives PostgreSQL going away and coming back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from actors.job_runner.ports import JobPorts, Listener
from kit.errors import AppError, Unavailable
from kit.events import Event
from kit.logs import get_log
from kit.metrics import EVENTS_DELIVERED, EVENTS_FAILED
from storage.database import LOST_CONNECTION
from storage.events import (
    EVENTS_CHANNEL,
    claim_deliveries,
    mark_delivered,
    mark_failed,
    purge_delivered,
    register_listeners,
)
from storage.jobs import prune_job_log
from storage.user_entries import purge_entries

log = get_log("delivery")

BATCH = 10
HANDLER_MAX_S = 120.0
LEASE_S = 20.0
"""Short, so that a killed runner's events are not late; what takes longer may come twice."""
AWAY_PAUSE_S = 0.5
CHORES_EVERY_S = 3600.0
KEEP_S = 7 * 86_400.0
ENTRY_KEEP_S = 30 * 86_400.0
ENTRIES_MAX = 10_000
"""What a person's channel keeps: a month or so many entries, whichever ends first."""
PURGE_BATCH = 5_000
AWAY = (Unavailable, *LOST_CONNECTION)


@dataclass
class Delivery:
    """The loops' shared state; `delivered` and `failed` count since the start."""

    ports: JobPorts
    listeners: Mapping[str, Listener]
    poll_s: float
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    wakes: dict[str, asyncio.Event] = field(default_factory=dict)
    disturbed: asyncio.Event = field(default_factory=asyncio.Event)
    delivered: int = 0
    failed: int = 0

    async def run(self) -> None:
        """Deliver until `stop`; what is being handled then is finished first."""
        if not await self._register():
            return
        self.wakes = {name: asyncio.Event() for name in self.listeners}
        helpers = [
            asyncio.create_task(self._hear(), name="events-notify"),
            asyncio.create_task(self._do_chores(), name="events-chores"),
        ]
        loops = [
            asyncio.create_task(self._deliver(name, listener), name=f"events-{name}")
            for name, listener in self.listeners.items()
        ]
        try:
            await asyncio.gather(*loops)
            await self.stopping.wait()
        finally:
            for task in [*loops, *helpers]:
                task.cancel()
            await asyncio.gather(*loops, *helpers, return_exceptions=True)

    def stop(self) -> None:
        """Have `run` end once what is being handled is done."""
        self.stopping.set()
        self._wake_all("")

    async def _register(self) -> bool:
        """Write who wants what; False when stopped before PostgreSQL was there."""
        wanted = {name: listener.events for name, listener in self.listeners.items()}
        while not self.stopping.is_set():
            try:
                async with self.ports.database.transaction() as connection:
                    await register_listeners(connection, wanted)
            except AWAY:
                await self._pause(AWAY_PAUSE_S)
            else:
                return True
        return False

    async def _deliver(self, name: str, listener: Listener) -> None:
        """Claim and handle until stopped."""
        wake = self.wakes[name]
        while not self.stopping.is_set():
            wake.clear()
            try:
                async with self.ports.database.transaction() as connection:
                    events = await claim_deliveries(connection, name, BATCH, lease_s=LEASE_S)
                for event in events:
                    await self._hand_over(name, listener, event)
            except AWAY as error:
                log.info("delivery.away", listener=name, error=type(error).__name__)
                self.disturbed.set()
                await self._pause(AWAY_PAUSE_S)
                continue
            if len(events) < BATCH:
                await self._wait_for(wake, self.poll_s)

    async def _hand_over(self, name: str, listener: Listener, event: Event) -> None:
        """Handle one event and mark it; raises only that PostgreSQL is away."""
        try:
            async with asyncio.timeout(HANDLER_MAX_S):
                await listener.handle(self.ports, event)
        except Exception as error:
            code = error.code if isinstance(error, AppError) else type(error).__name__
            self.failed += 1
            EVENTS_FAILED.labels(name).inc()
            async with self.ports.database.transaction() as connection:
                is_held = await mark_failed(connection, name, event.id, error=f"{code}: {error}")
            log.warning(
                "event.failed",
                listener=name,
                event_id=str(event.id),
                name=str(event.name),
                code=code,
                is_held=is_held,
                exc_info=error,
            )
            return
        async with self.ports.database.transaction() as connection:
            await mark_delivered(connection, name, event.id)
        self.delivered += 1
        EVENTS_DELIVERED.labels(name).inc()

    async def _hear(self) -> None:
        """Wake all loops at each NOTIFY; listen anew after a disturbance."""
        stop: Callable[[], Awaitable[None]] | None = None
        try:
            while True:
                self.disturbed.clear()
                try:
                    stop = await self.ports.database.listen(EVENTS_CHANNEL, self._wake_all)
                except AWAY:
                    await asyncio.sleep(AWAY_PAUSE_S)
                    continue
                await self.disturbed.wait()
                with suppress(*AWAY):
                    await stop()
                stop = None
        finally:
            if stop is not None:
                with suppress(*AWAY):
                    await stop()

    async def _do_chores(self) -> None:
        """Forget, once an hour, what was delivered or done a week ago."""
        while True:
            with suppress(*AWAY):
                async with self.ports.database.transaction() as connection:
                    await purge_delivered(connection, KEEP_S)
                async with self.ports.database.transaction() as connection:
                    await prune_job_log(connection, KEEP_S)
                await self._purge_entries()
            await asyncio.sleep(CHORES_EVERY_S)

    async def _purge_entries(self) -> None:
        """Forget what people were told a month ago, a few thousand rows at a time."""
        while True:
            async with self.ports.database.transaction() as connection:
                gone = await purge_entries(
                    connection, keep_s=ENTRY_KEEP_S, keep_max=ENTRIES_MAX, limit=PURGE_BATCH
                )
            if gone < PURGE_BATCH:
                return

    def _wake_all(self, _payload: str) -> None:
        for wake in self.wakes.values():
            wake.set()

    async def _pause(self, delay_s: float) -> None:
        await self._wait_for(self.stopping, delay_s)

    async def _wait_for(self, event: asyncio.Event, delay_s: float) -> None:
        """Wait for the event or the delay, whichever ends first."""
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await event.wait()
