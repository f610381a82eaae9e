"""A writer that lost its lock takes nothing from those who came after it."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec
import pytest

from actors.job_runner.ports import JobPorts
from kit.clock import ManualClock, SystemClock
from kit.errors import AppError
from kit.ids import make_id
from kit.setting_sections import UploadSettings
from kit.settings import Settings
from serve_apps.access.identity import Identity
from serve_apps.edge.upload_writer import (
    RENEW_EVERY_S,
    Body,
    Checksum,
    ChecksumMismatch,
    UploadPorts,
    UploadWriter,
)
from serve_apps.edges import UPLOAD_RULES
from serve_apps.objects.jobs import STALE_S, SweepJob, decide_slot, sweep_staging
from serve_apps.videos.jobs import expire_video, purge_video
from serve_apps.videos.quota import QuotaExceeded
from serve_apps.videos.service import delete_video
from storage.cache import Cache
from storage.database import Database
from storage.objects import Content, ObjectStore
from storage.quota import sum_used_bytes
from storage.rates import RateBook
from storage.upload_sinks import UploadLocked
from storage.uploads import Upload, find_upload, lock_upload, make_part_key
from tests.serve_apps.edge.tus_client import TusServer, checksum, serve_uploads
from tests.serve_apps.edge.tus_client import Upload as TusUpload
from tests.serve_apps.videos.inline_media import InlineMedia
from tests.serve_apps.videos.video_world import VideoWorld, job_payload
from tests.storage.video_rows import create_owner, create_upload_row, create_video_row

pytestmark = pytest.mark.db
PIECE_BYTES = 64 << 10


@pytest.fixture
async def server(
    settings: Settings, database: Database, objects: ObjectStore
) -> AsyncIterator[TusServer]:
    async with serve_uploads(settings, database, objects, SystemClock()) as running:
        yield running


@dataclass
class Arriving:
    """A body whose second part waits to be let go."""

    first: bytes
    second: bytes
    is_read: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    reads: int = 0

    @property
    def is_waiting(self) -> bool:
        return False

    async def read(self) -> bytes:
        self.reads += 1
        if self.reads == 2:
            self.is_read.set()
            await self.go_on.wait()
        return {1: self.first, 2: self.second}.get(self.reads, b"")


@dataclass
class Sent:
    """A body that has arrived."""

    chunks: list[bytes]

    @property
    def is_waiting(self) -> bool:
        return False

    async def read(self) -> bytes:
        return self.chunks.pop(0) if self.chunks else b""


@dataclass
class Paced:
    """A body of which each chunk comes once what was told for it is done."""

    chunks: list[tuple[Callable[[], Awaitable[None]], bytes]]

    @property
    def is_waiting(self) -> bool:
        return True

    async def read(self) -> bytes:
        if not self.chunks:
            return b""
        prepare, data = self.chunks.pop(0)
        await prepare()
        return data


class LeapingClock(SystemClock):
    """A renewal is due whenever somebody looks."""

    leaps = 0

    def monotonic_s(self) -> float:
        self.leaps += 1
        return super().monotonic_s() + self.leaps * RENEW_EVERY_S


def make_ports(server: TusServer) -> UploadPorts:
    return UploadPorts(
        server.settings,
        server.database,
        server.objects,
        server.clock,
        UPLOAD_RULES,
        lambda _id: False,
        RateBook(None, server.clock),
    )


async def find(server: TusServer, upload_id: uuid.UUID) -> Upload:
    async with server.database.connection() as connection:
        found = await find_upload(connection, upload_id)
    assert found is not None
    return found


async def lose_lock(server: TusServer, upload_id: uuid.UUID) -> None:
    async with server.database.connection() as connection:
        await connection.execute("UPDATE uploads SET lock_until = clock_timestamp()")
        assert await lock_upload(connection, upload_id, make_id(), 60)


@pytest.mark.parametrize(
    ("checksum", "error"),
    [(None, UploadLocked), (Checksum("sha1", b"of the whole body"), ChecksumMismatch)],
)
async def test_a_writer_that_lost_its_lock_acknowledges_nothing_and_cuts_nothing_off(
    server: TusServer, checksum: Checksum | None, error: type[AppError]
):
    upload = await server.open_upload(10)
    await upload.patch(0, b"0123")
    late = await UploadWriter.open(make_ports(server), await find(server, upload.id))
    await lose_lock(server, upload.id)
    with pytest.raises(error):
        await late.write(Body(Sent([b"xx"]), 2, checksum))
    await late.close()
    assert await upload.head() == 4
    async with server.database.connection() as connection:
        await connection.execute("UPDATE uploads SET lock_until = clock_timestamp()")
    assert (await upload.patch(4, b"456789")).status == 204
    assert await server.read_stored(upload.id) == b"0123456789"


async def test_what_a_writer_knew_of_an_upload_is_looked_up_anew(server: TusServer):
    upload = await server.open_upload(10)
    known = await find(server, upload.id)
    await upload.patch(0, b"0123")
    late = await UploadWriter.open(make_ports(server), known)
    assert late.offset_bytes == 4
    await late.close()
    assert await server.read_stored(upload.id) == b"0123"


async def test_in_a_bucket_who_lost_the_lock_deletes_nothing_of_its_successor(
    settings: Settings, database: Database
):
    objects = ObjectStore.open("memory:///")
    small = replace(settings, uploads=UploadSettings(piece_bytes=PIECE_BYTES))
    async with serve_uploads(small, database, objects, SystemClock()) as server:
        upload = await server.open_upload(PIECE_BYTES + 1)
        late = await UploadWriter.open(make_ports(server), await find(server, upload.id))
        body = Arriving(b"x" * PIECE_BYTES, b"y")
        writing = asyncio.create_task(
            late.write(Body(body, None, Checksum("sha1", b"of the whole body")))
        )
        await body.is_read.wait()
        await lose_lock(server, upload.id)
        key = make_part_key(upload.id, 0)
        await objects.delete(key)
        await objects.put(key, b"of the successor")
        body.go_on.set()
        with pytest.raises(UploadLocked):
            await writing
        await late.close()
        assert await objects.get(key) == b"of the successor"


class HeldStore(ObjectStore):
    """Stores in memory; what is put waits while it is told to."""

    may_put: asyncio.Event | None = None
    is_held: asyncio.Event

    def hold(self) -> None:
        self.may_put, self.is_held = asyncio.Event(), asyncio.Event()

    async def put(self, key: str, data: Content, *, if_absent: bool = False) -> bool:
        if self.may_put is not None:
            self.is_held.set()
            await self.may_put.wait()
        return await super().put(key, data, if_absent=if_absent)


End = Callable[[TusServer, JobPorts, TusUpload], Awaitable[None]]


async def give_up(server: TusServer, ports: JobPorts, upload: TusUpload) -> None:
    async with server.database.transaction() as connection:
        owner = Identity(upload.owner_id, make_id(), "ada")
        await delete_video(connection, server.settings, owner, upload.video_id)
    await purge_video(ports, job_payload(upload.video_id))


async def expire(server: TusServer, ports: JobPorts, upload: TusUpload) -> None:
    async with server.database.connection() as connection:
        await connection.execute("UPDATE uploads SET expires_at = now()")
    await expire_video(ports, job_payload(upload.video_id))


async def test_an_upload_stays_while_bytes_come_that_only_their_checksum_will_acknowledge(
    server: TusServer, cache: Cache
):
    jobs = VideoWorld(server.settings, server.database, cache, server.objects)
    upload = await server.open_upload(10)
    known = await find(server, upload.id)
    ports = replace(make_ports(server), clock=LeapingClock())
    writer = await UploadWriter.open(ports, known)

    async def run_out() -> None:
        assert (await find(server, upload.id)).expires_at == known.expires_at  # nothing had come
        async with server.database.connection() as connection:
            await connection.execute("UPDATE uploads SET expires_at = now()")

    async def look_for_the_expired() -> None:
        media = InlineMedia(server.objects)
        await expire_video(jobs.ports(media), job_payload(upload.video_id))

    body = Paced([(run_out, b"01234"), (look_for_the_expired, b"56789")])
    digest = hashlib.sha1(b"0123456789", usedforsecurity=False).digest()
    assert await writer.write(Body(body, 10, Checksum("sha1", digest)))
    await writer.close()
    assert (await find(server, upload.id)).state == "finished"
    assert await server.read_stored(upload.id) == b"0123456789"


async def test_an_upload_of_which_nothing_comes_is_not_kept_by_who_holds_it(
    server: TusServer, cache: Cache
):
    jobs = VideoWorld(server.settings, server.database, cache, server.objects)
    upload = await server.open_upload(10)
    ports = replace(make_ports(server), clock=LeapingClock())
    writer = await UploadWriter.open(ports, await find(server, upload.id))

    async def end() -> None:
        await expire(server, jobs.ports(InlineMedia(server.objects)), upload)

    with pytest.raises(UploadLocked):
        await writer.write(Body(Paced([(end, b"01234")]), 10, None))
    await writer.close()
    assert (await find(server, upload.id)).state == "terminated"


@pytest.mark.parametrize("end", [give_up, expire])
@pytest.mark.parametrize("words", [{}, {"Upload_Checksum": checksum(b"x" * PIECE_BYTES)}])
async def test_in_a_bucket_a_piece_that_lands_behind_the_end_of_its_upload_does_not_stay(
    settings: Settings, database: Database, cache: Cache, end: End, words: dict[str, str]
):
    objects = HeldStore.open("memory:///")
    small = replace(settings, uploads=UploadSettings(piece_bytes=PIECE_BYTES))
    async with serve_uploads(small, database, objects, SystemClock()) as server:
        ports = VideoWorld(small, database, cache, objects).ports(InlineMedia(objects))
        upload = await server.open_upload(3 * PIECE_BYTES)
        assert (await upload.patch(0, b"w" * PIECE_BYTES)).status == 204
        objects.hold()
        late = asyncio.create_task(upload.patch(PIECE_BYTES, b"x" * PIECE_BYTES, **words))
        await objects.is_held.wait()
        await end(server, ports, upload)
        assert await objects.list("uploads") == []
        assert objects.may_put is not None
        objects.may_put.set()
        assert (await late).status == 423
        assert await objects.list("uploads") == []


@pytest.mark.parametrize("end", [give_up, expire])
async def test_in_a_bucket_a_piece_of_an_edge_that_died_behind_the_end_is_swept_after_a_day(
    settings: Settings, database: Database, cache: Cache, end: End
):
    objects, clock = HeldStore.open("memory:///"), ManualClock(datetime.now(UTC))
    async with serve_uploads(settings, database, objects, SystemClock()) as server:
        ports = VideoWorld(settings, database, cache, objects).ports(InlineMedia(objects))
        ports = replace(ports, clock=clock)
        upload, other = await server.open_upload(2), await server.open_upload(2)
        assert (await other.patch(0, b"y")).status == 204
        dying = await UploadWriter.open(make_ports(server), await find(server, upload.id))
        objects.hold()
        writing = asyncio.create_task(dying.write(Body(Sent([b"x"]), 1, None)))
        await objects.is_held.wait()
        await end(server, ports, upload)
        assert objects.may_put is not None
        objects.may_put.set()
        with pytest.raises(UploadLocked):
            await writing
        # It is killed now: nobody closes the writer, which would take the piece back.
        left, living = make_part_key(upload.id, 0), make_part_key(other.id, 0)
        payload = msgspec.json.encode(SweepJob(decide_slot(clock.now())))
        await sweep_staging(ports, payload)
        assert await objects.exists(left)
        clock.advance(STALE_S + 60)
        await sweep_staging(ports, payload)
        assert [entry.key for entry in await objects.list("uploads")] == [living]


async def test_in_a_bucket_a_late_piece_takes_nothing_from_the_file_that_another_finished(
    settings: Settings, database: Database
):
    objects = HeldStore.open("memory:///")
    small = replace(settings, uploads=UploadSettings(piece_bytes=PIECE_BYTES))
    async with serve_uploads(small, database, objects, SystemClock()) as server:
        upload = await server.open_upload(PIECE_BYTES)
        objects.hold()
        late = asyncio.create_task(upload.patch(0, b"x" * PIECE_BYTES))
        await objects.is_held.wait()
        gate, objects.may_put = objects.may_put, None
        assert gate is not None
        async with database.connection() as connection:
            await connection.execute("UPDATE uploads SET lock_until = clock_timestamp()")
        assert (await upload.patch(0, b"y" * PIECE_BYTES)).status == 204
        gate.set()
        assert (await late).status == 423
        assert await server.read_stored(upload.id) == b"y" * PIECE_BYTES


async def test_files_of_unknown_lengths_have_no_more_together_than_their_owner_has_left(
    server: TusServer,
):
    limits = UploadSettings(piece_bytes=PIECE_BYTES, quota_bytes=3 * PIECE_BYTES)
    ports = make_ports(server)
    ports = replace(ports, settings=replace(ports.settings, uploads=limits))
    async with server.database.transaction() as connection:
        owner_id = await create_owner(connection)
        videos = [await create_video_row(connection, owner_id) for _ in range(2)]
        ids = [await create_upload_row(connection, it, owner_id, None) for it in videos]
    first, second = [await UploadWriter.open(ports, await find(server, it)) for it in ids]
    body = Arriving(b"a" * PIECE_BYTES, b"a" * PIECE_BYTES)
    writing = asyncio.create_task(first.write(Body(body, None, None)))
    await body.is_read.wait()
    assert await second.write(Body(Sent([b"b" * 2 * PIECE_BYTES]), None, None))
    body.go_on.set()  # when it began, there was room for both
    with pytest.raises(QuotaExceeded):
        await writing
    await first.close()
    await second.close()
    assert await server.objects.get(make_part_key(ids[0], 0)) == b"a" * PIECE_BYTES
    async with server.database.connection() as connection:
        assert await sum_used_bytes(connection, owner_id) == limits.quota_bytes


async def test_a_busy_upload_leaves_no_empty_object(server: TusServer):
    upload = await server.open_upload(10)
    await lose_lock(server, upload.id)
    assert (await upload.patch(0, b"0123")).status == 423
    assert await server.objects.list(f"uploads/{upload.id}") == []
