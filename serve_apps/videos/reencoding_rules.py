"""Rules about making a video again with other settings while the version before plays on.

Routes call it inside a transaction they opened; `reencoding.py` does the work. The owner may ask,
and for anybody's video an administrator, which is recorded.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec

from kit.errors import AppError, PermissionDenied
from kit.ids import make_id
from kit.setting_sections import ProcessingSettings
from media.vod.recipe import Recipe
from serve_apps.access.identity import Identity, Role
from serve_apps.deletions import STOPPED_AFTER_S
from serve_apps.videos.processing_rules import VideoStillStopping, cancel_processing
from serve_apps.videos.recipes import read_recipe, write_recipe
from serve_apps.videos.service import PROCESS_JOB, VideoJob, get_video
from storage import video_chunks, video_versions, videos
from storage.audit import AuditDraft, append_audit
from storage.database import Connection
from storage.jobs import enqueue_job
from storage.video_versions import VersionEnd, VideoVersion

REENCODE_JOB = "videos.reencode"
PURGE_VERSION_JOB = "videos.purge_version"
CANCELLED = VersionEnd("cancelled", "processing_cancelled", "The work was stopped.")


class VideoHasNoSource(AppError):
    """It is a recording of a live, or its file never arrived."""

    code, status = "video_has_no_source", 409
    message = "There is no file of this video to make it from again."


class VideoInWork(AppError):
    """It is still being made for the first time."""

    code, status = "video_in_work", 409
    message = "This video is still being processed; wait for it, or stop it first."


class ReencodingInWork(AppError):
    """Another version is being made with other settings."""

    code, status = "reencoding_in_work", 409
    message = "Another version is being made with other settings; wait for it, or stop it first."


class TooManyReencodings(AppError):
    """The person has as many versions in the making as allowed."""

    code, status = "too_many_reencodings", 429
    message = "Wait until some of your videos have been made again."


class VersionJob(msgspec.Struct, frozen=True):
    """Payload of every job about one version of a video."""

    video_id: uuid.UUID
    version: int


async def request_reencoding(
    connection: Connection,
    limits: ProcessingSettings,
    caller: Identity,
    video_id: uuid.UUID,
    recipe: Recipe,
) -> videos.Video:
    """Have a ready or failed video made again; asking for the same twice asks once."""
    await get_governed_video(connection, caller, video_id)
    await video_versions.lock_video(connection, video_id)
    video = await get_governed_video(connection, caller, video_id)
    if video.is_recording:
        raise VideoHasNoSource
    if video.status == "failed":
        return await _renew_failed(connection, video, caller, recipe)
    if video.status != "ready":
        raise VideoInWork(status_now=video.status)
    if video.source_key is None:
        raise VideoHasNoSource
    making = await find_making(connection, video_id)
    if making is not None and making.state != "failed":
        if read_recipe(making.recipe) == recipe:
            return video
        raise ReencodingInWork
    open_max = limits.reencodings_per_user_max
    if await video_versions.count_makings(connection, video.owner_id) >= open_max:
        raise TooManyReencodings(open_max=open_max)
    for failed in await video_versions.give_up_failed(connection, video_id):
        await enqueue_purge(connection, video_id, failed, delay_s=STOPPED_AFTER_S)
    version = await video_versions.insert_version(connection, video_id, write_recipe(recipe))
    await _enqueue(connection, REENCODE_JOB, VersionJob(video_id, version))
    return video


async def cancel_work(
    connection: Connection, caller: Identity, video_id: uuid.UUID
) -> videos.Video:
    """Stop the version in the making, the old one plays on; else the video's first processing."""
    video = await get_governed_video(connection, caller, video_id)
    making = await find_making(connection, video_id)
    if making is None or making.state == "failed":
        return await cancel_processing(connection, caller, video_id)
    if await video_versions.end_version(connection, video_id, making.version, CANCELLED):
        await enqueue_purge(connection, video_id, making.version, delay_s=STOPPED_AFTER_S)
    return video


async def find_making(connection: Connection, video_id: uuid.UUID) -> VideoVersion | None:
    """Return the version in the making, or the latest that failed."""
    found = await video_versions.list_makings(connection, [video_id])
    return found[0] if found else None


async def resume_making(connection: Connection, video_id: uuid.UUID) -> None:
    """Go on with a version that was in the making when its video was deleted.

    Raises VideoStillStopping.
    """
    making = await find_making(connection, video_id)
    if making is not None and making.state != "failed":
        await _enqueue(connection, REENCODE_JOB, VersionJob(video_id, making.version))


async def record_operator(
    connection: Connection, caller: Identity, video: videos.Video, recipe: Recipe, now: datetime
) -> None:
    """Put on record that an administrator had somebody else's video made again."""
    if caller.user_id == video.owner_id:
        return
    details = write_recipe(recipe)
    subject = f"video:{video.id}"
    draft = AuditDraft(make_id(), caller.user_id, "video.reencode", subject, details)
    await append_audit(connection, draft, now)


async def enqueue_purge(
    connection: Connection, video_id: uuid.UUID, version: int, *, delay_s: float
) -> None:
    """Have a version's bytes removed."""
    await enqueue_job(
        connection,
        PURGE_VERSION_JOB,
        VersionJob(video_id, version),
        dedupe_key=f"{PURGE_VERSION_JOB}:{video_id}:{version}",
        delay_s=delay_s,
    )


async def get_governed_video(
    connection: Connection, caller: Identity, video_id: uuid.UUID
) -> videos.Video:
    """Return a video whose making the caller decides about: their own, or as admin anybody's."""
    video = await get_video(connection, caller, video_id)
    if video.owner_id != caller.user_id and caller.role is not Role.ADMIN:
        raise PermissionDenied
    return video


async def _renew_failed(
    connection: Connection, video: videos.Video, caller: Identity, recipe: Recipe
) -> videos.Video:
    """Queue a failed video: nothing of it plays, so its next version is its first."""
    if not await videos.requeue_video(connection, video.id):
        raise VideoHasNoSource
    left_over = await video_versions.renew_failed_video(connection, video.id, write_recipe(recipe))
    if left_over is not None:
        await enqueue_purge(connection, video.id, left_over, delay_s=STOPPED_AFTER_S)
    await video_chunks.renew_failed_chunks(connection, video.id)
    await _enqueue(connection, PROCESS_JOB, VideoJob(video.id))
    return await get_governed_video(connection, caller, video.id)


async def _enqueue(connection: Connection, name: str, job: VersionJob | VideoJob) -> None:
    key = f"{name}:{job.video_id}"
    if not await enqueue_job(connection, name, job, dedupe_key=key):
        raise VideoStillStopping(retry_after_s=2)
