"""When a video is published and when it is taken back, as its owner chose.

Before and after it is private, and everything obeys as it does for a private one. A job changes its
visibility, at the earliest at its time. Functions take the transaction's connection and never
commit.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

import msgspec

from kit.errors import Conflict
from kit.events import EventName
from serve_apps.access.visibility import Visibility
from storage import publications, videos
from storage.database import Connection
from storage.events import append_event
from storage.jobs import enqueue_job
from storage.publications import Publication

PUBLISH_JOB = "videos.publish"
WITHDRAW_JOB = "videos.withdraw"
AHEAD_S_MAX = 366 * 86_400


class PublicationUnfit(Conflict):
    """The time is past or too far ahead, or nobody could watch from then on."""

    code = "publication_unfit"
    message = "A video is published between now and a year ahead, for others than its owner."


class WithdrawalUnfit(Conflict):
    """The time is past, too far ahead, or not after the publication."""

    code = "withdrawal_unfit"
    message = "A video is taken back within a year, and after it was published."


class VideoScheduled(Conflict):
    """A video that waits for its time has no other visibility until then."""

    code = "video_scheduled"
    message = "This video waits for its publication; change or cancel that instead."


class PublishJob(msgspec.Struct, frozen=True):
    """Payload of the jobs that publish a video, or take it back."""

    video_id: uuid.UUID


@dataclass(frozen=True)
class PublicationWish:
    """When (None: now) and for whom an owner wants a video published."""

    at: datetime | None
    visibility: Visibility


async def schedule(connection: Connection, video_id: uuid.UUID, publication: Publication) -> None:
    """Hide a video until its time, and have it published then; raises PublicationUnfit.

    Times are the database's, whose clock lets the job go. That of a time that was moved finds
    nothing to do.
    """
    if publication.visibility == Visibility.PRIVATE:
        raise PublicationUnfit
    left_s = await publications.schedule_video(connection, video_id, publication)
    if left_s is None or not 0 < left_s <= AHEAD_S_MAX:
        raise PublicationUnfit
    await _expect(connection, PUBLISH_JOB, video_id, publication.at, left_s)


async def set_publication(
    connection: Connection, video_id: uuid.UUID, wish: PublicationWish
) -> None:
    """Choose or move the time of a video, or publish it now; raises PublicationUnfit."""
    if wish.at is not None:
        await schedule(connection, video_id, Publication(wish.at, wish.visibility.value))
        return
    if wish.visibility is Visibility.PRIVATE:
        raise PublicationUnfit
    await publications.unschedule_video(connection, video_id)
    await videos.change_video(
        connection, video_id, title=None, description=None, visibility=wish.visibility.value
    )
    await tell_published(connection, video_id)


async def cancel_publication(connection: Connection, video_id: uuid.UUID) -> None:
    """Take a video's time back; it stays private."""
    await publications.unschedule_video(connection, video_id)


async def set_withdrawal(connection: Connection, video_id: uuid.UUID, at: datetime) -> None:
    """Choose or move the time from which only its owner sees a video; raises WithdrawalUnfit."""
    left_s = await publications.set_withdrawal(connection, video_id, at)
    if left_s is None or not 0 < left_s <= AHEAD_S_MAX:
        raise WithdrawalUnfit
    await _expect(connection, WITHDRAW_JOB, video_id, at, left_s)


async def cancel_withdrawal(connection: Connection, video_id: uuid.UUID) -> None:
    """Let a video stay as visible as it is."""
    await publications.set_withdrawal(connection, video_id, None)


async def expect_times(connection: Connection, video: videos.Video) -> None:
    """Have a video's times kept again, whose jobs may have passed while it was deleted."""
    left = await publications.find_times_left(connection, video.id)
    for job, at, left_s in (
        (PUBLISH_JOB, video.publish_at, left.publish_s),
        (WITHDRAW_JOB, video.withdraw_at, left.withdraw_s),
    ):
        if at is not None and left_s is not None:
            await _expect(connection, job, video.id, at, max(left_s, 0.0))


async def _expect(
    connection: Connection, job: str, video_id: uuid.UUID, at: datetime, left_s: float
) -> None:
    """Have a time of a video kept, which comes in so many seconds; once for each time."""
    key = f"{job}:{video_id}:{at.isoformat()}"
    await enqueue_job(connection, job, PublishJob(video_id), dedupe_key=key, delay_s=left_s)


async def withdraw_due(connection: Connection, video_id: uuid.UUID) -> bool:
    """Take back a video whose time is over; False when that was done, moved or cancelled."""
    return await publications.withdraw_due_video(connection, video_id)


async def publish_due(connection: Connection, video_id: uuid.UUID) -> bool:
    """Publish a video whose time has come; False when that was done, moved or taken back."""
    if not await publications.open_due_video(connection, video_id):
        return False
    await tell_published(connection, video_id)
    return True


async def tell_published(connection: Connection, video_id: uuid.UUID) -> None:
    """Write the event of a video that lists now show for the first time; call it after a change.

    One that is not ready yet, or not for lists, is told of when it is.
    """
    published = await publications.mark_published(connection, video_id)
    if published is not None:
        await append_event(
            connection,
            EventName.VIDEO_PUBLISHED,
            subject_id=video_id,
            actor_id=published.owner_id,
            data={"visibility": published.visibility},
        )
