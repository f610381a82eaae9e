"""Takes the body of one request and makes it durable, piece by piece.

`uploads.py` and `form_uploads.py` open one per request and close it. Bytes are stored first
(`storage/upload_sinks.py`) and a row second; the row is the acknowledgement. What arrived before a
connection broke is kept, unless a checksum spans the whole body. It renews the lock while it
receives and stops when the lock is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, Self

import msgspec
from aiohttp import ClientError, StreamReader

from kit.clock import Clock
from kit.errors import AppError
from kit.logs import get_log
from kit.metrics import UPLOAD_BYTES
from kit.settings import Settings
from serve_apps.access.identity import Identity
from serve_apps.edge.body_moves import BodyMove
from storage.database import Connection, Database
from storage.objects import ObjectStore
from storage.rates import RateBook
from storage.upload_holds import UploadHold
from storage.upload_sinks import GrowingSink, UploadLocked
from storage.uploads import NewFile, Upload, UploadPart

log = get_log("uploads")

LOCK_TTL_S = 10.0
RENEW_EVERY_S = 3.0
IDLE_MAX_S = 30.0
FORESEEN_S = 20.0
"""So long before the last byte is the end foreseen: a worker's start takes 3 s, on a busy machine
more, and it waits for a minute."""


class UploadTooLong(AppError):
    """The body goes beyond the announced size of the file."""

    code, status, message = "upload_too_long", 413, "More bytes than the file was said to have."


class ChecksumMismatch(AppError):
    """The body is not what its checksum says (tus: 460); nothing of it was kept."""

    code, status, message = "checksum_mismatch", 460, "The bytes do not match their checksum."
    retryable = True


class UploadStalled(AppError):
    """The body stopped before its end; what arrived was kept."""

    code, status, message = "upload_stalled", 408, "The rest of the body did not arrive in time."
    retryable = True


FinishUpload = Callable[[Connection, Upload], Awaitable[None]]
TerminateUpload = Callable[[Connection, Upload], Awaitable[bool]]
DescribeFile = Callable[[Connection, Upload, NewFile], Awaitable[None]]
OpenFile = Callable[[Connection, Settings, Identity, NewFile], Awaitable[uuid.UUID]]
DeclareSize = Callable[[Connection, Settings, Upload, int], Awaitable[bool]]
CheckGrowth = Callable[[Connection, Settings, Upload, int], Awaitable[int]]


@dataclass(frozen=True)
class UploadRules:
    """The product's rules, called in our transaction; composed in `serve_apps/edges.py`."""

    open: OpenFile
    """A client announces a file: write its rows and return the upload's id."""
    describe: DescribeFile
    """More was said of the file while its bytes came."""
    declare: DeclareSize
    """The length that was left open is known now; False when it cannot be."""
    grow: CheckGrowth
    """Without a length it would have so many bytes: refuse, or return how many it may have."""
    finish: FinishUpload
    """All bytes are there: mark upload and video, queue the job, append the event."""
    foresee: FinishUpload
    """The last byte will be here within seconds, at the present rate."""
    terminate: TerminateUpload
    """The owner gave the upload up: mark it and let its bytes be removed; False when it is
    complete, and no part that waits for others."""


@dataclass(frozen=True)
class UploadPorts:
    """What uploads need."""

    settings: Settings
    database: Database
    objects: ObjectStore
    clock: Clock
    rules: UploadRules
    is_revoked: Callable[[uuid.UUID], bool]
    """Whether tokens of this session have stopped counting."""
    rates: RateBook


@dataclass(frozen=True)
class Checksum:
    """What a client says its body hashes to (tus checksum extension)."""

    algorithm: str
    digest: bytes


class ByteSource(Protocol):
    """Where a body's bytes come from."""

    @property
    def is_waiting(self) -> bool:
        """Whether bytes are here that `read` would return at once."""
        ...

    async def read(self) -> bytes:
        """Return what came next, empty at the end; being cancelled loses nothing."""
        ...


class ContentSource:
    """The bytes of a request as they came: joining them would cost as much as writing them."""

    def __init__(self, content: StreamReader) -> None:
        self._content = content
        self._taken_bytes = 0

    @property
    def is_waiting(self) -> bool:
        """Whether more has come than was taken."""
        return self._content.total_bytes > self._taken_bytes

    async def read(self) -> bytes:
        """Return the next of them."""
        while True:
            data, is_chunk_end = await self._content.readchunk()
            self._taken_bytes += len(data)
            if data or not is_chunk_end:
                return data


@dataclass(frozen=True)
class Body:
    """A body: its stream, its length when announced, its checksum when given."""

    content: ByteSource
    size_bytes: int | None
    checksum: Checksum | None
    begin_move: Callable[[], tuple[bytes, BodyMove | None]] | None = None
    """How the kernel may be asked to move it: `BodyMove.begin`."""


