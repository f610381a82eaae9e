"""Rules about deleted videos: their owner may have one back, or delete it for good.

Until its bytes go a deleted video counts against the quota; for good means that they go now.
Routes call it inside a transaction they opened.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from kit.cursors import Page, cut_page, make_moment_key, read_moment_cursor
from kit.errors import Conflict
from kit.events import EventName
from kit.settings import Settings
from media.live.rungs import SourceShape, choose_short_sides, list_short_sides
from serve_apps.access.identity import Identity
from serve_apps.deletions import STOPPED_AFTER_S, PurgeJob, enqueue_purge
from serve_apps.videos.processing_rules import VideoStillStopping
from serve_apps.videos.publishing import expect_times, withdraw_due
from serve_apps.videos.reencoding_rules import resume_making
from serve_apps.videos.service import VideoNotFound, enqueue_processing
from storage import trash, videos
from storage.database import Connection
from storage.events import append_event
from storage.jobs import enqueue_job
from storage.lives import lock_live
from storage.recordings import MAKE_AAC_JOB, MAKE_RUNGS_JOB, Further, find_recording, is_making
from storage.trash import TrashedVideo


class VideoNotRestorable(Conflict):
    """Its bytes are about to go, or the live it is a recording of was taken down."""

    code, message = "video_not_restorable", "This video can no longer be restored."


async def list_trash(
    connection: Connection, owner: Identity, *, cursor: str | None, limit: int
) -> Page[TrashedVideo]:
    """Return what the caller deleted, last deleted first; raises CursorMalformed."""
    found = await trash.list_trash(
        connection, owner.user_id, before=read_moment_cursor(cursor), limit=limit + 1
    )
    return cut_page(found, limit, lambda video: make_moment_key(video.deleted_at, video.id))


async def restore_video(
    connection: Connection, settings: Settings, owner: Identity, video_id: uuid.UUID
) -> videos.Video:
    """Have the caller's deleted video back as it was; what was to be done with it goes on.

    Raises VideoNotFound, VideoNotRestorable, VideoStillStopping.
    """
    await _get_trashed(connection, owner, video_id)
    recorded = await find_recording(connection, video_id)
    if recorded is not None:
        await lock_live(connection, recorded.live_id)  # a moderator may be taking it down just now
    if not await trash.restore_video(connection, owner.user_id, video_id):
        raise VideoNotRestorable
    await withdraw_due(connection, video_id)
    video = await videos.find_video(connection, video_id)
    assert video is not None, "it was restored in this very transaction"
    if video.status == "queued" and not await enqueue_processing(
        connection, video_id, is_recording=video.is_recording
    ):
        raise VideoStillStopping(retry_after_s=2)
    await resume_making(connection, video_id)
    await _resume_recording(connection, video, settings.live.recordings_ladder)
    await expect_times(connection, video)
    await append_event(
        connection,
        EventName.VIDEO_RESTORED,
        subject_id=video_id,
        actor_id=owner.user_id,
        data={},
    )
    return video


async def delete_for_good(
    connection: Connection, owner: Identity, video_id: uuid.UUID
) -> TrashedVideo:
    """Have the bytes of the caller's deleted video go now; raises VideoNotFound.

    Minutes later where it was deleted just now: something may still work on it.
    """
    await trash.give_up_video(connection, owner.user_id, video_id, stopped_after_s=STOPPED_AFTER_S)
    video = await _get_trashed(connection, owner, video_id)
    left_s = await trash.find_left_s(connection, video.purge_at)
    await enqueue_purge(connection, PurgeJob(video_id, video.purge_at), delay_s=left_s)
    return video


async def _get_trashed(
    connection: Connection, owner: Identity, video_id: uuid.UUID
) -> TrashedVideo:
    found = await trash.find_trashed(connection, owner.user_id, video_id)
    if found is None:
        raise VideoNotFound
    return found


async def _resume_recording(
    connection: Connection, video: videos.Video, ladder: Sequence[str]
) -> None:
    """Have made what a recording still lacks; a job that waits since before does it."""
    about: dict[str, object] = {"video_id": video.id}
    if await is_making(connection, video.id, Further.AAC):
        await _enqueue_making(connection, MAKE_AAC_JOB, about)
    shape = SourceShape(video.width or 0, video.height or 0)
    sides = choose_short_sides(list_short_sides(ladder), shape)
    if sides and await is_making(connection, video.id, Further.RUNGS):
        about["ladder"] = [f"{side}p" for side in sides]
        await _enqueue_making(connection, MAKE_RUNGS_JOB, about)


async def _enqueue_making(connection: Connection, job: str, about: dict[str, object]) -> None:
    """Queue it now, or behind one that may be ending because the video was gone."""
    key = f"{job}:{about['video_id']}"
    if not await enqueue_job(connection, job, about, dedupe_key=key):
        later = f"{key}:restored"
        await enqueue_job(connection, job, about, dedupe_key=later, delay_s=STOPPED_AFTER_S)
