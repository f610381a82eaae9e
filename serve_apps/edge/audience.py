"""Who may follow a channel: checked at the source, row by row.

Called once per subscription, never per event. Many who come at once share a query, and answers are
kept for a second; of a live or post that was hidden `AccessBook` tells within that time. Uses
`access` rules and `storage` rows.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from actors.live_room.entries import Speaker
from actors.live_room.messages import LineRef, Membership
from actors.live_room.pointing import get_line, get_person
from kit.clock import Clock
from kit.errors import NotAuthenticated, NotFound, PermissionDenied
from serve_apps.access.visibility import ForSubscribers, Visibility, can_view
from serve_apps.edge.access_book import AccessBook
from serve_apps.edge.batched_reads import BatchedReads
from serve_apps.edge.socket_words import ChannelKind, ChannelName
from storage.database import LOST_CONNECTION, Database, DatabaseBusy
from storage.follows import list_follow_pairs
from storage.lives import LiveAccess, list_live_accesses
from storage.posts import PostHead, list_post_heads
from storage.subscriptions import list_subscription_pairs
from storage.users import list_presence_audiences
from storage.videos import Video, list_videos

ACCESS_FRESH_S = 1.0
SEEN_BY = {
    "everyone": Visibility.PUBLIC,
    "followers": Visibility.FOLLOWERS,
    "nobody": Visibility.PRIVATE,
}
"""What people choose for their presence, as a visibility."""


T = TypeVar("T", LiveAccess, PostHead, Video)


@dataclass(frozen=True)
class AudiencePorts:
    """What the answers come from."""

    database: Database
    clock: Clock
    changed: AccessBook


class Audience:
    """Answers for one edge; uses its small pool, for many callers at once."""

    def __init__(self, ports: AudiencePorts) -> None:
        self._ports = ports
        clock = ports.clock
        self._lives = BatchedReads(self._read_lives, clock, ACCESS_FRESH_S)
        self._presences = BatchedReads(self._read_presences, clock, ACCESS_FRESH_S)
        self._posts = BatchedReads(self._read_posts, clock, ACCESS_FRESH_S)
        self._videos = BatchedReads(self._read_videos, clock, ACCESS_FRESH_S)
        self._follows = BatchedReads(self._read_follows, clock, ACCESS_FRESH_S)
        self._subscriptions = BatchedReads(self._read_subscriptions, clock, ACCESS_FRESH_S)
        ports.changed.on_changed(self._note_changed)

    @property
    def changes(self) -> int:
        """How many things were hidden, shown or deleted so far: to notice one while waiting."""
        return self._ports.changed.changes

    async def check_channel(self, channel: ChannelName, viewer_id: uuid.UUID | None) -> None:
        """Raise unless the viewer may follow the channel: NotFound, or what says why not."""
        if channel.kind is ChannelKind.USER:
            _check_own(channel.id, viewer_id)
            return
        try:
            if channel.kind is ChannelKind.ROOM:
                await self.check_room(channel.id, viewer_id)
            elif channel.kind is ChannelKind.PRESENCE:
                await self._check_presence(channel.id, viewer_id)
            elif channel.kind is ChannelKind.POST:
                await self._check_post(channel.id, viewer_id)
            else:
                await self._check_video(channel.id, viewer_id)
        except LOST_CONNECTION as error:
            raise DatabaseBusy(retry_after_s=1) from error

    async def check_room(self, room_id: uuid.UUID, viewer_id: uuid.UUID | None) -> None:
        """Raise NotFound or ForSubscribers unless the viewer may see the live.

        DatabaseBusy: nobody can tell.
        """
        live = await self.get_access(room_id)
        try:
            await self._check_sight(live.visibility, live.owner_id, viewer_id)
        except LOST_CONNECTION as error:
            raise DatabaseBusy(retry_after_s=1) from error

    async def get_access(self, room_id: uuid.UUID) -> LiveAccess:
        """Return who may see a live, as changed last; raises NotFound, DatabaseBusy."""
        try:
            live = await self._get_present(self._lives, ChannelName(ChannelKind.ROOM, room_id))
        except LOST_CONNECTION as error:
            raise DatabaseBusy(retry_after_s=1) from error
        if live is None:
            raise NotFound
        return live

    async def find_membership(self, room_id: uuid.UUID, user_id: uuid.UUID) -> Membership:
        """Return what a person is to the live's owner; raises NotFound, DatabaseBusy."""
        try:
            live = await self._lives.get(room_id)
            if live is None:
                raise NotFound
            since = await self._follows.get((user_id, live.owner_id))
            subscribes = await self._subscriptions.get((user_id, live.owner_id)) is not None
        except LOST_CONNECTION as error:
            raise DatabaseBusy(retry_after_s=1) from error
        return Membership(since, is_subscriber=subscribes)

    async def find_line(self, room_id: uuid.UUID, message_id: uuid.UUID) -> LineRef:
        """Return a line that a moderator points at; raises LineNotFound, DatabaseBusy."""
        try:
            async with self._ports.database.connection() as connection:
                return await get_line(connection, room_id, message_id)
        except LOST_CONNECTION as error:
            raise DatabaseBusy(retry_after_s=1) from error

    async def find_person(self, user_id: uuid.UUID) -> Speaker:
        """Return a person that a moderator points at; raises PersonUnknown, DatabaseBusy."""
        try:
            async with self._ports.database.connection() as connection:
                return await get_person(connection, user_id)
        except LOST_CONNECTION as error:
            raise DatabaseBusy(retry_after_s=1) from error

    def _note_changed(self, channel: ChannelName) -> None:
        """Somebody follows or subscribes no more (a live tells it, too), or is seen by others."""
        self._follows.forget_all()
        self._subscriptions.forget_all()
        if channel.kind is ChannelKind.USER:
            self._presences.forget_all()

    async def _check_presence(self, user_id: uuid.UUID, viewer_id: uuid.UUID | None) -> None:
        chosen = await self._presences.get(user_id)
        if chosen is None:
            raise NotFound
        await self._check_sight(SEEN_BY[chosen], user_id, viewer_id)

    async def _check_post(self, post_id: uuid.UUID, viewer_id: uuid.UUID | None) -> None:
        head = await self._get_present(self._posts, ChannelName(ChannelKind.POST, post_id))
        if head is None:
            raise NotFound
        await self._check_sight(head.visibility, head.author_id, viewer_id)

    async def _check_video(self, video_id: uuid.UUID, viewer_id: uuid.UUID | None) -> None:
        video = await self._get_present(self._videos, ChannelName(ChannelKind.VIDEO, video_id))
        if video is None:
            raise NotFound
        await self._check_sight(video.visibility, video.owner_id, viewer_id)

    async def _check_sight(
        self, visibility: str, owner_id: uuid.UUID, viewer_id: uuid.UUID | None
    ) -> None:
        """Raise NotFound or ForSubscribers unless the viewer may see a thing.

        Asks who follows or subscribes only if it matters.
        """
        follows = subscribes = False
        if viewer_id is not None and viewer_id != owner_id:
            if visibility == Visibility.FOLLOWERS:
                follows = await self._follows.get((viewer_id, owner_id)) is not None
            elif visibility == Visibility.SUBSCRIBERS:
                subscribes = await self._subscriptions.get((viewer_id, owner_id)) is not None
        if can_view(visibility, owner_id, viewer_id, follows=follows, subscribes=subscribes):
            return
        raise ForSubscribers if visibility == Visibility.SUBSCRIBERS else NotFound

    async def _get_present(
        self, reads: BatchedReads[uuid.UUID, T], channel: ChannelName
    ) -> T | None:
        """Return who may see a thing, as of the last change that we were told of."""
        found = await reads.get(channel.id)
        if found is not None and found.access_version < self._ports.changed.get_version(channel):
            reads.forget(channel.id)  # the answer is older than what we were told
            found = await reads.get(channel.id)
        return found

    # One query for everybody who waits

    async def _read_lives(self, live_ids: list[uuid.UUID]) -> dict[uuid.UUID, LiveAccess]:
        async with self._ports.database.connection() as connection:
            return {live.id: live for live in await list_live_accesses(connection, live_ids)}

    async def _read_presences(self, user_ids: list[uuid.UUID]) -> dict[uuid.UUID, str]:
        async with self._ports.database.connection() as connection:
            return await list_presence_audiences(connection, user_ids)

    async def _read_posts(self, post_ids: list[uuid.UUID]) -> dict[uuid.UUID, PostHead]:
        async with self._ports.database.connection() as connection:
            return {head.id: head for head in await list_post_heads(connection, post_ids)}

    async def _read_videos(self, video_ids: list[uuid.UUID]) -> dict[uuid.UUID, Video]:
        async with self._ports.database.connection() as connection:
            return {video.id: video for video in await list_videos(connection, video_ids)}

    async def _read_follows(
        self, pairs: list[tuple[uuid.UUID, uuid.UUID]]
    ) -> dict[tuple[uuid.UUID, uuid.UUID], datetime]:
        async with self._ports.database.connection() as connection:
            return await list_follow_pairs(connection, pairs)

    async def _read_subscriptions(
        self, pairs: list[tuple[uuid.UUID, uuid.UUID]]
    ) -> dict[tuple[uuid.UUID, uuid.UUID], bool]:
        async with self._ports.database.connection() as connection:
            return dict.fromkeys(await list_subscription_pairs(connection, pairs), True)


def _check_own(user_id: uuid.UUID, viewer_id: uuid.UUID | None) -> None:
    if viewer_id is None:
        raise NotAuthenticated
    if viewer_id != user_id:
        raise PermissionDenied