class UploadWriter:
    """Writes one body to one upload, which it holds from `open` to `close`."""

    def __init__(self, ports: UploadPorts, hold: UploadHold) -> None:
        self._ports = ports
        self._hold = hold
        self._upload, self._sink = hold.upload, hold.sink
        self._held_back: list[UploadPart] = []
        self._began_s = self._renewed_s = ports.clock.monotonic_s()
        self._received_bytes = self._renewed_bytes = 0
        size_bytes = hold.upload.size_bytes
        self._room_bytes = 0 if size_bytes is None else size_bytes - hold.upload.offset_bytes
        """So many bytes of a body may come; of a file without a length, as was said last."""
        self.offset_bytes = hold.upload.offset_bytes
        """Acknowledged so far."""

    @classmethod
    async def open(cls, ports: UploadPorts, found: Upload) -> Self:
        """Take an upload for writing, as it stands now; raises UploadLocked."""
        hold = await UploadHold.open(
            ports.database,
            ports.objects,
            found,
            ttl_s=LOCK_TTL_S,
            limits=ports.settings.uploads,
        )
        return cls(ports, hold)

    @property
    def standing(self) -> Upload:
        """The upload as it stands by what was acknowledged."""
        return msgspec.structs.replace(
            self._upload, offset_bytes=self.offset_bytes, expires_at=self._hold.expires_at
        )

    async def close(self) -> None:
        """Let others write."""
        await self._hold.close()

    async def close_if_whole(self) -> None:
        """End an upload whose length was told when all of it was there already."""
        if self._upload.offset_bytes == self._upload.size_bytes:
            async with self._ports.database.transaction() as connection:
                await self._ports.rules.finish(connection, self._upload)

    async def write(self, body: Body) -> bool:
        """Store the body; False when the connection broke before its end.

        Raises UploadTooLong, ChecksumMismatch, UploadStalled and UploadLocked (lock lost); for a
        file without a length also what `UploadRules.grow` raises.
        """
        await self._check_room(body.size_bytes or 0)
        if body.checksum is None:
            return await self._receive(body, None)
        digest = hashlib.new(body.checksum.algorithm, usedforsecurity=False)
        try:
            is_whole = await self._receive(body, digest)
            if is_whole and digest.digest() != body.checksum.digest:
                raise ChecksumMismatch
        except UploadLocked:
            raise  # what lies there may be another's by now
        except AppError:
            await self._sink.take_back(self._held_back)
            raise
        if is_whole:
            await self._acknowledge(self._held_back, is_last=True)
        else:
            await self._sink.take_back(self._held_back)
        return is_whole

    async def _check_room(self, body_bytes: int) -> None:
        """Refuse a body of so many bytes, or more, that may not come."""
        if body_bytes <= self._room_bytes:
            return
        if self._upload.size_bytes is not None:
            raise UploadTooLong(size_bytes=self._upload.size_bytes)
        async with self._ports.database.transaction() as connection:
            await self._grow(connection, self._upload.offset_bytes + body_bytes)

    async def _grow(self, connection: Connection, size_bytes: int) -> None:
        """Ask whether the file may have so many bytes, though nobody knows how many it will."""
        ports = self._ports
        size_bytes_max = await ports.rules.grow(
            connection, ports.settings, self._upload, size_bytes
        )
        self._room_bytes = size_bytes_max - self._upload.offset_bytes

    async def _receive(self, body: Body, digest: hashlib._Hash | None) -> bool:
        """Read to the end, storing what comes; False when the connection broke."""
        self._received_bytes = self._renewed_bytes = 0
        stalled = broken = False
        try:
            if digest is not None or not await self._move(body):
                while data := await self._read(body.content):
                    if digest is not None:
                        digest.update(data)
                    await self._add(data, body, digest)
        except TimeoutError:
            stalled = True
        except (ConnectionError, ClientError):
            broken = True
        if body.size_bytes is not None and self._received_bytes < body.size_bytes and not stalled:
            broken = True
        if not (digest is not None and (stalled or broken)):
            await self._keep(await self._sink.flush(), digest, is_last=True)
        if stalled:
            raise UploadStalled(offset_bytes=self.offset_bytes)
        return not broken

    async def _add(self, data: bytes, body: Body, digest: hashlib._Hash | None) -> None:
        self._received_bytes += len(data)
        await self._check_room(self._received_bytes)
        parts = await self._sink.add(data)
        is_last = self._received_bytes == body.size_bytes and self._sink.is_empty
        await self._keep(parts, digest, is_last=is_last)

    async def _move(self, body: Body) -> bool:
        """Have the kernel move the body, as far as it comes; False where that cannot be.

        Raises TimeoutError and what reading raises.
        """
        if body.begin_move is None or body.size_bytes is None:
            return False
        if not isinstance(self._sink, GrowingSink):
            return False
        read, move = body.begin_move()
        if move is None:
            return False
        with contextlib.closing(move):
            await self._add(read, body, None)
            idle_s = 0.0
            while not move.has_ended and self._received_bytes < body.size_bytes:
                if self._ports.clock.monotonic_s() - self._renewed_s >= RENEW_EVERY_S:
                    await self._renew()
                left_bytes = body.size_bytes - self._received_bytes
                moved_bytes, parts = await self._sink.move(move, left_bytes)
                self._received_bytes += moved_bytes
                await self._acknowledge(parts, is_last=moved_bytes == left_bytes)
                move.tell()
                if moved_bytes > 0:
                    idle_s = 0.0
                elif not await move.wait(RENEW_EVERY_S):
                    idle_s += RENEW_EVERY_S
                    if idle_s >= IDLE_MAX_S:
                        raise TimeoutError
        return True

    async def _keep(
        self, parts: list[UploadPart], digest: hashlib._Hash | None, *, is_last: bool
    ) -> None:
        """Acknowledge what is stored, or hold it back until the checksum is known to be right."""
        if digest is None:
            await self._acknowledge(parts, is_last=is_last)
        else:
            self._held_back += parts

    async def _read(self, content: ByteSource) -> bytes:
        """Return what came next (empty at the end), keeping the lock; raises TimeoutError."""
        idle_s = 0.0
        while True:
            if self._ports.clock.monotonic_s() - self._renewed_s >= RENEW_EVERY_S:
                await self._renew()
            if content.is_waiting:  # a timer would cost more than reading
                return await content.read()
            try:
                async with asyncio.timeout(RENEW_EVERY_S):
                    return await content.read()
            except TimeoutError:
                idle_s += RENEW_EVERY_S
                if idle_s >= IDLE_MAX_S:
                    raise
            await self._renew()

    async def _renew(self) -> None:
        """Keep the lock, and while bytes come the upload: a checksum acknowledges them last."""
        has_come = self._received_bytes > self._renewed_bytes
        self._renewed_bytes = self._received_bytes
        await self._hold.renew(has_come=has_come)
        self._renewed_s = self._ports.clock.monotonic_s()

    async def _acknowledge(self, parts: list[UploadPart], *, is_last: bool) -> None:
        """Write the rows; with the last byte, the upload's end in the same transaction.

        With the body's last ones the lock goes back: nothing is written behind them.
        """
        if not parts:
            return
        offset_bytes = self.offset_bytes + sum(part.size_bytes for part in parts)
        database, rules = self._ports.database, self._ports.rules
        if self._upload.size_bytes is None:
            await self._acknowledge_growth(parts, offset_bytes)
        elif offset_bytes == self._upload.size_bytes:
            async with database.transaction() as connection:
                await self._hold.acknowledge_within(connection, parts)
                await rules.finish(connection, self._upload)
            self._hold.has_ended()
        elif self._is_end_near(offset_bytes, self._upload.size_bytes):
            async with database.transaction() as connection:
                await self._hold.acknowledge_within(connection, parts)
                await rules.foresee(connection, self._upload)
        else:
            await self._hold.acknowledge(parts, is_last=is_last)
        self._renewed_s = self._ports.clock.monotonic_s()
        UPLOAD_BYTES.inc(offset_bytes - self.offset_bytes)
        self.offset_bytes = offset_bytes

    async def _acknowledge_growth(self, parts: list[UploadPart], offset_bytes: int) -> None:
        """Write the rows of a file without a length, unless its owner's others took its room."""
        try:
            async with self._ports.database.transaction() as connection:
                await self._grow(connection, offset_bytes)
                await self._hold.acknowledge_within(connection, parts)
                if self.offset_bytes == 0:  # nobody knows when it ends
                    await self._ports.rules.foresee(connection, self._upload)
        except UploadLocked:
            raise  # what lies there may be another's by now
        except AppError as error:
            if not error.retryable:
                await self._sink.take_back(parts)
            raise

    def _is_end_near(self, offset_bytes: int, size_bytes: int) -> bool:
        """Whether it came near with the bytes up to here."""
        elapsed_s = self._ports.clock.monotonic_s() - self._began_s
        bytes_per_s = (offset_bytes - self._upload.offset_bytes) / max(elapsed_s, 0.001)
        near_bytes = FORESEEN_S * bytes_per_s
        was_near = self.offset_bytes > 0 and size_bytes - self.offset_bytes <= near_bytes
        return not was_near and size_bytes - offset_bytes <= near_bytes
