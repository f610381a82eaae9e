"""What follows a subscription: its end at its time, a notice to who got one.

Handlers of a job and of outbox events; each may run twice and does once what it does.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from actors.job_runner.ports import JobPorts, JobSpec, Listener
from kit.clock import format_time
from kit.events import Event, EventName
from kit.logs import get_log
from serve_apps.subscriptions.service import EXPIRE_JOB, GIFT, ExpireJob, end_due
from storage.subscriptions import find_subscription
from storage.users import list_cards

log = get_log("subscriptions")


async def expire_subscription(ports: JobPorts, payload: bytes) -> None:
    """End a subscription whose time is over."""
    over = msgspec.json.decode(payload, type=ExpireJob)
    async with ports.database.transaction() as connection:
        if await end_due(connection, over):
            log.info("subscription.ended", channel_id=str(over.channel_id))


async def tell_subscriber(ports: JobPorts, event: Event) -> None:
    """Tell somebody of a gift; one that is given, ended and given again is told once a month."""
    if event.actor_id is None:
        return
    async with ports.database.connection() as connection:
        given = await find_subscription(connection, event.subject_id, event.actor_id, GIFT)
        owner = (await list_cards(connection, [event.subject_id])).get(event.subject_id)
    if given is None or owner is None:
        return
    notice_id = uuid.uuid5(event.actor_id, f"subscription {event.subject_id}")
    data = {"user": msgspec.to_builtins(owner)}
    if given.until is not None:
        data["until"] = format_time(given.until)
    await ports.people.deliver(event.actor_id, notice_id, "subscription", data)


HANDLERS: Mapping[str, JobSpec] = MappingProxyType(
    {EXPIRE_JOB: JobSpec(expire_subscription, concurrency_max=4)}
)
LISTENERS: Mapping[str, Listener] = MappingProxyType(
    {
        "subscriptions.tell_subscriber": Listener(
            frozenset({EventName.SUBSCRIPTION_STARTED}), tell_subscriber
        )
    }
)
