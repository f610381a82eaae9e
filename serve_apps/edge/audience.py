"""Who may follow a channel and who a token speaks for: checked at the source, row by row.

Called once per subscription, never per event. Uses `access` rules and `storage` rows.
"""

from __future__ import annotations

import uuid

from kit.clock import Clock
from kit.errors import NotAuthenticated, NotFound, PermissionDenied
from kit.settings import Settings
from serve_apps.access.identity import Identity
from serve_apps.access.revocations import RevocationBook
from serve_apps.access.tokens import SessionRevoked, read_access_token
from serve_apps.access.visibility import can_view
from serve_apps.edge.followers import Member
from serve_apps.edge.socket_words import ChannelKind, ChannelName
from storage.database import LOST_CONNECTION, Database, DatabaseBusy
from storage.follows import is_following
from storage.lives import find_audience
from storage.posts import find_post_head
from storage.users import find_user
from storage.videos import find_video


class Audience:
    """Answers for one edge; uses its small pool."""

    def __init__(
        self, settings: Settings, database: Database, clock: Clock, revocations: RevocationBook
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._revocations = revocations

    async def authenticate(self, token: str) -> Member:
        """Return whom the token speaks for; raises NotAuthenticated or DatabaseBusy."""
        identity = read_access_token(self._settings.auth, token, self._clock.now())
        if self._revocations.is_revoked(identity.session_id):
            raise SessionRevoked
        try:
            async with self._database.connection() as connection:
                user = await find_user(connection, identity.user_id)
        except LOST_CONNECTION as error:
            raise DatabaseBusy(retry_after_s=1) from error
        if user is None:
            raise NotAuthenticated
        if self._revocations.is_revoked(identity.session_id):
            raise SessionRevoked
        return Member(identity, user.display_name or user.username)

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
