"""The runtime's storage in PostgreSQL: leases and placements, and each kind's own rows.

Made by shells, edges and the API around their pool. No rules and no SQL here. A connection that
dies, or a lock that is not got, ends as DatabaseBusy, or as WriteOutcomeUnknown where something
may have been written.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from actors.hosting.core import HostRef, Kind, Loaded, ObjectKey, TickOutcome, index_kinds
from actors.hosting.entries import Batch, Entry
from actors.hosting.log import HISTORY_MAX
from storage import hosts, placements
from storage.database import (
    LOST_CONNECTION,
    NOT_NOW,
    Connection,
    Database,
    DatabaseBusy,
    WriteOutcomeUnknown,
)

TURN_WAIT_MAX_S = 5.0


class PostgresStore:
    """The `HostStore` of the product."""

    def __init__(
        self,
        database: Database,
        kinds: Sequence[Kind],
        history_max: int = HISTORY_MAX,
        turn_wait_max_s: float = TURN_WAIT_MAX_S,
    ) -> None:
        self._history_max = history_max
        self._turn_wait_max_s = turn_wait_max_s
        self._database = database
        self._kinds = index_kinds(kinds)
        self._lanes = {
            kind.name: asyncio.Semaphore(kind.store.connections_max)
            for kind in kinds
            if kind.store.connections_max is not None
        }

    async def register(self, host_id: str, *, node: str, ttl_s: float) -> int:
        """Give the host a fresh lease; return its incarnation."""
        async with self._connection() as connection:
            return await hosts.register_host(connection, host_id, node=node, ttl_s=ttl_s)

    async def announce(self, host: HostRef, address: str) -> bool:
        """Open the host for placements at `address`."""
        async with self._connection() as connection:
            return await hosts.announce_host(connection, *host, address)

    async def renew(self, host: HostRef, ttl_s: float) -> bool:
        """Extend the lease after the host's own writes in flight have ended; False: fenced."""
        async with self._connection() as connection:
            return await hosts.renew_host(connection, *host, ttl_s)

    async def drain(self, host: HostRef) -> bool:
        """Take the host out of placement."""
        async with self._connection() as connection:
            return await hosts.drain_host(connection, *host)

    async def fence(self, host: HostRef) -> bool:
        """End an incarnation; True when it was not yet over."""
        async with self._connection() as connection:
            return await hosts.fence_host(connection, *host)

    async def fence_late(self, host: HostRef, left_s: float = hosts.LATE_S) -> bool:
        """End an incarnation whose lease has less than `left_s` left; True when it is over now."""
        async with self._connection() as connection:
            return await hosts.fence_late_host(connection, *host, left_s=left_s)

    async def fence_expired(self, ttl_s: float) -> list[str]:
        """Fence hosts whose lease lapsed; return their ids."""
        async with self._connection() as connection:
            return await hosts.fence_expired_hosts(connection, ttl_s)

    async def list_live_hosts(self) -> list[hosts.HostEntry]:
        """Return the hosts that take placements, the emptiest first."""
        async with self._connection() as connection:
            return await hosts.list_live_hosts(connection)

    async def find_placement(self, key: ObjectKey) -> placements.Placement | None:
        """Return where the object is placed, living owner or not."""
        async with self._connection(key.kind) as connection:
            return await placements.find_placement(connection, *key)

    async def place(self, key: ObjectKey, host: HostRef) -> placements.Placement | None:
        """Place the object unless it has a living owner; return the placement that stands."""
        async with self._connection(key.kind) as connection:
            return await placements.place_object(connection, *key, host)

    async def move(
        self, key: ObjectKey, host: HostRef, number: int, target: HostRef
    ) -> placements.Placement | None:
        """Give an object that `host` stopped to `target`; None: not ours, or target takes none."""
        async with self._connection(key.kind) as connection:
            return await placements.move_object(connection, key, host, number, target)

    async def release(self, key: ObjectKey, host: HostRef, number: int) -> bool:
        """Give up an object that `host` stopped."""
        async with self._connection(key.kind) as connection:
            return await placements.release_placement(connection, key, host, number)

    async def renumber(self, key: ObjectKey, host: HostRef) -> int | None:
        """Take another number for an object of `host`; None: not ours."""
        async with self._connection(key.kind) as connection:
            return await placements.renumber_placement(connection, *key, host)

    async def list_unowned(self, kind: str, limit: int) -> list[uuid.UUID]:
        """Return objects of a kind that need an owner and have none."""
        list_unowned = self._kinds[kind].store.list_unowned
        if list_unowned is None:
            return []
        async with self._connection() as connection:
            return await list_unowned(connection, limit)

    async def load(self, key: ObjectKey, host: HostRef) -> Loaded | None:
        """Return the object's rows; None when `host` does not own it."""
        async with self._connection(key.kind) as connection:
            load = self._kinds[key.kind].store.load
            return await load(connection, host, key.id, self._history_max)

    async def write(
        self, kind: str, host: HostRef, batches: Mapping[uuid.UUID, Batch]
    ) -> TickOutcome:
        """Write one tick of a kind in one statement."""
        try:
            async with self._database.connection() as connection:
                return await self._kinds[kind].store.write(connection, host, batches)
        except LOST_CONNECTION as error:
            raise WriteOutcomeUnknown from error

    async def read_after(self, key: ObjectKey, seq: int, limit: int) -> list[Entry]:
        """Return stored entries after `seq`, oldest first."""
        async with self._connection(key.kind) as connection:
            return await self._kinds[key.kind].store.read_after(connection, key.id, seq, limit)

    @asynccontextmanager
    async def _connection(self, kind: str = "") -> AsyncIterator[Connection]:
        """Lend a connection; a kind that may hold only so many waits for its turn first."""
        try:
            async with self._take_turn(kind), self._database.connection() as connection:
                yield connection
        except (*LOST_CONNECTION, *NOT_NOW) as error:
            raise DatabaseBusy(retry_after_s=1) from error

    @asynccontextmanager
    async def _take_turn(self, kind: str) -> AsyncIterator[None]:
        lane = self._lanes.get(kind)
        if lane is None:
            yield
            return
        try:
            async with asyncio.timeout(self._turn_wait_max_s):
                await lane.acquire()
        except TimeoutError as error:
            raise DatabaseBusy(retry_after_s=1) from error
        try:
            yield
        finally:
            lane.release()
