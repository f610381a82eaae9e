"""Rules of liking videos: whoever sees one may, once. Never commits."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from kit.events import EventName
from serve_apps.access.identity import Identity
from serve_apps.videos.service import VideoNotFound, get_video
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
    if is_liked:
        has_changed = await likes.add_video_like(connection, act.video_id, user_id, act.now)
    else:
        has_changed = await likes.remove_video_like(connection, act.video_id, user_id)
    if has_changed:
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
