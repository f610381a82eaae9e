"""Where an upload's bytes go as they arrive: into one object that grows, or an object per piece.

`upload_holds.py` writes a row for each part that a sink names: its bytes are durable by then. In a
folder bytes are written a run at a time, so that few of them wait in memory (warm memory: a whole
piece of fresh pages costs as much as receiving it), and synced a piece at a time. A bucket takes
whole pieces.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Protocol

from kit.errors import AppError
from storage.growing_files import GrowingObject
from storage.objects import Chunk, ObjectStore
from storage.upload_piece import Piece, keep_chunk
from storage.uploads import UploadPart, make_part_key

RUN_BYTES = 512 << 10
"""Written at a time: what fits a core's cache, and is worth a hop to a thread."""


class UploadLocked(AppError):
    """Another request is writing to this upload."""

    code, status = "upload_locked", 423
    message = "Another request is writing to this upload; try again in a few seconds."
    retryable = True


class UploadSink(Protocol):
    """Stores one request's bytes, behind those that are acknowledged."""

    @property
    def is_empty(self) -> bool:
        """Whether all that came is durable, and named as a part."""
        ...

    @property
    def unnamed_keys(self) -> list[str]:
        """Objects it may have put that no row names; one that grows is not such."""
        ...

    def note_named(self, parts: list[UploadPart]) -> None:
        """Rows name these parts now."""
        ...

    async def add(self, data: bytes) -> list[UploadPart]:
        """Take what came next; return the parts that are durable with it."""
        ...

    async def flush(self) -> list[UploadPart]:
        """Make durable what is left; return its part, if there is any."""
        ...

    async def take_back(self, parts: list[UploadPart]) -> None:
        """Remove these, which no row names, and all behind them."""
        ...

    async def close(self) -> None:
        """Let others write."""
        ...


class Inflow(Protocol):
    """Bytes that the kernel moves from where they arrive: `serve_apps/edge/body_moves.py`."""

    @property
    def pipe(self) -> int:
        """Where they are taken out."""
        ...

    def lend(self) -> AbstractContextManager[None]:
        """Keep it open while a thread fills and empties the pipe."""
        ...

    def fill(self, size_bytes: int) -> int:
        """Put what came, up to so many bytes, into the pipe; 0 when nothing comes for now."""
        ...


