"""Who may follow a channel: checked at the source, row by row.

Called once per subscription, never per event. Uses `access` rules and `storage` rows.
"""

from __future__ import annotations

import uuid

from kit.errors import NotAuthenticated, NotFound, PermissionDenied
from serve_apps.access.identity import Identity
from serve_apps.access.visibility import can_view
from serve_apps.edge.socket_words import ChannelKind, ChannelName
from storage.database import LOST_CONNECTION, Database, DatabaseBusy
from storage.follows import is_following
from storage.lives import find_audience
from storage.posts import find_post_head
from storage.videos import find_video


class Audience:
    """Answers for one edge; uses its small pool."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check_channel(self, channel: ChannelName, viewer: Identity | None) -> None:
        """Raise unless the viewer may follow the channel: NotFound, or what says why."""
        viewer_id = None if viewer is None else viewer.user_id
        if channel.kind is ChannelKind.USER:
            _check_own(channel.id, viewer_id)
            return
        try:
            if channel.kind is ChannelKind.ROOM:
                await self._check_room(channel.id, viewer_id)
            elif channel.kind is ChannelKind.POST:
                await self._check_post(channel.id, viewer_id)
            else:
                await self._check_video(channel.id, viewer_id)
        except LOST_CONNECTION as error:
            raise DatabaseBusy(retry_after_s=1) from error

    async def _check_room(self, room_id: uuid.UUID, viewer_id: uuid.UUID | None) -> None:
        async with self._database.connection() as connection:
            audience = await find_audience(connection, room_id, viewer_id)
        if audience is None or not can_view(
            audience.visibility, audience.owner_id, viewer_id, follows=audience.follows
        ):
            raise NotFound

    async def _check_post(self, post_id: uuid.UUID, viewer_id: uuid.UUID | None) -> None:
        async with self._database.connection() as connection:
            head = await find_post_head(connection, post_id)
            follows = (
                head is not None
                and viewer_id is not None
                and await is_following(connection, viewer_id, head.author_id)
            )
        if head is None or not can_view(
            head.visibility, head.author_id, viewer_id, follows=follows
        ):
            raise NotFound

    async def _check_video(self, video_id: uuid.UUID, viewer_id: uuid.UUID | None) -> None:
        async with self._database.connection() as connection:
            video = await find_video(connection, video_id)
        if video is None or video.owner_id != viewer_id:
            raise NotFound


def _check_own(user_id: uuid.UUID, viewer_id: uuid.UUID | None) -> None:
    if viewer_id is None:
        raise NotAuthenticated
    if viewer_id != user_id:
        raise PermissionDenied
