"""Rows of subscriptions: what is in force, and that an end is told to edges."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from kit.ids import make_id
from storage.access_changes import list_access_changes
from storage.database import Connection, Database
from storage.subscriptions import (
    NewSubscription,
    Source,
    end_subscription,
    is_subscribed,
    list_subscribed,
    list_subscriber_ids,
    list_subscribers,
    list_subscribing,
    list_subscription_pairs,
    list_subscriptions,
    put_subscription,
    remove_due_subscriptions,
)
from storage.users import find_access_version
from tests.storage.live_rows import create_user_row

pytestmark = pytest.mark.db

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


async def create_people(connection: Connection) -> tuple[uuid.UUID, uuid.UUID]:
    ada, bob = [await create_user_row(connection, name) for name in ("ada", "bob")]
    return ada, bob


async def give(
    connection: Connection,
    channel_id: uuid.UUID,
    subscriber_id: uuid.UUID,
    *,
    until: datetime | None = None,
    source: Source = "gift",
) -> bool:
    since = NOW - 2 * HOUR
    return await put_subscription(
        connection,
        NewSubscription(make_id(), channel_id, subscriber_id, source, until, since),
    )


async def test_what_is_over_counts_nowhere_though_its_row_is_there(database: Database) -> None:
    async with database.connection() as connection:
        ada, bob = await create_people(connection)
        for until, counts in ((NOW + HOUR, True), (NOW - HOUR, False), (None, True)):
            await give(connection, ada, bob, until=until)
            assert [
                await is_subscribed(connection, bob, ada),
                await list_subscribed(connection, bob, [ada]) == {ada},
                await list_subscribing(connection, ada, [bob]) == {bob},
                await list_subscription_pairs(connection, [(bob, ada)]) == {(bob, ada)},
                await list_subscriber_ids(connection, ada, after=None, limit=9) == [bob],
                len(await list_subscribers(connection, ada, before=None, limit=9)) == 1,
                len(await list_subscriptions(connection, bob, before=None, limit=9)) == 1,
            ] == [counts] * 7
        assert not await is_subscribed(connection, ada, bob), "the other way round is another"


async def test_a_subscription_is_new_once_and_again_when_its_time_was_over(
    database: Database,
) -> None:
    async with database.connection() as connection:
        ada, bob = await create_people(connection)
        untils = (NOW + HOUR, None, NOW - HOUR, NOW + HOUR)
        made = [await give(connection, ada, bob, until=until) for until in untils]
        assert made == [True, False, False, True]


async def test_a_gift_and_a_payment_end_apart(database: Database) -> None:
    async with database.connection() as connection:
        ada, bob = await create_people(connection)
        await give(connection, ada, bob)
        await give(connection, ada, bob, until=NOW + HOUR, source="payment")
        assert await list_subscriber_ids(connection, ada, after=None, limit=9) == [bob]
        assert await end_subscription(connection, ada, bob, "gift")
        assert not await end_subscription(connection, ada, bob, "gift")
        assert await is_subscribed(connection, bob, ada)
        assert await remove_due_subscriptions(connection, ada, bob) == 0
        await give(connection, ada, bob, until=NOW - HOUR, source="payment")
        assert await remove_due_subscriptions(connection, ada, bob) == 1
        assert not await is_subscribed(connection, bob, ada)


async def test_an_end_is_told_of_the_subscriber_and_nothing_else_is(database: Database) -> None:
    async with database.connection() as connection:
        ada, bob = await create_people(connection)
        versions = []
        for until in (NOW + HOUR, NOW + 2 * HOUR, None, NOW + HOUR, NOW - HOUR):
            await give(connection, ada, bob, until=until)
            versions.append(await find_access_version(connection, bob))
        await end_subscription(connection, ada, bob, "gift")
        versions.append(await find_access_version(connection, bob))
        assert versions == [1, 1, 1, 1, 2, 3]
        (change,) = await list_access_changes(connection, 60)
        assert (change.kind, change.id, change.version) == ("user", bob, 3)
