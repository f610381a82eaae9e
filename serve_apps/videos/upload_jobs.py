"""Jobs about files that arrive: their names, what each is given, and queueing them.

The rules of uploads queue them in their own transaction; `jobs.py` names who runs them.
"""

from __future__ import annotations

import uuid

import msgspec

from storage.database import Connection
from storage.jobs import enqueue_job
from storage.uploads import Upload

COLLECT_JOB = "videos.collect_part"
EXPECT_JOB = "videos.expect_upload"
HEAD_START_JOB = "videos.head_start"
HEAD_START_PAUSE_S = 2.0
HEAD_START_PAUSE_S_MAX = 60.0
EXPIRE_MARGIN_S = 60


class UploadJob(msgspec.Struct, frozen=True):
    """Payload of a job about one upload."""

    upload_id: uuid.UUID


class HeadStartJob(msgspec.Struct, frozen=True):
    """Payload of a turn: what the turns before it found out."""

    video_id: uuid.UUID
    turn: int = 0
    seen_bytes: int = 0
    quiet_turns: int = 0
    """So many turns in a row nothing had come."""
    looks: int = 0
    looked_bytes: int = 0
    info: str = ""
    """What the file is by its own words, as JSON; empty: nobody knows yet."""
    quality: str = ""
    """What half of it shows of its quality, as JSON; empty: nobody has measured."""
    measured_bytes: int = 0
    """So much was there when that was tried."""
    made: int = 0
    """So many chunks, from the first of those that can be made by now, are whole."""
    progress: float = 0.0
    """So much of all that is made of the video was said to be there."""


async def enqueue_collection(
    connection: Connection, upload_id: uuid.UUID, *, delay_s: float
) -> None:
    """Have a part's bytes removed, unless it has become one of a file by then."""
    await enqueue_job(
        connection,
        COLLECT_JOB,
        UploadJob(upload_id),
        dedupe_key=f"{COLLECT_JOB}:{upload_id}:{delay_s > 0}",
        delay_s=delay_s + EXPIRE_MARGIN_S if delay_s else 0,
    )


async def enqueue_end(
    connection: Connection, name: str, payload: msgspec.Struct, upload: Upload
) -> None:
    """Have an upload looked at again when its time is over, which began anew with what came."""
    key = f"{name}:{upload.id}:{upload.expires_at.timestamp():.0f}"
    delay_s = upload.left_s + EXPIRE_MARGIN_S
    await enqueue_job(connection, name, payload, dedupe_key=key, delay_s=delay_s)


async def expect_upload(connection: Connection, upload_id: uuid.UUID) -> None:
    """The last byte is near: have a worker ready for it."""
    key = f"{EXPECT_JOB}:{upload_id}"
    await enqueue_job(connection, EXPECT_JOB, UploadJob(upload_id), dedupe_key=key)


async def enqueue_head_start(connection: Connection, job: HeadStartJob) -> None:
    """Queue the next turn; a file that stands still is looked at ever more seldom."""
    pause_s = min(HEAD_START_PAUSE_S * 2**job.quiet_turns, HEAD_START_PAUSE_S_MAX)
    key = f"{HEAD_START_JOB}:{job.video_id}:{job.turn}"
    await enqueue_job(connection, HEAD_START_JOB, job, dedupe_key=key, delay_s=pause_s)