class GrowingSink:
    """Appends to the object that holds the upload's beginning."""

    def __init__(self, growing: GrowingObject, key: str, start: int, piece_bytes: int) -> None:
        self._growing = growing
        self._key = key
        self._start = self._part_start = self._end = start
        self._piece_bytes = piece_bytes
        self._run: list[Chunk] = []
        self._run_bytes = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing came since the last part."""
        return self._end + self._run_bytes == self._part_start

    @property
    def unnamed_keys(self) -> list[str]:
        """None: a file that was removed is gone with its writer."""
        return []

    def note_named(self, parts: list[UploadPart]) -> None:
        """Nothing is remembered."""

    async def add(self, data: bytes) -> list[UploadPart]:
        """Take what came next."""
        keep_chunk(self._run, data)
        self._run_bytes += len(data)
        if self._end + self._run_bytes - self._part_start >= self._piece_bytes:
            return await self.flush()
        if self._run_bytes >= RUN_BYTES:
            await self._write(is_durable=False)
        return []

    async def move(self, inflow: Inflow, size_bytes: int) -> tuple[int, list[UploadPart]]:
        """Append what comes of the next `size_bytes`, the body's last; return how many came.

        They are durable, and a part, once a piece is full or none is left.
        """
        run = self._take_run()
        wanted_bytes = min(size_bytes, self._part_start + self._piece_bytes - self._end)
        moved_bytes = await asyncio.to_thread(_move, self._growing, run, inflow, wanted_bytes)
        self._end += moved_bytes
        return moved_bytes, self._end_part() if moved_bytes == wanted_bytes else []

    async def flush(self) -> list[UploadPart]:
        """Write and sync; a part is whatever came since the last one."""
        if self.is_empty:
            return []
        await self._write(is_durable=True)
        return self._end_part()

    async def take_back(self, parts: list[UploadPart]) -> None:
        """Cut them off."""
        self._run, self._run_bytes = [], 0
        self._end = self._part_start = parts[0].offset_bytes if parts else self._part_start
        await asyncio.to_thread(self._growing.shorten, self._end)

    async def close(self) -> None:
        """Close the object, behind a write that is under way."""
        if not self._growing.close_at_once():
            await asyncio.to_thread(self._growing.close)

    def _end_part(self) -> list[UploadPart]:
        part = UploadPart(self._part_start, self._end - self._part_start, self._key)
        self._part_start = self._end
        return [part]

    def _take_run(self) -> list[Chunk]:
        run, self._run = self._run, []
        self._end += self._run_bytes
        self._run_bytes = 0
        return run

    async def _write(self, *, is_durable: bool) -> None:
        run = self._take_run()
        await asyncio.to_thread(self._growing.append, run, is_durable=is_durable)


def _move(growing: GrowingObject, run: list[Chunk], inflow: Inflow, wanted_bytes: int) -> int:
    """Append a run, and what the inflow has; all of it is durable if that is all that is wanted."""
    moved_bytes = 0
    with inflow.lend():
        growing.append(run, is_durable=False)
        while moved_bytes < wanted_bytes and (came := inflow.fill(wanted_bytes - moved_bytes)):
            growing.draw(inflow.pipe, came)
            moved_bytes += came
    if moved_bytes == wanted_bytes:
        growing.append([], is_durable=True)
    return moved_bytes


class PieceSink:
    """Puts each piece into an object of its own; `check_lock` raises UploadLocked if it is lost."""

    def __init__(
        self,
        objects: ObjectStore,
        upload_id: uuid.UUID,
        start: int,
        piece_bytes: int,
        check_lock: Callable[[], Awaitable[None]],
    ) -> None:
        self._objects = objects
        self._upload_id = upload_id
        self._end = start
        self._piece = Piece(piece_bytes)
        self._check_lock = check_lock
        self._unnamed: list[int] = []

    @property
    def is_empty(self) -> bool:
        """Whether no piece has begun."""
        return not self._piece.chunks

    @property
    def unnamed_keys(self) -> list[str]:
        """Objects it has put, or tried to, that no row names."""
        return [make_part_key(self._upload_id, offset_bytes) for offset_bytes in self._unnamed]

    def note_named(self, parts: list[UploadPart]) -> None:
        """Rows name these parts now."""
        named = {part.offset_bytes for part in parts}
        self._unnamed = [offset for offset in self._unnamed if offset not in named]

    async def add(self, data: bytes) -> list[UploadPart]:
        """Take what came next."""
        return [await self._put(whole) for whole in self._piece.add(data)]

    async def flush(self) -> list[UploadPart]:
        """Put what is left, a smaller piece."""
        rest, self._piece.chunks = self._piece.chunks, []
        return [await self._put(rest)] if rest else []

    async def take_back(self, parts: list[UploadPart]) -> None:
        """Delete their objects; who has lost the lock might delete another's."""
        if parts:
            await self._check_lock()
        for part in parts:
            await self._objects.delete(make_part_key(self._upload_id, part.offset_bytes))
        self.note_named(parts)

    async def close(self) -> None:
        """Nothing is held."""

    async def _put(self, chunks: list[Chunk]) -> UploadPart:
        part = UploadPart(self._end, sum(map(len, chunks)))
        key = make_part_key(self._upload_id, part.offset_bytes)
        self._unnamed.append(part.offset_bytes)
        if not await self._objects.put(key, chunks, if_absent=True):
            # Left by a request that died between object and row: no row names it, if the lock is
            # ours.
            await self._check_lock()
            await self._objects.delete(key)
            if not await self._objects.put(key, chunks, if_absent=True):
                raise UploadLocked(retry_after_s=1)
        self._end += part.size_bytes
        return part
