"""What follows a follow: counters, a notice, and posts that its own transaction could not see.

Handlers of outbox events; each may run twice for one event and leaves the same rows.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec

from actors.job_runner.ports import JobPorts, Listener
from kit.events import Event, EventName
from storage.counters import recount_user
from storage.timelines import backfill_timeline
from storage.users import list_cards


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


async def tell_followed(ports: JobPorts, event: Event) -> None:
    """Tell somebody of a new follower; one who comes and goes is told of once a month."""
    if event.actor_id is None:
        return
    async with ports.database.connection() as connection:
        cards = await list_cards(connection, [event.actor_id, event.subject_id])
    follower = cards.get(event.actor_id)
    if follower is None or event.subject_id not in cards:
        return
    notice_id = uuid.uuid5(event.subject_id, f"follow {event.actor_id}")
    data = {"user": msgspec.to_builtins(follower)}
    await ports.people.deliver(event.subject_id, notice_id, "follow", data)


LISTENERS: Mapping[str, Listener] = {
    "users.count_people": Listener(
        frozenset({EventName.USER_FOLLOWED, EventName.USER_UNFOLLOWED}), count_people
    ),
    "users.tell_followed": Listener(frozenset({EventName.USER_FOLLOWED}), tell_followed),
    "users.fill_timeline": Listener(frozenset({EventName.USER_FOLLOWED}), fill_timeline),
}
