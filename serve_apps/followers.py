"""Tells the followers of somebody of what is new: a live that began, a video that was published."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.job_runner.ports import JobPorts
from serve_apps.access.visibility import Visibility
from storage.follows import list_follower_ids

TOLD_OF = frozenset({Visibility.PUBLIC, Visibility.FOLLOWERS})
TOLD_AT_ONCE = 50
TOLD_MAX = 10_000
"""Beyond, lists have to do: a notice each would take minutes."""


@dataclass(frozen=True)
class News:
    """What followers are told; telling the same `id` again tells nobody twice."""

    id: uuid.UUID
    kind: str
    data: Mapping[str, Any]


async def tell_followers(ports: JobPorts, owner_id: uuid.UUID, news: News) -> None:
    """Return once everybody who follows was told, at most so many; may be run again."""
    after: uuid.UUID | None = None
    for _ in range(TOLD_MAX // TOLD_AT_ONCE):
        async with ports.database.connection() as connection:
            readers = await list_follower_ids(connection, owner_id, after=after, limit=TOLD_AT_ONCE)
        data = dict(news.data)
        await asyncio.gather(
            *(ports.people.deliver(reader, news.id, news.kind, data) for reader in readers)
        )
        if len(readers) < TOLD_AT_ONCE:
            return
        after = readers[-1]
