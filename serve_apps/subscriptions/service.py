"""Rules of subscriptions: who gives one, until when, and what follows its end. Never commits.

Whoever subscribes sees what is for subscribers. A row that is over counts no more; the job that
removes it has everything that the person still has open looked at again.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec

from kit.cursors import Page, cut_page, read_id_cursor
from kit.errors import Conflict
from kit.events import EventName
from kit.ids import make_id
from serve_apps.access.identity import Identity
from serve_apps.users.service import get_person
from storage import subscriptions
from storage.database import Connection
from storage.events import append_event
from storage.jobs import enqueue_job
from storage.subscriptions import NewSubscription, Source, Subscription

EXPIRE_JOB = "subscriptions.expire"
AHEAD_S_MAX = 3_660 * 86_400
GIFTS_MAX = 10_000
GIFT: Source = "gift"


class CannotSubscribeToYourself(Conflict):
    """Subscriber and channel are the same person."""

    code, message = "cannot_subscribe_to_yourself", "Your own channel is open to you anyway."


class SubscriptionEndUnfit(Conflict):
    """The end is past or too far ahead."""

    code = "subscription_end_unfit"
    message = "A subscription ends between now and ten years ahead, or has no end."


class TooManyGifts(Conflict):
    """The channel gives as many complimentary subscriptions as one may."""

    code = "too_many_gifts"
    message = f"You give {GIFTS_MAX:,} complimentary subscriptions; end one first."


class ExpireJob(msgspec.Struct, frozen=True):
    """Payload of the job at a subscription's end."""

    channel_id: uuid.UUID
    subscriber_id: uuid.UUID


async def give_subscription(
    connection: Connection, owner: Identity, username: str, until: datetime | None
) -> Subscription:
    """Give somebody a complimentary subscription, or change when it ends.

    Raises UserNotFound, CannotSubscribeToYourself, SubscriptionEndUnfit, TooManyGifts. A payment of
    the same person is left alone.
    """
    person = await get_person(connection, username)
    if person.id == owner.user_id:
        raise CannotSubscribeToYourself
    new = NewSubscription(make_id(), owner.user_id, person.id, GIFT, until)
    is_new = await keep_subscription(connection, new)
    given_in_all = await subscriptions.count_subscriptions(connection, owner.user_id, GIFT)
    if is_new and given_in_all > GIFTS_MAX:
        raise TooManyGifts
    given = await subscriptions.find_subscription(connection, owner.user_id, person.id, GIFT)
    if given is None:  # it ends within this very request
        raise SubscriptionEndUnfit
    return given


async def keep_subscription(connection: Connection, new: NewSubscription) -> bool:
    """Write a subscription of any source, ended at its time; False when it was there before.

    Raises SubscriptionEndUnfit.
    """
    if new.until is not None:
        await _end_in_time(connection, ExpireJob(new.channel_id, new.subscriber_id), new.until)
    if not await subscriptions.put_subscription(connection, new):
        return False
    await append_event(
        connection,
        EventName.SUBSCRIPTION_STARTED,
        subject_id=new.channel_id,
        actor_id=new.subscriber_id,
        data={"source": new.source},
    )
    return True


async def end_gift(connection: Connection, owner: Identity, username: str) -> None:
    """End a complimentary subscription; again changes nothing. Raises UserNotFound."""
    person = await get_person(connection, username)
    if await subscriptions.end_subscription(connection, owner.user_id, person.id, GIFT):
        await _note_end(connection, ExpireJob(owner.user_id, person.id))


async def end_due(connection: Connection, over: ExpireJob) -> bool:
    """Remove a subscription whose time is over; False when that was done, moved or ended."""
    ended = await subscriptions.remove_due_subscriptions(
        connection, over.channel_id, over.subscriber_id
    )
    if ended:
        await _note_end(connection, over)
    return ended > 0


async def list_subscribers(
    connection: Connection, owner: Identity, *, cursor: str | None, limit: int
) -> Page[Subscription]:
    """List who subscribes to the caller, the newest first."""
    found = await subscriptions.list_subscribers(
        connection, owner.user_id, before=read_id_cursor(cursor), limit=limit + 1
    )
    return cut_page(found, limit, lambda row: (str(row.id),))


async def list_subscriptions(
    connection: Connection, subscriber: Identity, *, cursor: str | None, limit: int
) -> Page[Subscription]:
    """List to whom the caller subscribes, the newest first."""
    found = await subscriptions.list_subscriptions(
        connection, subscriber.user_id, before=read_id_cursor(cursor), limit=limit + 1
    )
    return cut_page(found, limit, lambda row: (str(row.id),))


async def _end_in_time(connection: Connection, over: ExpireJob, until: datetime) -> None:
    """Have a subscription ended at its time; raises SubscriptionEndUnfit.

    Times are the database's, whose clock lets the job go. That of an end that was moved finds
    nothing to do.
    """
    left_s = await subscriptions.measure_left_s(connection, until)
    if not 0 < left_s <= AHEAD_S_MAX:
        raise SubscriptionEndUnfit
    key = f"{EXPIRE_JOB}:{over.channel_id}:{over.subscriber_id}:{until.isoformat()}"
    await enqueue_job(connection, EXPIRE_JOB, over, dedupe_key=key, delay_s=left_s)


async def _note_end(connection: Connection, over: ExpireJob) -> None:
    await append_event(
        connection,
        EventName.SUBSCRIPTION_ENDED,
        subject_id=over.channel_id,
        actor_id=over.subscriber_id,
    )
