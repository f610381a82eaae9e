"""Videos fetched from an address their owner names: announced at once, read by a job.

The job writes as an upload does, so one that was stopped goes on at its last piece, and one whose
bytes are all there only ends. What an address answers is the owner's affair
(`import_answers.py` reads it) and ends the video with the reason; an address that does not answer
is tried again.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from urllib.parse import unquote, urlsplit

import aiohttp
import msgspec

from actors.job_runner.ports import JobPorts
from kit.errors import AppError
from kit.logs import get_log
from kit.settings import Settings
from serve_apps.access.identity import Identity
from serve_apps.outside.guard import AddressRefused, check_url, fetch
from serve_apps.videos.import_answers import (
    Answer,
    ImportInterrupted,
    ImportRefused,
    ask_for_rest,
    iter_new,
    read_answer,
    read_validator,
)
from serve_apps.videos.quota import QuotaExceeded, VideoTooLarge, check_growth, declare_size
from serve_apps.videos.service import VideoOrder, finish_upload, open_upload
from storage import uploads, videos
from storage.database import Connection
from storage.jobs import enqueue_job
from storage.upload_holds import UploadHold
from storage.upload_sinks import UploadLocked

log = get_log("videos")

IMPORT_JOB = "videos.import"
LOCK_S = 60.0
"""Renewed while bytes come; a runner that was killed keeps others out for so long."""
RENEW_EVERY_S = 15.0


class ImportJob(msgspec.Struct, frozen=True):
    """Payload of the import job."""

    video_id: uuid.UUID
    url: str


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
    async with ports.database.statement(writes=False) as connection:
        found = await uploads.find_upload_of_video(connection, job.video_id)
    if found is None or found.state != "open" or found.is_expired:
        return
    try:
        hold = await UploadHold.open(
            ports.database, ports.objects, found, ttl_s=LOCK_S, limits=ports.settings.uploads
        )
    except UploadLocked as error:
        raise ImportInterrupted from error  # a runner that died holds it for a while
    refusal: AppError | None = None
    try:
        await _fill(ports, hold, job.url)
    except (AddressRefused, ImportRefused, VideoTooLarge, QuotaExceeded) as error:
        refusal = error
    except UploadLocked as error:
        raise ImportInterrupted from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        if not isinstance(error.__cause__, AddressRefused):
            raise ImportInterrupted from error
        refusal = error.__cause__
    finally:
        await hold.close()
    if refusal is not None:
        await _refuse(ports, hold.upload, refusal)


async def give_up_import(ports: JobPorts, payload: bytes, _error: Exception) -> None:
    """End a video whose address never answered; one whose bytes are all there goes on."""
    job = msgspec.json.decode(payload, type=ImportJob)
    async with ports.database.transaction() as connection:
        upload = await uploads.find_upload_of_video(connection, job.video_id)
        if upload is None or upload.state != "open":
            return
        if upload.offset_bytes == upload.size_bytes:
            await finish_upload(connection, upload)
            return
    await _refuse(ports, upload, ImportRefused("The address did not answer."))


async def _fill(ports: JobPorts, hold: UploadHold, url: str) -> None:
    """Fetch what is missing and end the upload."""
    upload, offset_bytes = hold.upload, hold.upload.offset_bytes
    if offset_bytes != upload.size_bytes:
        upload, offset_bytes = await _fetch(ports, hold, url)
    if offset_bytes == 0:
        raise ImportRefused("The file at this address is empty.")
    async with ports.database.transaction() as connection:
        if upload.size_bytes is None:
            is_told = await declare_size(connection, ports.settings, upload, offset_bytes)
            assert is_told, "the length is what has arrived"
        elif offset_bytes < upload.size_bytes:
            raise ImportInterrupted
        whole = await uploads.find_upload(connection, upload.id)
        assert whole is not None, "it is locked by us"
        await finish_upload(connection, whole)
    hold.has_ended()
    log.info("video.imported", video_id=str(upload.video_id), size_bytes=offset_bytes)


async def _fetch(ports: JobPorts, hold: UploadHold, url: str) -> tuple[uploads.Upload, int]:
    """Store what is missing of the file; return the upload as it was told of, and its bytes.

    Where the rest cannot be had by itself, all of it is asked for.
    """
    allowed, wanted = ports.settings.uploads.import_allowed, ask_for_rest(hold.upload)
    if wanted:
        async with fetch(url, allowed=allowed, headers=wanted) as response:
            answer = read_answer(hold.upload, response.status, response.headers)
            if answer is not Answer.NEITHER:
                return await _take(ports, hold, response, answer)
    async with fetch(url, allowed=allowed) as response:
        answer = read_answer(hold.upload, response.status, response.headers)
        if answer is Answer.NEITHER:
            raise ImportRefused(f"The address answers with {response.status}.")
        return await _take(ports, hold, response, answer)


async def _take(
    ports: JobPorts, hold: UploadHold, response: aiohttp.ClientResponse, answer: Answer
) -> tuple[uploads.Upload, int]:
    """Store what an answer brings, behind what is there."""
    upload = await _note_answer(ports, hold.upload, response, answer)
    known: list[uploads.UploadObject] = []
    if answer is Answer.WHOLE and upload.offset_bytes > 0:
        async with ports.database.statement(writes=False) as connection:
            parts = await uploads.list_parts(connection, upload.id)
        known = uploads.list_objects(upload.id, parts)
    intake = _Intake(ports, hold, upload)
    try:
        chunks = response.content.iter_any()
        async for data in iter_new(chunks, ports.objects, known, intake.keep):
            await intake.add(data)
    except (aiohttp.ClientError, TimeoutError, OSError):
        await intake.flush()  # a broken connection leaves what had come to the next try
        raise
    await intake.flush()
    return upload, intake.stored_bytes


class _Intake:
    """Stores what comes of one answer, durably a piece at a time, as much as the file may have.

    Raises ImportRefused beyond the length that was told; without one VideoTooLarge, QuotaExceeded.
    """

    def __init__(self, ports: JobPorts, hold: UploadHold, upload: uploads.Upload) -> None:
        self._ports = ports
        self._hold = hold
        self._upload = upload
        self._came_bytes = upload.offset_bytes
        self._size_bytes_max = upload.size_bytes or 0
        """Of a file without a length, as was said last."""
        self._renewed_s = ports.clock.monotonic_s()
        self.stored_bytes = upload.offset_bytes

    async def add(self, data: bytes) -> None:
        """Take what came next, and keep the lock."""
        await self.keep()
        self._came_bytes += len(data)
        if self._came_bytes > self._size_bytes_max:
            if self._upload.size_bytes is not None:
                raise ImportRefused("The file is larger than it may be.")
            async with self._ports.database.transaction() as connection:
                self._size_bytes_max = await self._grow(connection, self._came_bytes)
        await self._acknowledge(await self._hold.sink.add(data))

    async def keep(self) -> None:
        """Keep the lock; call it while bytes come."""
        now_s = self._ports.clock.monotonic_s()
        if now_s - self._renewed_s > RENEW_EVERY_S:
            await self._hold.renew(has_come=True)
            self._renewed_s = now_s

    async def flush(self) -> None:
        """Make durable what is left."""
        await self._acknowledge(await self._hold.sink.flush())

    async def _grow(self, connection: Connection, size_bytes: int) -> int:
        return await check_growth(connection, self._ports.settings, self._upload, size_bytes)

    async def _acknowledge(self, parts: list[uploads.UploadPart]) -> None:
        if not parts:
            return
        stored_bytes = self.stored_bytes + sum(part.size_bytes for part in parts)
        if self._upload.size_bytes is None:
            async with self._ports.database.transaction() as connection:
                await self._grow(connection, stored_bytes)
                await self._hold.acknowledge_within(connection, parts)
        else:
            await self._hold.acknowledge(parts, is_last=False)
        self.stored_bytes = stored_bytes


async def _note_answer(
    ports: JobPorts, upload: uploads.Upload, response: aiohttp.ClientResponse, answer: Answer
) -> uploads.Upload:
    """Note what tells the file from another, and its length when it is told, before a byte is read.

    Raises VideoTooLarge, QuotaExceeded.
    """
    length = response.content_length
    async with ports.database.transaction() as connection:
        if upload.offset_bytes == 0:
            await uploads.set_validator(connection, upload.id, read_validator(response.headers))
        if upload.size_bytes is None and length is not None:
            size_bytes = length + (upload.offset_bytes if answer is Answer.REST else 0)
            await declare_size(connection, ports.settings, upload, size_bytes)
        noted = await uploads.find_upload(connection, upload.id)
    assert noted is not None, "it is locked by us"
    return noted


async def _refuse(ports: JobPorts, upload: uploads.Upload, error: AppError) -> None:
    """End the upload and its video; what arrived is removed."""
    async with ports.database.transaction() as connection:
        if not await uploads.terminate_upload(connection, upload.id):
            found = await uploads.find_upload(connection, upload.id)
            if found is not None and found.state != "terminated":
                return  # another runner has brought it to its end meanwhile
        if upload.video_id is not None:
            await videos.fail_video(connection, upload.video_id, error.code, error.text)
    await ports.objects.delete_prefix(uploads.make_parts_prefix(upload.id))
    log.info("video.import_refused", video_id=str(upload.video_id), code=error.code)
