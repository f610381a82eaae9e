"""Ends a video: nobody finds or plays it from the commit on, its bytes go later.

Asked by the videos feature, and by lives whose recording is taken down with them, inside a
transaction they opened.
"""

from __future__ import annotations

import uuid

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


def decide_kept_s(settings: Settings) -> int:
    """Return how long the bytes of what was deleted stay."""
    return max(settings.processing.deleted_kept_s, STOPPED_AFTER_S)


async def delete_video(
    connection: Connection, video_id: uuid.UUID, actor_id: uuid.UUID | None, *, purge_after_s: int
) -> bool:
    """Delete a video, and queue the removal of its bytes; False when it was gone already."""
    if not await videos.delete_video(connection, video_id):
        return False
    await enqueue_job(
        connection,
        PURGE_JOB,
        {"video_id": video_id},
        dedupe_key=f"{PURGE_JOB}:{video_id}",
        delay_s=purge_after_s,
    )
    await append_event(
        connection, EventName.VIDEO_DELETED, subject_id=video_id, actor_id=actor_id, data={}
    )
    return True


async def purge_again(connection: Connection, video_id: uuid.UUID) -> None:
    """Queue the removal once more, hours later: it failed as often as a job may."""
    await enqueue_job(
        connection,
        PURGE_JOB,
        {"video_id": video_id},
        dedupe_key=f"{PURGE_JOB}:{video_id}:{make_id()}",
        delay_s=PURGE_AGAIN_S,
    )
