"""Rules about work on a video: its owner may stop it, and have it tried again.

Routes call it inside a transaction they opened. What runs notices by itself within seconds.
"""

from __future__ import annotations

import uuid

from kit.errors import AppError
from serve_apps.access.identity import Identity
from serve_apps.videos.service import enqueue_processing, get_own_video
from storage import video_chunks, videos
from storage.database import Connection

CANCELLED = "processing_cancelled"


class VideoNotInWork(AppError):
    """Only what waits or is being processed can be stopped."""

    code, status, message = "video_not_in_work", 409, "This video is not being processed."


class VideoNotRetryable(AppError):
    """It did not fail, or its file never arrived."""

    code, status = "video_not_retryable", 409
    message = "Only a failed video whose file has arrived can be tried again."


class VideoStillStopping(AppError):
    """The work that was stopped has not ended yet."""

    code, status, message = "video_still_stopping", 409, "It is still stopping; try again soon."
    retryable = True


async def cancel_processing(
    connection: Connection, caller: Identity, video_id: uuid.UUID
) -> videos.Video:
    """Stop the work on the caller's video; what is made so far stays for another try."""
    video = await get_own_video(connection, caller, video_id)
    if video.status not in ("queued", "processing"):
        raise VideoNotInWork(status_now=video.status)
    await videos.fail_video(connection, video_id, CANCELLED, "You stopped the processing.")
    return await get_own_video(connection, caller, video_id)


async def retry_processing(
    connection: Connection, caller: Identity, video_id: uuid.UUID
) -> videos.Video:
    """Queue a failed video again; pieces that are done are not made again."""
    video = await get_own_video(connection, caller, video_id)
    if not await videos.requeue_video(connection, video_id):
        raise VideoNotRetryable
    await video_chunks.renew_failed_chunks(connection, video_id)
    if not await enqueue_processing(connection, video_id, is_recording=video.is_recording):
        raise VideoStillStopping(retry_after_s=2)
    return await get_own_video(connection, caller, video_id)
