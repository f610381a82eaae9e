"""Ends a video: nobody finds or plays it from the commit on, its bytes go later.

Asked by the videos feature, and by lives whose recording is taken down with them, inside a
transaction they opened.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec

from kit.events import EventName
from kit.ids import make_id
from kit.settings import Settings
from storage import videos
from storage.database import Connection
from storage.events import append_event
from storage.jobs import enqueue_job

PURGE_JOB = "videos.purge"
"""Handled by the videos feature."""
PURGE_AGAIN_S = 6 * 3600
"""The bytes' place is away: they count against the quota until they are gone."""
STOPPED_AFTER_S = 120
"""By then whatever still worked on what was stopped or deleted has ended."""


class PurgeJob(msgspec.Struct, frozen=True, omit_defaults=True):
    """Payload of the removal of one video's bytes."""

    video_id: uuid.UUID
    until: datetime | None = None
    """How long they stay; one that was restored and deleted again has another job."""


def decide_kept_s(settings: Settings) -> int:
    """Return how long the bytes of what was deleted stay."""
    return max(settings.processing.deleted_kept_s, STOPPED_AFTER_S)


async def delete_video(
    connection: Connection, video_id: uuid.UUID, actor_id: uuid.UUID | None, *, purge_after_s: int
) -> bool:
    """Delete a video, and queue the removal of its bytes; False when it was gone already."""
    purge_at = await videos.delete_video(
        connection, video_id, deleted_by=actor_id, kept_s=purge_after_s
    )
    if purge_at is None:
        return False
    await enqueue_purge(connection, PurgeJob(video_id, purge_at), delay_s=purge_after_s)
    await append_event(
        connection, EventName.VIDEO_DELETED, subject_id=video_id, actor_id=actor_id, data={}
    )
    return True


async def enqueue_purge(connection: Connection, job: PurgeJob, *, delay_s: float) -> None:
    """Queue the removal of a deleted video's bytes, once for each time at which they go."""
    key = f"{PURGE_JOB}:{job.video_id}:{job.until}"
    await enqueue_job(connection, PURGE_JOB, job, dedupe_key=key, delay_s=delay_s)


async def purge_again(connection: Connection, job: PurgeJob) -> None:
    """Queue the removal once more, hours later: it failed as often as a job may."""
    key = f"{PURGE_JOB}:{job.video_id}:{make_id()}"
    await enqueue_job(connection, PURGE_JOB, job, dedupe_key=key, delay_s=PURGE_AGAIN_S)
