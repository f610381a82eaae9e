"""What follows a follow: counters, and posts that a follow's own transaction could not see.

Handlers of outbox events; each may run twice for one event and leaves the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.job_runner.ports import JobPorts, Listener
from kit.events import Event, EventName
from storage.counters import recount_user
from storage.timelines import backfill_timeline


async def count_people(ports: JobPorts, event: Event) -> None:
    """Count both sides of a follow again, one transaction each so that none lock crosswise."""
    for user_id in (event.subject_id, event.actor_id):
        if user_id is not None:
            async with ports.database.transaction() as connection:
                await recount_user(connection, user_id)


async def fill_timeline(ports: JobPorts, event: Event) -> None:
    """Fill the follower's timeline again: a post written at the same moment saw no follower yet."""
    if event.actor_id is None:
        return
    async with ports.database.transaction() as connection:
        await backfill_timeline(connection, event.actor_id, event.subject_id)


LISTENERS: Mapping[str, Listener] = {
    "users.count_people": Listener(
        frozenset({EventName.USER_FOLLOWED, EventName.USER_UNFOLLOWED}), count_people
    ),
    "users.fill_timeline": Listener(frozenset({EventName.USER_FOLLOWED}), fill_timeline),
}
