"""Tells those that something new is for: a live that began, a video that was published.

What is for subscribers is told to them, whether or not they follow; everything else to followers.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from actors.job_runner.ports import JobPorts
from serve_apps.access.sight import Sight
from serve_apps.access.visibility import Visibility
from storage.follows import list_follower_ids
from storage.subscriptions import list_subscriber_ids

READERS: Mapping[str, Callable[..., Awaitable[list[uuid.UUID]]]] = MappingProxyType(
    {
        Visibility.PUBLIC: list_follower_ids,
        Visibility.FOLLOWERS: list_follower_ids,
        Visibility.SUBSCRIBERS: list_subscriber_ids,
    }
)
"""Who is told of a thing with which visibility; of others nobody."""
TOLD_AT_ONCE = 50
TOLD_MAX = 10_000
"""Beyond, lists have to do: a notice each would take minutes."""


@dataclass(frozen=True)
class News:
    """What people are told; telling the same `id` again tells nobody twice."""

    id: uuid.UUID
    kind: str
    data: Mapping[str, Any]


async def tell_audience(ports: JobPorts, sight: Sight, news: News) -> None:
    """Return once everybody it is for was told, at most so many; may be run again."""
    list_readers = READERS.get(sight.visibility)
    if list_readers is None:
        return
    after: uuid.UUID | None = None
    for _ in range(TOLD_MAX // TOLD_AT_ONCE):
        async with ports.database.connection() as connection:
            readers = await list_readers(
                connection, sight.owner_id, after=after, limit=TOLD_AT_ONCE
            )
        data = dict(news.data)
        await asyncio.gather(
            *(ports.people.deliver(reader, news.id, news.kind, data) for reader in readers)
        )
        if len(readers) < TOLD_AT_ONCE:
            return
        after = readers[-1]
