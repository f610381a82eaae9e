"""Stores the segments of one publisher: bytes first, then the row that lists them.

`broadcasts.py` makes one per publisher. While the object store or PostgreSQL is away it tries
again and the window keeps the bytes; a publisher whose successor was granted lists nothing more.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from kit.clock import Clock
from kit.errors import Unavailable
from kit.logs import get_log
from kit.metrics import LIVE_SEGMENTS, LIVE_STORE_DURATION
from media.live.fragments import TRACKS
from media.live.stored import describe_segment
from media.live.window import LiveWindow
from storage.database import LOST_CONNECTION, Connection, Database
from storage.live_segments import (
    SegmentRange,
    StoredSegment,
    close_origin,
    find_origin,
    insert_segment,
    list_segments,
    make_live_key,
    make_segment_name,
    open_origin,
)
from storage.objects import ObjectStore, ObjectStoreFailed

log = get_log("edge.broadcasts")
T = TypeVar("T")

GRANT_POLL_S = 0.1
RETRY_S = 0.5
AWAY = (Unavailable, ObjectStoreFailed, *LOST_CONNECTION)
NUMBER_MAX = 2**31 - 1
ENDED = "ended"


@dataclass(frozen=True)
class WriterPorts:
    """What broadcasts are stored with."""

    database: Database
    objects: ObjectStore
    clock: Clock
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the edge ends: nothing is tried again then."""


class Stopping(Unavailable):
    """This edge ends, and storage is away."""

    code, message = "edge_stopping", "This edge is stopping."


class SegmentWriter:
    """One publisher's way to storage; `open` comes first."""

    def __init__(self, room_id: uuid.UUID, ports: WriterPorts) -> None:
        self.origin_gen = 0
        self.is_fenced = False
        """A later publisher was granted: what is left of this one is not listed."""
        self._room_id = room_id
        self._ports = ports
        self._stored_inits: set[tuple[str, str]] = set()

    async def open(self, session_id: str, is_gone: Callable[[], bool]) -> bool:
        """Wait until the room granted this session; False when it left before that."""
        while not self._ports.stopping.is_set():
            origin_gen = await self._write(
                lambda connection: open_origin(connection, self._room_id, session_id)
            )
            if origin_gen is not None:
                self.origin_gen = origin_gen
                return True
            if is_gone():
                return False
            await asyncio.sleep(GRANT_POLL_S)
        return False

    async def read_rows(self) -> Sequence[StoredSegment]:
        """Return every segment that is listed of the live."""
        wanted = SegmentRange(self._room_id, 0, NUMBER_MAX)
        return await self._write(lambda connection: list_segments(connection, wanted))

    async def store(self, window: LiveWindow, number: int) -> None:
        """Store a whole segment and list it, unless its bytes are gone or we are fenced."""
        started_s = self._ports.clock.monotonic_s()
        while not self.is_fenced:
            entries = [window.find_entry(track, number) for track in TRACKS]
            if not all(entry is not None and entry.parts for entry in entries):
                log.error("live.segment_given_up", room_id=str(self._room_id), number=number)
                LIVE_SEGMENTS.labels("given_up").inc()
                return
            try:
                await self._put(window, number)
            except (ObjectStoreFailed, OSError):  # the folder's disk is full, or away
                if self._ports.stopping.is_set():
                    return
                await asyncio.sleep(RETRY_S)
                continue
            row = describe_segment(window, number, self._room_id, self.origin_gen)
            if await self._list(row):
                window.note_stored(number)
                LIVE_SEGMENTS.labels("stored").inc()
                LIVE_STORE_DURATION.observe(self._ports.clock.monotonic_s() - started_s)
            return

    async def list_gap(self, gap: StoredSegment) -> None:
        """List what is missing before this publisher."""
        await self._list(gap)

    async def close(self) -> None:
        """Say that nothing more will be listed."""
        if not self.is_fenced:
            await self._write(
                lambda connection: close_origin(connection, self._room_id, self.origin_gen)
            )

    async def has_ended(self) -> bool:
        """Say whether the live is over; False as well while nobody can tell.

        Notices, too, when it goes on under a later publisher.
        """
        try:
            async with self._ports.database.connection() as connection:
                origin = await find_origin(connection, self._room_id)
        except AWAY:
            return False
        if origin is not None and origin.origin_gen > self.origin_gen:
            self.is_fenced = True
        return origin is None or origin.status == ENDED

    async def _list(self, row: StoredSegment) -> bool:
        is_listed = await self._write(lambda connection: insert_segment(connection, row))
        if not is_listed:
            self.is_fenced = True
            LIVE_SEGMENTS.labels("fenced").inc()
            log.info("live.origin_fenced", room_id=str(self._room_id), number=row.number)
        return is_listed

    async def _put(self, window: LiveWindow, number: int) -> None:
        """Store the bytes of both tracks, and their init segments the first time.

        All of them are taken first: the window may give them up while one is stored.
        """
        objects = self._ports.objects
        found = [(track, window.find_entry(track, number)) for track in TRACKS]
        whole = [(track, entry.init, entry.join()) for track, entry in found if entry is not None]
        assert len(whole) == len(TRACKS), "the caller has seen them"
        for track, init, data in whole:
            if (track, init.name) not in self._stored_inits:
                key = make_live_key(self._room_id, self.origin_gen, track, init.name)
                await objects.put(key, init.data)
                self._stored_inits.add((track, init.name))
            key = make_live_key(self._room_id, self.origin_gen, track, make_segment_name(number))
            await objects.put(key, data)

    async def _write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do one short transaction, again and again while the database is away."""
        while True:
            try:
                async with self._ports.database.transaction() as connection:
                    return await work(connection)
            except AWAY as error:
                log.info("live.storage_away", kind=type(error).__name__)
                if self._ports.stopping.is_set():
                    raise Stopping from error
                await asyncio.sleep(RETRY_S)
