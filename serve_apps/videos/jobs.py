"""Jobs about videos: process what was uploaded, end uploads that expired, remove what was deleted.

The runner calls `HANDLERS`. State is in rows, so each job continues where a stopped one was and
may run twice. What goes wrong with a file ends its video as `failed` with the reason.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

import msgspec

from actors.job_runner.ports import JobPorts, JobSpec
from kit.errors import AppError
from kit.events import EventName
from kit.logs import get_log
from media.vod.records import unfinished_prefix, video_prefix
from media.vod.source import MediaUnreadable
from serve_apps.deletions import PURGE_JOB, PurgeJob, purge_again
from serve_apps.videos.captioning import HANDLERS as CAPTION_HANDLERS
from serve_apps.videos.captioning import ask_captions
from serve_apps.videos.falling_back import make_all
from serve_apps.videos.head_start import run_head_start
from serve_apps.videos.importing import IMPORT_JOB, give_up_import, import_video
from serve_apps.videos.preparing import (
    VideoDuplicate,
    VideoVanished,
    begin_processing,
    make_plan,
    make_recording_plan,
    make_source,
    remove_parts,
)
from serve_apps.videos.progress import (
    Standing,
    publish_status,
    weigh_recording,
)
from serve_apps.videos.publishing import (
    PUBLISH_JOB,
    WITHDRAW_JOB,
    PublishJob,
    publish_due,
    tell_published,
    withdraw_due,
)
from serve_apps.videos.recorded_renditions import RENDITION_HANDLERS
from serve_apps.videos.reencoding import REENCODING_HANDLERS
from serve_apps.videos.service import (
    EXPIRE_JOB,
    PROCESS_JOB,
    VideoJob,
    expire_upload,
)
from serve_apps.videos.transcoding import FirstMaking, TranscodeFailed
from serve_apps.videos.upload_jobs import (
    COLLECT_JOB,
    EXPECT_JOB,
    HEAD_START_JOB,
    UploadJob,
    enqueue_end,
)
from serve_apps.videos.viewing_service import SUM_UP_JOB, SumUpJob
from serve_apps.videos.work import Work, make_work
from storage import engagement, uploads, videos, watch_sessions
from storage.events import append_event
from storage.jobs import enqueue_job
from storage.recordings import PROCESS_RECORDED_JOB, PURGE_SEGMENTS_JOB, find_recording
from storage.trash import is_purge_due

log = get_log("videos")


async def process_video(ports: JobPorts, payload: bytes) -> None:
    """Make of an upload or a recording all that a video has, or say why not."""
    video_id = _read_id(payload)
    try:
        video = await begin_processing(ports, video_id)
        work = await _prepare(ports, video)
        await make_all(ports, video, work, FirstMaking(video_id))
        await finish_processing(ports, video_id)
    except VideoVanished:
        log.info("video.nothing_to_process", video_id=str(video_id))
    except (MediaUnreadable, TranscodeFailed, VideoDuplicate) as error:
        await _fail(ports, video_id, error.code, error.text)
        if not isinstance(error, TranscodeFailed):
            await _drop_unfinished(ports, video_id)


async def give_up_video(ports: JobPorts, payload: bytes, error: Exception) -> None:
    """Tell the owner of a video whose job is held after its last try."""
    code = error.code if isinstance(error, AppError) else "processing_failed"
    await _fail(ports, _read_id(payload), code, "Processing failed on our side; we were told.")


async def expire_video(ports: JobPorts, payload: bytes) -> None:
    """End an upload that was not completed in time and remove its bytes."""
    video_id = _read_id(payload)
    async with ports.database.transaction() as connection:
        upload = await uploads.find_upload_of_video(connection, video_id)
        if upload is None or upload.state == "finished":
            return
        await expire_upload(connection, upload)
        still = await uploads.find_upload(connection, upload.id)
        if still is not None and still.state == "open":
            await enqueue_end(connection, EXPIRE_JOB, VideoJob(video_id), still)
    if still is not None and still.state == "terminated":
        await ports.objects.delete_prefix(uploads.make_parts_prefix(upload.id))
        await _drop_unfinished(ports, video_id)


async def purge_video(ports: JobPorts, payload: bytes) -> None:
    """Remove a deleted video's bytes, then its rows; a recording's segments go behind them."""
    job = msgspec.json.decode(payload, type=PurgeJob)
    video_id = job.video_id
    async with ports.database.transaction() as connection:
        is_due = await is_purge_due(connection, video_id, job.until)
        upload = await uploads.find_upload_of_video(connection, video_id)
        recorded = await find_recording(connection, video_id)
    if not is_due:
        return
    if upload is not None:
        await remove_parts(ports, upload)
    await ports.objects.delete_prefix(video_prefix(str(video_id)))
    async with ports.database.transaction() as connection:
        await videos.remove_deleted_video(connection, video_id)
        if recorded is not None:
            about = {"live_id": recorded.live_id}
            key = f"{PURGE_SEGMENTS_JOB}:{recorded.live_id}:{video_id}:purged"
            await enqueue_job(connection, PURGE_SEGMENTS_JOB, about, dedupe_key=key)
    log.info("video.purged", video_id=str(video_id))


async def purge_later(ports: JobPorts, payload: bytes, _error: Exception) -> None:
    """Try again hours later."""
    async with ports.database.transaction() as connection:
        await purge_again(connection, msgspec.json.decode(payload, type=PurgeJob))


async def collect_part(ports: JobPorts, payload: bytes) -> None:
    """Remove a part of a file that was given up, or that nobody joined in time."""
    job = msgspec.json.decode(payload, type=UploadJob)
    async with ports.database.transaction() as connection:
        if not await uploads.remove_upload(connection, job.upload_id):
            upload = await uploads.find_upload(connection, job.upload_id)
            if upload is not None:
                if upload.video_id is None and upload.state != "joined":
                    await enqueue_end(connection, COLLECT_JOB, job, upload)
                return
    await ports.objects.delete_prefix(uploads.make_parts_prefix(job.upload_id))


async def expect_upload(ports: JobPorts, _payload: bytes) -> None:
    """Have a worker ready by the time a file is there: starting one takes seconds."""
    try:
        await ports.media.warm_up()
    except AppError as error:
        log.info("media.not_warm", code=error.code)


async def sum_up_day(ports: JobPorts, payload: bytes) -> None:
    """Count a day of a video again; sessions that are summed up for good are removed."""
    job = msgspec.json.decode(payload, type=SumUpJob)
    async with ports.database.transaction() as connection:
        await watch_sessions.sum_up_day(connection, job.video_id, job.day)
        await engagement.sum_up_engagement(connection, job.video_id, job.day)
        kept_since = ports.clock.now().date() - timedelta(days=watch_sessions.KEPT_DAYS)
        await watch_sessions.remove_old_sessions(connection, kept_since)
        await engagement.remove_old_shares(connection, kept_since)


async def publish_video(ports: JobPorts, payload: bytes) -> None:
    """Publish a video whose time has come."""
    video_id = msgspec.json.decode(payload, type=PublishJob).video_id
    async with ports.database.transaction() as connection:
        if await publish_due(connection, video_id):
            log.info("video.published", video_id=str(video_id))


async def withdraw_video(ports: JobPorts, payload: bytes) -> None:
    """Take back a video whose time is over."""
    video_id = msgspec.json.decode(payload, type=PublishJob).video_id
    async with ports.database.transaction() as connection:
        if await withdraw_due(connection, video_id):
            log.info("video.withdrawn", video_id=str(video_id))


async def _prepare(ports: JobPorts, video: videos.Video) -> Work:
    """Return what is to be done; raises MediaUnreadable, VideoDuplicate, VideoVanished."""
    if video.is_recording:
        recorded = await make_recording_plan(ports, video)
        return Work(recorded.tasks, recorded.jobs.__getitem__, weigh_recording(recorded))
    source = await make_source(ports, video)
    return make_work(await make_plan(ports, video, source))


async def finish_processing(ports: JobPorts, video_id: uuid.UUID) -> None:
    """Make a video whose pieces are all there ready, and tell of it."""
    async with ports.database.transaction() as connection:
        if not await videos.finish_video(connection, video_id):
            return
        video = await videos.find_video(connection, video_id)
        await append_event(
            connection,
            EventName.VIDEO_PROCESSED,
            subject_id=video_id,
            actor_id=None if video is None else video.owner_id,
            data={"duration_ms": None if video is None else video.duration_ms},
        )
        await tell_published(connection, video_id)
        if video is not None:
            await ask_captions(connection, ports, video)
    await publish_status(ports.cache, video_id, Standing("ready", 1.0))
    log.info("video.ready", video_id=str(video_id))
    await _drop_unfinished(ports, video_id)


async def _drop_unfinished(ports: JobPorts, video_id: uuid.UUID) -> None:
    """Remove what a head start made for chunks that the video does not have after all."""
    await ports.objects.delete_prefix(unfinished_prefix(str(video_id)))


async def _fail(ports: JobPorts, video_id: uuid.UUID, code: str, message: str) -> None:
    async with ports.database.transaction() as connection:
        if not await videos.fail_video(connection, video_id, code, message):
            return
        video = await videos.find_video(connection, video_id)
        await append_event(
            connection,
            EventName.VIDEO_FAILED,
            subject_id=video_id,
            actor_id=None if video is None else video.owner_id,
            data={"code": code, "message": message},
        )
    progress = 0.0 if video is None else video.progress
    standing = Standing("failed", progress, {"code": code, "message": message})
    await publish_status(ports.cache, video_id, standing)
    log.info("video.failed", video_id=str(video_id), code=code)


def _read_id(payload: bytes) -> uuid.UUID:
    return msgspec.json.decode(payload, type=VideoJob).video_id


HANDLERS: Mapping[str, JobSpec] = MappingProxyType(
    {
        PROCESS_JOB: JobSpec(process_video, concurrency_max=4, give_up=give_up_video),
        PROCESS_RECORDED_JOB: JobSpec(process_video, concurrency_max=4, give_up=give_up_video),
        EXPIRE_JOB: JobSpec(expire_video, concurrency_max=2),
        PURGE_JOB: JobSpec(purge_video, concurrency_max=2, give_up=purge_later),
        SUM_UP_JOB: JobSpec(sum_up_day, concurrency_max=2),
        PUBLISH_JOB: JobSpec(publish_video, concurrency_max=4),
        WITHDRAW_JOB: JobSpec(withdraw_video, concurrency_max=4),
        COLLECT_JOB: JobSpec(collect_part, concurrency_max=2),
        EXPECT_JOB: JobSpec(expect_upload, concurrency_max=1),
        HEAD_START_JOB: JobSpec(run_head_start, concurrency_max=4),
        **RENDITION_HANDLERS,
        **REENCODING_HANDLERS,
        **CAPTION_HANDLERS,
        IMPORT_JOB: JobSpec(import_video, concurrency_max=4, give_up=give_up_import),
    }
)
