"""What follows a broadcast: followers are told that it began, its segments become a video.

Handlers of outbox events and of jobs; each may run twice and does once what it does.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from actors.job_runner.media_queue import MediaRank
from actors.job_runner.ports import JobPorts, JobSpec, Listener
from kit.events import Event, EventName
from kit.logs import get_log
from media.live.fragments import VIDEO
from media.live.pictures import PICTURES_TASK, LivePictureJob, decide_moments_ms
from media.vod.records import TaskRecord
from serve_apps.access.visibility import Visibility
from serve_apps.live import recording
from storage.follows import list_follower_ids
from storage.live_segments import (
    delete_segments,
    has_open_origin,
    list_sent_segments,
    make_live_key,
    make_live_prefix,
    make_segment_name,
)
from storage.lives import find_live
from storage.recordings import find_recording, is_over, list_unneeded
from storage.video_chunks import NewChunk, finish_chunk, insert_chunks
from storage.videos import find_video, set_thumbnail

log = get_log("live")

TOLD_AT_ONCE = 50
TOLD_MAX = 10_000
"""Beyond, the list of running lives has to do: a notice each would take minutes."""
PURGE_AFTER_S = 120
"""Players that seek back in a live that just ended may do so for a moment."""
LAST_SEGMENT_WAIT_S = 6.0
LAST_SEGMENT_POLL_S = 0.2
VIDEO_GONE_AFTER_S = 30 * 86_400 + 3600
"""A deleted video's row goes after 30 days."""
TOLD_OF = frozenset({Visibility.PUBLIC, Visibility.FOLLOWERS})


async def tell_followers(ports: JobPorts, event: Event) -> None:
    """Tell the owner's followers that a live began, unless it is not for them or over again."""
    async with ports.database.connection() as connection:
        live = await find_live(connection, event.subject_id)
    if live is None or live.visibility not in TOLD_OF or live.status == "ended":
        return
    owner = {
        "id": str(live.owner_id),
        "username": live.owner_username,
        "display_name": live.owner_display_name,
    }
    data = {"live_id": str(live.id), "title": live.title, "user": owner}
    after: uuid.UUID | None = None
    for _ in range(TOLD_MAX // TOLD_AT_ONCE):
        async with ports.database.connection() as connection:
            readers = await list_follower_ids(
                connection, live.owner_id, after=after, limit=TOLD_AT_ONCE
            )
        await asyncio.gather(
            *(ports.people.deliver(reader, event.id, "live", data) for reader in readers)
        )
        if len(readers) < TOLD_AT_ONCE:
            return
        after = readers[-1]


async def keep_or_forget(ports: JobPorts, event: Event) -> None:
    """Make a live that ended the video it is, or forget its segments.

    The video has the event's id, so that a repeat finds it made.
    """
    deadline_s = ports.clock.monotonic_s() + LAST_SEGMENT_WAIT_S
    while True:
        async with ports.database.connection() as connection:
            is_open = await has_open_origin(connection, event.subject_id)
        if not is_open or ports.clock.monotonic_s() > deadline_s:
            break  # its edge listed the last segment, or did not live to do so
        await asyncio.sleep(LAST_SEGMENT_POLL_S)
    async with ports.database.transaction() as connection:
        live = await find_live(connection, event.subject_id)
        if live is None or not live.is_recorded:
            await recording.forget_segments(
                connection, event.subject_id, after_s=PURGE_AFTER_S, reason=event.id
            )
        else:
            video_id = await recording.keep_recording(connection, live, event.id)
            log.info("live.recorded", live_id=str(live.id), video_id=str(video_id))


async def forget_with_video(ports: JobPorts, event: Event) -> None:
    """Look again at a live's segments once a video that was made of them is gone for good."""
    async with ports.database.transaction() as connection:
        wanted = await find_recording(connection, event.subject_id)
        if wanted is not None:
            await recording.forget_segments(
                connection, wanted.live_id, after_s=VIDEO_GONE_AFTER_S, reason=event.subject_id
            )


async def make_pictures(ports: JobPorts, payload: bytes) -> None:
    """Make the thumbnail and the storyboard of a recording or clip."""
    video_id = msgspec.json.decode(payload, type=recording.PictureJob).video_id
    async with ports.database.connection() as connection:
        wanted = await find_recording(connection, video_id)
        video = await find_video(connection, video_id)
        rows = [] if wanted is None else await list_sent_segments(connection, wanted)
    if video is None or not any(row.tracks for row in rows):
        return
    moments_ms = decide_moments_ms(video.duration_ms or 0)
    job = LivePictureJob(
        str(video_id),
        video.width or 0,
        video.height or 0,
        moments_ms.step,
        tuple(
            (
                make_live_key(row.live_id, row.origin_gen, VIDEO, row.tracks[VIDEO].init_name),
                make_live_key(row.live_id, row.origin_gen, VIDEO, make_segment_name(row.number)),
            )
            for row in recording.list_at(rows, moments_ms)
        ),
    )
    record: TaskRecord = await ports.media.run(PICTURES_TASK, job, rank=MediaRank.LOOK)
    async with ports.database.transaction() as connection:
        await insert_chunks(connection, video_id, [NewChunk(record.task_id, 0, {})])
        await finish_chunk(connection, video_id, record.task_id, msgspec.to_builtins(record))
        await set_thumbnail(connection, video_id, record.images[0])


async def purge_segments(ports: JobPorts, payload: bytes) -> None:
    """Remove those segments of a live that is over which no video names, bytes first."""
    live_id = msgspec.json.decode(payload, type=recording.LiveJob).live_id
    async with ports.database.connection() as connection:
        if not await is_over(connection, live_id):
            return
        unneeded = await list_unneeded(connection, live_id)
    for row in unneeded:
        name = make_segment_name(row.number)
        for track in row.tracks:
            await ports.objects.delete(make_live_key(live_id, row.origin_gen, track, name))
    async with ports.database.transaction() as connection:
        is_all = await delete_segments(connection, live_id, [row.number for row in unneeded])
    if is_all:
        await ports.objects.delete_prefix(make_live_prefix(live_id))
    log.info("live.segments_purged", live_id=str(live_id), segments=len(unneeded))


LISTENERS: Mapping[str, Listener] = {
    "live.tell_followers": Listener(frozenset({EventName.STREAM_STARTED}), tell_followers),
    "live.keep_or_forget": Listener(frozenset({EventName.STREAM_ENDED}), keep_or_forget),
    "live.forget_with_video": Listener(frozenset({EventName.VIDEO_DELETED}), forget_with_video),
}
HANDLERS: Mapping[str, JobSpec] = MappingProxyType(
    {
        recording.PICTURE_JOB: JobSpec(make_pictures, concurrency_max=2),
        recording.PURGE_JOB: JobSpec(purge_segments, concurrency_max=2),
    }
)
