"""Looks again every few seconds who may still see whether somebody is there.

Subscriptions are checked when they are made (`audience.py`); this finds who has hidden since, and
whom they do not show themselves to any more because they were unfollowed. The edge runs one.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable

from kit.errors import Unavailable
from kit.logs import get_log
from serve_apps.edge.audience import Audience
from serve_apps.edge.followers import Follower
from serve_apps.edge.socket_words import ChannelKind, ChannelName
from serve_apps.edge.user_mirrors import UserMirrors

log = get_log("edge")

CHECK_EVERY_S = 5.0
PEOPLE_PER_QUERY_MAX = 1_000
Recheck = Callable[[Iterable[Follower], ChannelName], None]


class PresenceChecks:
    """The loop; `recheck` lets those of some sockets go that may not follow a channel."""

    def __init__(
        self,
        users: UserMirrors,
        audience: Audience,
        recheck: Recheck,
        every_s: float = CHECK_EVERY_S,
    ) -> None:
        self._every_s = every_s
        self._users = users
        self._audience = audience
        self._recheck = recheck

    async def run(self) -> None:
        """Check now and then until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self._check()
            except Unavailable as error:
                log.info("presence.not_checked", code=error.code)

    async def _check(self) -> None:
        watched = [mirror.key.id for mirror in self._users if mirror.watchers]
        for first in range(0, len(watched), PEOPLE_PER_QUERY_MAX):
            people = watched[first : first + PEOPLE_PER_QUERY_MAX]
            for user_id in await self._audience.list_discreet(people):
                self._look_again(user_id)

    def _look_again(self, user_id: uuid.UUID) -> None:
        mirror = self._users.find(user_id)
        if mirror is not None:
            self._recheck(mirror.watchers, ChannelName(ChannelKind.PRESENCE, user_id))
