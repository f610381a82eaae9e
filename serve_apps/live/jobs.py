"""What follows a broadcast: those who follow its owner are told that it began.

Handlers of outbox events; each may run twice for one event and tells everybody once.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping

from actors.job_runner.ports import JobPorts, Listener
from kit.events import Event, EventName
from serve_apps.access.visibility import Visibility
from storage.follows import list_follower_ids
from storage.lives import find_live

TOLD_AT_ONCE = 50
TOLD_MAX = 10_000
"""Beyond, the list of running lives has to do: a notice each would take minutes."""
TOLD_OF = frozenset({Visibility.PUBLIC, Visibility.FOLLOWERS})


async def tell_followers(ports: JobPorts, event: Event) -> None:
    """Tell the owner's followers that a live began, unless it is not for them or over again."""
    async with ports.database.connection() as connection:
        live = await find_live(connection, event.subject_id)
    if live is None or live.visibility not in TOLD_OF or live.status == "ended":
        return
    owner = {
        "id": str(live.owner_id),
        "username": live.owner_username,
        "display_name": live.owner_display_name,
    }
    data = {"live_id": str(live.id), "title": live.title, "user": owner}
    after: uuid.UUID | None = None
    for _ in range(TOLD_MAX // TOLD_AT_ONCE):
        async with ports.database.connection() as connection:
            readers = await list_follower_ids(
                connection, live.owner_id, after=after, limit=TOLD_AT_ONCE
            )
        await asyncio.gather(
            *(ports.people.deliver(reader, event.id, "live", data) for reader in readers)
        )
        if len(readers) < TOLD_AT_ONCE:
            return
        after = readers[-1]


LISTENERS: Mapping[str, Listener] = {
    "live.tell_followers": Listener(frozenset({EventName.STREAM_STARTED}), tell_followers),
}
