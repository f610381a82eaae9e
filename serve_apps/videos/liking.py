"""Rules of liking videos: whoever sees one may, once. Never commits."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from kit.events import EventName
from serve_apps.access.identity import Identity
from serve_apps.videos.service import VideoNotFound, get_video
from serve_apps.videos.viewing_service import enqueue_sum
from storage import likes
from storage.database import Connection
from storage.events import append_event
from storage.videos import find_video


@dataclass(frozen=True)
class Liking:
    """Who likes which video or takes it back, and when."""

    caller: Identity
    video_id: uuid.UUID
    now: datetime


async def set_like(connection: Connection, act: Liking, *, is_liked: bool) -> int:
    """Like a video or take it back; again changes nothing. Returns how many like it then.

    Raises VideoNotFound.
    """
    await get_video(connection, act.caller, act.video_id)
    user_id = act.caller.user_id
    given_at: datetime | None
    if is_liked:
        is_new = await likes.add_video_like(connection, act.video_id, user_id, act.now)
        given_at = act.now if is_new else None
    else:
        given_at = await likes.remove_video_like(connection, act.video_id, user_id)
    if given_at is not None:
        await enqueue_sum(connection, act.video_id, given_at.date(), act.now)
        name = EventName.VIDEO_LIKED if is_liked else EventName.VIDEO_UNLIKED
        await append_event(connection, name, subject_id=act.video_id, actor_id=user_id)
    video = await find_video(connection, act.video_id)
    if video is None:  # deleted in this very moment
        raise VideoNotFound
    return video.likes


async def find_liked(
    connection: Connection, viewer: Identity | None, video_id: uuid.UUID
) -> bool | None:
    """Say whether the viewer likes a video; None for a stranger."""
    if viewer is None:
        return None
    return await likes.is_video_liked(connection, video_id, viewer.user_id)
