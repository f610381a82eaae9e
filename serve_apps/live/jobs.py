"""What follows a broadcast: people are told of its start and takedown, segments become a video.

Handlers of outbox events and of jobs; each may run twice and does once what it does.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from actors.job_runner.ports import JobPorts, JobSpec, Listener
from kit.errors import Unavailable
from kit.events import Event, EventName
from kit.logs import get_log
from media.live.fragments import TRACKS
from serve_apps.access.sight import Sight
from serve_apps.followers import News, tell_audience
from serve_apps.live import recording
from storage.events import has_undelivered
from storage.live_segments import (
    delete_segments,
    find_origin,
    give_up_segments,
    lock_segments,
    make_live_key,
    make_live_prefix,
    make_segment_name,
)
from storage.lives import find_live, lock_live
from storage.recordings import PURGE_SEGMENTS_JOB, is_over, list_unneeded
from storage.users import list_cards

log = get_log("live")

PURGE_AFTER_S = 120
"""Players that seek back in a live that just ended may do so for a moment."""
LAST_SEGMENT_WAIT_S = 6.0
"""So long are other lives' ends kept waiting for one whose edge is slow to store."""
LAST_SEGMENT_POLL_S = 0.2
KEEP_LISTENER = "live.keep_or_forget"


class LiveStillListed(Unavailable):
    """The edge of a live that ended stores its last segments; heard of again in a moment."""

    code, message = "live_still_listed", "The last of this live is being stored."


async def tell_started(ports: JobPorts, event: Event) -> None:
    """Tell those a live is for that it began, unless it is over again."""
    async with ports.database.connection() as connection:
        live = await find_live(connection, event.subject_id)
    if live is None or live.status == "ended":
        return
    owner = {
        "id": str(live.owner_id),
        "username": live.owner_username,
        "display_name": live.owner_display_name,
    }
    data = {"live_id": str(live.id), "title": live.title, "user": owner}
    sight = Sight(live.owner_id, live.visibility)
    await tell_audience(ports, sight, News(event.id, "live", data))


async def tell_taken_down(ports: JobPorts, event: Event) -> None:
    """Tell the owner that a moderator took their live down, and why; not which moderator."""
    owner_id = uuid.UUID(event.data["owner_id"])
    async with ports.database.connection() as connection:
        owner = (await list_cards(connection, [owner_id])).get(owner_id)
    if owner is None:
        return
    data = {
        "user": msgspec.to_builtins(owner),
        "title": event.data["title"],
        "text": event.data["reason"],
    }
    await ports.people.deliver(owner_id, event.id, "takedown", data)


async def keep_or_forget(ports: JobPorts, event: Event) -> None:
    """Make a live that ended the video it is, or forget its segments.

    The video has the event's id, so that a repeat finds it made. Raises LiveStillListed.
    """
    deadline_s = ports.clock.monotonic_s() + LAST_SEGMENT_WAIT_S
    while True:
        async with ports.database.connection() as connection:
            origin = await find_origin(connection, event.subject_id)
        if origin is None or not origin.is_listing:
            break  # its edge listed the last segment, or did not live to do so
        if ports.clock.monotonic_s() > deadline_s:
            raise LiveStillListed
        await asyncio.sleep(LAST_SEGMENT_POLL_S)
    while not await _keep_or_forget(ports, event):
        """Its owner chose otherwise just now."""


async def _keep_or_forget(ports: JobPorts, event: Event) -> bool:
    """False: it came to be recorded while its segments were not read."""
    async with ports.database.connection() as connection:
        ended = await find_live(connection, event.subject_id)
        is_kept = ended is not None and ended.is_recorded
        rows = await recording.list_kept(connection, event.subject_id) if is_kept else []
    async with ports.database.transaction() as connection:
        await lock_live(connection, event.subject_id)  # it may be taken down at this moment
        live = await find_live(connection, event.subject_id)
        if live is not None and live.is_recorded and not is_kept:
            return False
        if live is None or not live.is_recorded:
            await recording.forget_segments(
                connection, event.subject_id, after_s=PURGE_AFTER_S, reason=event.id
            )
        else:
            video_id = await recording.keep_recording(
                connection, live, event.id, rows, ports.settings.live.recordings_ladder
            )
            log.info("live.recorded", live_id=str(live.id), video_id=str(video_id))
    return True


async def forget_taken_down(ports: JobPorts, event: Event) -> None:
    """Have a live's segments go once a moderator took it down.

    Its room may not live to end it: nobody opens the room of a live that is gone.
    """
    async with ports.database.transaction() as connection:
        await recording.forget_segments(
            connection, event.subject_id, after_s=PURGE_AFTER_S, reason=event.id
        )


async def purge_segments(ports: JobPorts, payload: bytes) -> None:
    """Remove those segments of a live that is over which no video names, bytes before rows.

    They become gaps first, so that no clip is made of them meanwhile.
    """
    live_id = msgspec.json.decode(payload, type=recording.LiveJob).live_id
    kept_s = ports.settings.processing.deleted_kept_s
    async with ports.database.transaction() as connection:
        await lock_segments(connection, live_id)
        if not await is_over(connection, live_id) or await has_undelivered(
            connection, live_id, EventName.STREAM_ENDED, KEEP_LISTENER
        ):
            return  # what becomes of it is decided at its end, and then this comes again
        unneeded = await list_unneeded(connection, live_id, deleted_for_s=kept_s)
        await give_up_segments(connection, live_id, [row.number for row in unneeded])
    for row in unneeded:
        name = make_segment_name(row.number)
        for track in TRACKS:
            await ports.objects.delete(make_live_key(live_id, row.origin_gen, track, name))
    async with ports.database.transaction() as connection:
        is_all = await delete_segments(connection, live_id, [row.number for row in unneeded])
    if is_all:
        await ports.objects.delete_prefix(make_live_prefix(live_id))
    log.info("live.segments_purged", live_id=str(live_id), segments=len(unneeded))


LISTENERS: Mapping[str, Listener] = {
    "live.tell_followers": Listener(frozenset({EventName.STREAM_STARTED}), tell_started),
    "live.tell_taken_down": Listener(frozenset({EventName.STREAM_TAKEN_DOWN}), tell_taken_down),
    "live.forget_taken_down": Listener(frozenset({EventName.STREAM_TAKEN_DOWN}), forget_taken_down),
    KEEP_LISTENER: Listener(frozenset({EventName.STREAM_ENDED}), keep_or_forget),
}
HANDLERS: Mapping[str, JobSpec] = MappingProxyType(
    {
        PURGE_SEGMENTS_JOB: JobSpec(purge_segments, concurrency_max=2),
    }
)
