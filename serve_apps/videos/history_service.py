"""Rules of watching: what is remembered, where a video goes on, and what is finished.

Called by routes inside their transaction; never commits. Nobody but the person themself reads it.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from kit.cursors import Page, cut_page, make_moment_key, read_moment_cursor
from serve_apps.access.identity import Identity
from serve_apps.videos.service import get_video
from storage import history
from storage.database import Connection
from storage.history import HistorySlice, Watched, WatchedVideo

RESUME_FROM_MS = 5_000
"""Who left earlier has not begun: the video starts anew."""
END_SHARE = 0.05
END_MS_MAX = 30_000


def is_finished(position_ms: int, duration_ms: int | None) -> bool:
    """Say whether so little is left that the video counts as watched to its end.

    Little is a twentieth of its length, half a minute at most.
    """
    if not duration_ms:
        return False
    return duration_ms - position_ms <= min(END_MS_MAX, duration_ms * END_SHARE)


def decide_resume(watched: Watched | None) -> int:
    """Return where the video goes on, in ms; 0 when it begins anew."""
    if watched is None or watched.is_finished or watched.position_ms < RESUME_FROM_MS:
        return 0
    return watched.position_ms


async def find_resume(
    connection: Connection, viewer: Identity | None, video_id: uuid.UUID
) -> int | None:
    """Return where the viewer goes on in a video, in ms; None for somebody who is not logged in."""
    if viewer is None:
        return None
    return decide_resume(await history.find_watched(connection, viewer.user_id, video_id))


async def note_position(
    connection: Connection,
    viewer: Identity,
    video_id: uuid.UUID,
    position_ms: int,
    now: datetime,
) -> bool:
    """Remember how far the viewer came; False while their history is paused.

    Raises VideoNotFound also for those who may not see the video.
    """
    video = await get_video(connection, viewer, video_id)
    if video.duration_ms is not None:
        position_ms = min(position_ms, video.duration_ms)
    has_ended = is_finished(position_ms, video.duration_ms)
    return await history.note_position(
        connection, viewer.user_id, Watched(video_id, position_ms, has_ended, now)
    )


async def list_history(
    connection: Connection,
    viewer: Identity,
    *,
    cursor: str | None,
    limit: int,
    unfinished_only: bool,
) -> Page[WatchedVideo]:
    """List what the viewer watched and may still see, last watched first."""
    watched_before, id_before = read_moment_cursor(cursor) or (None, None)
    part = HistorySlice(limit + 1, watched_before, id_before, unfinished_only)
    found = await history.list_watched(connection, viewer.user_id, part)
    return cut_page(
        found, limit, lambda it: make_moment_key(it.watched.watched_at, it.watched.video_id)
    )
