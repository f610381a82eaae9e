"""Tells of a video: those it is for that it is out, who looks at it its likes, its owner by whom.

Listeners of outbox events; each may run twice for one event and tells the same. What watchers are
told travels by the ephemeral bus after the commit and may be lost.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.job_runner.ports import JobPorts, Listener
from kit.events import Event, EventName
from serve_apps.access.sight import Sight
from serve_apps.followers import News, tell_audience
from serve_apps.reactions import tell_owner
from storage.videos import find_video


async def tell_watchers(ports: JobPorts, event: Event) -> None:
    """Send how many like a video."""
    async with ports.database.connection() as connection:
        video = await find_video(connection, event.subject_id)
    if video is not None:
        channel = f"video:{video.id}"
        await ports.cache.publish(channel, "video_counters", {"likes": video.likes})


async def tell_video_owner(ports: JobPorts, event: Event) -> None:
    """Tell an owner of a like or a comment by somebody else."""
    async with ports.database.connection() as connection:
        video = await find_video(connection, event.subject_id)
    if video is not None:
        await tell_owner(ports, event, video.owner_id, {"video_id": str(video.id)})


async def tell_published(ports: JobPorts, event: Event) -> None:
    """Tell those a video is for of it, unless it was hidden or deleted again."""
    async with ports.database.connection() as connection:
        video = await find_video(connection, event.subject_id)
    if video is None:
        return
    owner = {
        "id": str(video.owner_id),
        "username": video.owner_username,
        "display_name": video.owner_display_name,
    }
    data = {"video_id": str(video.id), "title": video.title, "user": owner}
    sight = Sight(video.owner_id, video.visibility)
    await tell_audience(ports, sight, News(event.id, "video", data))


LISTENERS: Mapping[str, Listener] = {
    "videos.tell_watchers": Listener(
        frozenset({EventName.VIDEO_LIKED, EventName.VIDEO_UNLIKED}), tell_watchers
    ),
    "videos.tell_owner": Listener(
        frozenset({EventName.VIDEO_LIKED, EventName.VIDEO_COMMENTED}), tell_video_owner
    ),
    "videos.tell_followers": Listener(frozenset({EventName.VIDEO_PUBLISHED}), tell_published),
}
