"""What is left of a live: its recording when it ends, and clips of its last seconds.

Both are videos that name stored segments. They play at once; what else a video has, AAC of their
Opus and smaller pictures are made by jobs of the videos feature. Routes and jobs call it inside a
transaction they opened.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from kit.errors import Conflict, PermissionDenied
from kit.events import EventName
from kit.ids import make_id
from media.live.fragments import AUDIO, VIDEO
from media.live.packets import OPUS_FORMAT
from media.live.recording import measure_duration_ms
from media.live.rungs import SourceShape, choose_short_sides, list_short_sides
from serve_apps.access.identity import Identity
from serve_apps.access.visibility import Visibility
from storage.database import Connection
from storage.events import append_event
from storage.jobs import enqueue_job
from storage.live_segments import (
    SegmentRange,
    StoredSegment,
    hold_segments,
    list_newest_segments,
    list_sent_segments,
)
from storage.lives import LiveRow
from storage.recordings import (
    MAKE_AAC_JOB,
    MAKE_RUNGS_JOB,
    PROCESS_RECORDED_JOB,
    PURGE_SEGMENTS_JOB,
    RecordedVideo,
    insert_recording,
)

NUMBER_MAX = 2**31 - 1
CLIP_S_MAX = 180
CLIP_ROWS_MAX = 400
TITLE_CHARS_MAX = 200


class NothingToClip(Conflict):
    """No segment of the live is stored yet."""

    code, message = "nothing_to_clip", "Nothing of this live can be clipped yet."
    retryable = True


class ClipsOff(Conflict):
    """The live is not recorded: its owner alone may keep parts of it."""

    code, message = "clips_off", "This live is not recorded, and neither are clips of it."


class LiveJob(msgspec.Struct, frozen=True):
    """Payload of jobs about a live's segments."""

    live_id: uuid.UUID


@dataclass(frozen=True)
class ClipOrder:
    """What somebody wants to keep of a live's end."""

    seconds: int
    title: str | None
    ladder: tuple[str, ...] = ()
    """Smaller pictures that the site wants."""


async def list_kept(connection: Connection, live_id: uuid.UUID) -> Sequence[StoredSegment]:
    """Return all that a live sent: thousands of rows, to be read before anything is locked."""
    return await list_sent_segments(connection, SegmentRange(live_id, 0, NUMBER_MAX))


async def keep_recording(
    connection: Connection,
    live: LiveRow,
    video_id: uuid.UUID,
    rows: Sequence[StoredSegment],
    ladder: Sequence[str] = (),
) -> uuid.UUID | None:
    """Make the video of a live that ended; again does nothing. None: nothing was stored.

    `rows` is what it sent, `ladder` the smaller pictures that the site wants.
    """
    order = _describe_video(video_id, live, rows, ladder, is_whole=True)
    if order is None:
        return None
    await _keep(connection, order, SegmentRange(live.id, rows[0].number, rows[-1].number))
    return order.id


async def make_clip(
    connection: Connection, viewer: Identity, live: LiveRow, order: ClipOrder
) -> uuid.UUID:
    """Make a video of the last seconds and return its id.

    A live that not everybody may see is its owner's alone to clip. Clips of others have no smaller
    pictures: by each request anybody could have a core work for minutes. Raises NothingToClip,
    ClipsOff, PermissionDenied.
    """
    is_owner = live.owner_id == viewer.user_id
    if not is_owner and live.visibility != Visibility.PUBLIC:
        raise PermissionDenied
    if not is_owner and not live.is_recorded:
        raise ClipsOff
    await hold_segments(connection, live.id)
    rows = _cut_end(await list_newest_segments(connection, live.id, CLIP_ROWS_MAX), order.seconds)
    ladder = order.ladder if is_owner else ()
    video = _describe_video(make_id(), live, rows, ladder, is_whole=False)
    if video is None:
        raise NothingToClip
    title = order.title or f"Clip: {live.title}"[:TITLE_CHARS_MAX]
    video = msgspec.structs.replace(video, title=title, owner_id=viewer.user_id)
    await _keep(connection, video, SegmentRange(live.id, rows[0].number, rows[-1].number))
    return video.id


async def forget_segments(
    connection: Connection, live_id: uuid.UUID, *, after_s: float, reason: uuid.UUID
) -> None:
    """Queue the removal of a live's segments, once per reason; what a video needs will stay."""
    dedupe_key = f"{PURGE_SEGMENTS_JOB}:{live_id}:{reason}"
    await enqueue_job(
        connection, PURGE_SEGMENTS_JOB, LiveJob(live_id), dedupe_key=dedupe_key, delay_s=after_s
    )


def _cut_end(rows: Sequence[StoredSegment], seconds: int) -> Sequence[StoredSegment]:
    """Return the last rows, oldest first, that together play for so long."""
    wanted_ms = seconds * 1000
    first = len(rows)
    while first and wanted_ms > 0:
        first -= 1
        wanted_ms -= rows[first].duration_ms if rows[first].tracks else 0
    return rows[first:]


def _describe_video(
    video_id: uuid.UUID,
    live: LiveRow,
    rows: Sequence[StoredSegment],
    ladder: Sequence[str],
    *,
    is_whole: bool,
) -> RecordedVideo | None:
    pictures = [row.tracks[VIDEO] for row in rows if row.tracks]
    if not pictures:
        return None
    largest = max(pictures, key=lambda track: track.width * track.height)
    shape = SourceShape(largest.width, largest.height)
    return RecordedVideo(
        id=video_id,
        owner_id=live.owner_id,
        title=live.title,
        visibility=live.visibility,
        duration_ms=measure_duration_ms(rows),
        width=largest.width,
        height=largest.height,
        is_whole=is_whole,
        makes_aac=any(
            row.tracks[AUDIO].codec == OPUS_FORMAT.codec_name for row in rows if row.tracks
        ),
        ladder=tuple(f"{side}p" for side in choose_short_sides(list_short_sides(ladder), shape)),
    )


async def _keep(connection: Connection, video: RecordedVideo, segments: SegmentRange) -> None:
    """Write the video, tell of it, and have the rest of it made."""
    if not await insert_recording(connection, video, segments):
        return
    await append_event(
        connection,
        EventName.VIDEO_RECORDED,
        subject_id=video.id,
        actor_id=video.owner_id,
        data={"duration_ms": video.duration_ms, "live_id": str(segments.live_id)},
    )
    about: dict[str, object] = {"video_id": video.id}
    jobs = {PROCESS_RECORDED_JOB: about}
    if video.makes_aac:
        jobs[MAKE_AAC_JOB] = about
    if video.ladder:
        jobs[MAKE_RUNGS_JOB] = {**about, "ladder": video.ladder}
    for job, payload in jobs.items():
        await enqueue_job(connection, job, payload, dedupe_key=f"{job}:{video.id}")
