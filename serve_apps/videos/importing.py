"""Videos fetched from an address their owner names: announced at once, read by a job.

The job writes pieces as an upload does, so one that was stopped goes on at its last piece. What an
address answers is the owner's affair and ends the video with the reason; an address that does not
answer is tried again.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

import aiohttp
import msgspec

from actors.job_runner.ports import JobPorts
from kit.errors import AppError, Unavailable
from kit.ids import make_id
from kit.logs import get_log
from kit.settings import Settings
from serve_apps.access.identity import Identity
from serve_apps.outside.guard import AddressRefused, check_url, fetch
from serve_apps.videos.service import (
    VideoOrder,
    declare_size,
    finish_upload,
    open_upload,
)
from storage import uploads, videos
from storage.database import Connection
from storage.jobs import enqueue_job

log = get_log("videos")

IMPORT_JOB = "videos.import"
LOCK_S = 60.0
"""Renewed with every piece; a runner that was killed keeps others out for so long."""
OK, PARTIAL, GONE_FROM, LATER_FROM = 200, 206, 400, 500


class ImportRefused(AppError):
    """What the address answers is no file we can take; the message says why."""

    code, status, message = "import_refused", 422, "There is no video at this address."


class ImportInterrupted(Unavailable):
    """The address did not answer, or stopped midway."""

    code, message = "import_interrupted", "The address did not answer; it is tried again."


class ImportJob(msgspec.Struct, frozen=True):
    """Payload of the import job."""

    video_id: uuid.UUID
    url: str


@dataclass
class _Copy:
    """One upload being filled from an address."""

    ports: JobPorts
    upload: uploads.Upload
    lock_owner: uuid.UUID
    offset_bytes: int

    async def add(self, piece: bytes) -> None:
        """Store a piece durably, then its row."""
        size_bytes_max = self.ports.settings.uploads.size_bytes_max
        if self.offset_bytes + len(piece) > (self.upload.size_bytes or size_bytes_max):
            raise ImportRefused("The file is larger than it may be.")
        key = uploads.make_part_key(self.upload.id, self.offset_bytes)
        if not await self.ports.objects.put(key, piece, if_absent=True):
            await self.ports.objects.delete(key)  # left by a try that ended before its row
            await self.ports.objects.put(key, piece, if_absent=True)
        part = uploads.UploadPart(self.offset_bytes, len(piece))
        async with self.ports.database.statement(writes=True) as connection:
            if not await uploads.insert_parts(
                connection, self.upload.id, self.lock_owner, [part], LOCK_S
            ):
                raise ImportInterrupted
        self.offset_bytes += len(piece)


async def open_import(
    connection: Connection, settings: Settings, owner: Identity, order: VideoOrder, url: str
) -> uuid.UUID:
    """Announce a video that a job will fetch; raises AddressRefused and what an upload raises."""
    check_url(url)
    name = unquote(urlsplit(url).path.rpartition("/")[2])[:255] or "import"
    named = replace(order, filename=name, size_bytes=None)
    video_id, _upload_id, _expires_at = await open_upload(connection, settings, owner, named)
    await enqueue_job(
        connection, IMPORT_JOB, ImportJob(video_id, url), dedupe_key=f"{IMPORT_JOB}:{video_id}"
    )
    return video_id


async def import_video(ports: JobPorts, payload: bytes) -> None:
    """Fetch the file and hand it to processing, or end the video with the reason."""
    job = msgspec.json.decode(payload, type=ImportJob)
    lock_owner = make_id()
    async with ports.database.transaction() as connection:
        found = await uploads.find_upload_of_video(connection, job.video_id)
        if found is None or found.state != "open" or found.is_expired:
            return
        upload = await uploads.lock_upload(connection, found.id, lock_owner, LOCK_S)
    if upload is None:
        raise ImportInterrupted  # a runner that died holds it for a while
    try:
        await _fill(ports, upload, lock_owner, job.url)
    except (AddressRefused, ImportRefused) as error:
        await _refuse(ports, upload, error)
    except AppError:
        await _unlock(ports, upload, lock_owner)
        raise
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        await _unlock(ports, upload, lock_owner)
        if isinstance(error.__cause__, AddressRefused):
            await _refuse(ports, upload, error.__cause__)
            return
        raise ImportInterrupted from error


async def give_up_import(ports: JobPorts, payload: bytes, _error: Exception) -> None:
    """End a video whose address never answered."""
    job = msgspec.json.decode(payload, type=ImportJob)
    async with ports.database.transaction() as connection:
        upload = await uploads.find_upload_of_video(connection, job.video_id)
    if upload is not None:
        await _refuse(ports, upload, ImportRefused("The address did not answer."))


async def _fill(ports: JobPorts, upload: uploads.Upload, lock_owner: uuid.UUID, url: str) -> None:
    allowed = ports.settings.uploads.import_allowed
    async with fetch(url, allowed=allowed, first_byte=upload.offset_bytes) as response:
        upload = await _check_answer(ports, upload, response)
        copy = _Copy(ports, upload, lock_owner, upload.offset_bytes)
        skip = 0 if response.status == PARTIAL else upload.offset_bytes
        async for piece in _iter_pieces(response, skip, ports.settings.uploads.piece_bytes):
            await copy.add(piece)
    if copy.offset_bytes == 0:
        raise ImportRefused("The file at this address is empty.")
    async with ports.database.transaction() as connection:
        if upload.size_bytes is None:
            await uploads.set_size(connection, upload.id, copy.offset_bytes)
        elif copy.offset_bytes < upload.size_bytes:
            raise ImportInterrupted
        whole = await uploads.find_upload(connection, upload.id)
        assert whole is not None, "it is locked by us"
        await finish_upload(connection, whole)
    log.info("video.imported", video_id=str(upload.video_id), size_bytes=copy.offset_bytes)


async def _check_answer(
    ports: JobPorts, upload: uploads.Upload, response: aiohttp.ClientResponse
) -> uploads.Upload:
    """Refuse what is no file; take its length when it is told, before a byte is read."""
    if response.status >= LATER_FROM or response.status == 429:
        raise ImportInterrupted
    if response.status not in (OK, PARTIAL):
        raise ImportRefused(f"The address answers with {response.status}.")
    length = response.content_length
    if upload.size_bytes is not None or length is None:
        return upload
    size_bytes = length + (upload.offset_bytes if response.status == PARTIAL else 0)
    async with ports.database.transaction() as connection:
        try:
            await declare_size(connection, ports.settings, upload, size_bytes)
        except AppError as error:
            raise ImportRefused(error.text) from error
        told = await uploads.find_upload(connection, upload.id)
    assert told is not None, "it is locked by us"
    return told


async def _iter_pieces(
    response: aiohttp.ClientResponse, skip: int, piece_bytes: int
) -> AsyncIterator[bytes]:
    """The body in pieces, without what is there already."""
    buffer = bytearray()
    async for data in response.content.iter_any():
        kept = data[skip:] if skip else data
        skip -= len(data) - len(kept)
        buffer += kept
        while len(buffer) >= piece_bytes:
            yield bytes(buffer[:piece_bytes])
            del buffer[:piece_bytes]
    if buffer:
        yield bytes(buffer)


async def _unlock(ports: JobPorts, upload: uploads.Upload, lock_owner: uuid.UUID) -> None:
    async with ports.database.transaction() as connection:
        await uploads.unlock_upload(connection, upload.id, lock_owner)


async def _refuse(ports: JobPorts, upload: uploads.Upload, error: AppError) -> None:
    """End the upload and its video; what arrived is removed."""
    async with ports.database.transaction() as connection:
        await uploads.terminate_upload(connection, upload.id)
        if upload.video_id is not None:
            await videos.fail_video(connection, upload.video_id, error.code, error.text)
    await ports.objects.delete_prefix(uploads.make_parts_prefix(upload.id))
    log.info("video.import_refused", video_id=str(upload.video_id), code=error.code)
