"""Who subscribes to whose channel, and until when.

The subscriptions feature gives and ends gifts; payments write rows of their own. Everybody who
decides about a sight asks here. A row counts until its time is over, by the database's clock,
whether or not the job that removes it has run.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from storage.database import Connection, read_rows

Source = Literal["gift", "payment"]
IN_FORCE = "(s.until IS NULL OR s.until > now())"
COLUMNS = "s.id, u.id AS user_id, u.username, u.display_name, s.source, s.since, s.until"


def write_subscribes(subscriber: str, channel: str) -> str:
    """Return the SQL that says whether somebody subscribes; both arguments are SQL of an id."""
    return (
        f"EXISTS (SELECT FROM subscriptions s WHERE s.subscriber_id = {subscriber}"
        f" AND s.channel_id = {channel} AND {IN_FORCE})"
    )


class NewSubscription(msgspec.Struct, frozen=True):
    """A subscription to be written; `until` None: without an end, `since` None: from now on."""

    id: uuid.UUID
    channel_id: uuid.UUID
    subscriber_id: uuid.UUID
    source: Source
    until: datetime | None
    since: datetime | None = None


class Subscription(msgspec.Struct, frozen=True):
    """A subscription in force, and the person on its other side."""

    id: uuid.UUID
    user_id: uuid.UUID
    username: str
    display_name: str
    source: str
    since: datetime
    until: datetime | None


async def put_subscription(connection: Connection, new: NewSubscription) -> bool:
    """Write a subscription; False when one of this source was in force, whose end is now another.

    One whose time was over begins anew.
    """
    was_there: bool = await connection.fetchval(
        f"""WITH before AS (
                SELECT s.id FROM subscriptions s
                 WHERE s.channel_id = $2 AND s.subscriber_id = $3 AND s.source = $4 AND {IN_FORCE}
            )
            INSERT INTO subscriptions AS s (id, channel_id, subscriber_id, source, since, until)
            VALUES ($1, $2, $3, $4, coalesce($5, now()), $6)
            ON CONFLICT (subscriber_id, channel_id, source) DO UPDATE
               SET until = excluded.until,
                   since = CASE WHEN {IN_FORCE} THEN s.since ELSE excluded.since END
            RETURNING EXISTS (SELECT FROM before)""",  # noqa: S608 - constants
        new.id,
        new.channel_id,
        new.subscriber_id,
        new.source,
        new.since,
        new.until,
    )
    return not was_there


async def end_subscription(
    connection: Connection, channel_id: uuid.UUID, subscriber_id: uuid.UUID, source: Source
) -> bool:
    """End a subscription of this source; False when there is none."""
    result = await connection.execute(
        "DELETE FROM subscriptions WHERE channel_id = $1 AND subscriber_id = $2 AND source = $3",
        channel_id,
        subscriber_id,
        source,
    )
    return result == "DELETE 1"


async def remove_due_subscriptions(
    connection: Connection, channel_id: uuid.UUID, subscriber_id: uuid.UUID
) -> int:
    """Remove what of somebody's subscriptions to a channel is over; return how many were."""
    result = await connection.execute(
        """DELETE FROM subscriptions
            WHERE channel_id = $1 AND subscriber_id = $2 AND until <= now()""",
        channel_id,
        subscriber_id,
    )
    return int(result.split()[-1])


async def measure_left_s(connection: Connection, until: datetime) -> float:
    """Return how far a moment is ahead by the database's clock, which decides what is over."""
    left_s: float = await connection.fetchval(
        "SELECT extract(epoch FROM $1::timestamptz - now())::double precision", until
    )
    return left_s


async def is_subscribed(
    connection: Connection, subscriber_id: uuid.UUID, channel_id: uuid.UUID
) -> bool:
    """Say whether the first person subscribes to the second."""
    found: bool = await connection.fetchval(
        f"SELECT {write_subscribes('$1', '$2')}",
        subscriber_id,
        channel_id,
    )
    return found


async def list_subscribed(
    connection: Connection, subscriber_id: uuid.UUID, channel_ids: Sequence[uuid.UUID]
) -> set[uuid.UUID]:
    """Return to which of the people somebody subscribes."""
    rows = await connection.fetch(
        f"""SELECT DISTINCT s.channel_id FROM subscriptions s
             WHERE s.subscriber_id = $1 AND s.channel_id = ANY($2) AND {IN_FORCE}""",  # noqa: S608 - constants
        subscriber_id,
        list(channel_ids),
    )
    return {row["channel_id"] for row in rows}


async def list_subscribing(
    connection: Connection, channel_id: uuid.UUID, user_ids: Sequence[uuid.UUID]
) -> set[uuid.UUID]:
    """Return which of the people subscribe to a channel."""
    rows = await connection.fetch(
        f"""SELECT DISTINCT s.subscriber_id FROM subscriptions s
             WHERE s.channel_id = $1 AND s.subscriber_id = ANY($2) AND {IN_FORCE}""",  # noqa: S608 - constants
        channel_id,
        list(user_ids),
    )
    return {row["subscriber_id"] for row in rows}


async def list_subscription_pairs(
    connection: Connection, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]
) -> set[tuple[uuid.UUID, uuid.UUID]]:
    """Return which of the (subscriber, channel) pairs are true."""
    rows = await connection.fetch(
        f"""SELECT DISTINCT s.subscriber_id, s.channel_id
              FROM unnest($1::uuid[], $2::uuid[]) AS p (a, b)
              JOIN subscriptions s ON s.subscriber_id = p.a AND s.channel_id = p.b
             WHERE {IN_FORCE}""",  # noqa: S608 - constants
        [subscriber for subscriber, _channel in pairs],
        [channel for _subscriber, channel in pairs],
    )
    return {(row["subscriber_id"], row["channel_id"]) for row in rows}


async def list_subscriber_ids(
    connection: Connection, channel_id: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> list[uuid.UUID]:
    """Return ids of who subscribes to a channel, in order, after this one."""
    rows = await connection.fetch(
        f"""SELECT DISTINCT s.subscriber_id FROM subscriptions s
              JOIN users u ON u.id = s.subscriber_id AND u.deleted_at IS NULL
             WHERE s.channel_id = $1 AND ($2::uuid IS NULL OR s.subscriber_id > $2) AND {IN_FORCE}
             ORDER BY s.subscriber_id LIMIT $3""",  # noqa: S608 - constants
        channel_id,
        after,
        limit,
    )
    return [row["subscriber_id"] for row in rows]


async def find_subscription(
    connection: Connection, channel_id: uuid.UUID, subscriber_id: uuid.UUID, source: Source
) -> Subscription | None:
    """Return somebody's subscription to a channel, as its owner sees it."""
    rows = await connection.fetch(
        f"""SELECT {COLUMNS}
              FROM subscriptions s
              JOIN users u ON u.id = s.subscriber_id AND u.deleted_at IS NULL
             WHERE s.channel_id = $1 AND s.subscriber_id = $2 AND s.source = $3
               AND {IN_FORCE}""",  # noqa: S608 - constants
        channel_id,
        subscriber_id,
        source,
    )
    return next(iter(read_rows(Subscription, rows)), None)


async def list_subscribers(
    connection: Connection, channel_id: uuid.UUID, *, before: uuid.UUID | None, limit: int
) -> list[Subscription]:
    """Return who subscribes to a channel, the newest subscription first."""
    rows = await connection.fetch(
        f"""SELECT {COLUMNS}
              FROM subscriptions s
              JOIN users u ON u.id = s.subscriber_id AND u.deleted_at IS NULL
             WHERE s.channel_id = $1 AND ($2::uuid IS NULL OR s.id < $2) AND {IN_FORCE}
             ORDER BY s.id DESC LIMIT $3""",  # noqa: S608 - constants
        channel_id,
        before,
        limit,
    )
    return read_rows(Subscription, rows)


async def list_subscriptions(
    connection: Connection, subscriber_id: uuid.UUID, *, before: uuid.UUID | None, limit: int
) -> list[Subscription]:
    """Return to whom a person subscribes, the newest subscription first."""
    rows = await connection.fetch(
        f"""SELECT {COLUMNS}
              FROM subscriptions s
              JOIN users u ON u.id = s.channel_id AND u.deleted_at IS NULL
             WHERE s.subscriber_id = $1 AND ($2::uuid IS NULL OR s.id < $2) AND {IN_FORCE}
             ORDER BY s.id DESC LIMIT $3""",  # noqa: S608 - constants
        subscriber_id,
        before,
        limit,
    )
    return read_rows(Subscription, rows)


async def count_subscriptions(connection: Connection, channel_id: uuid.UUID, source: Source) -> int:
    """Return how many subscriptions of this source to a channel are in force."""
    count: int = await connection.fetchval(
        f"""SELECT count(*) FROM subscriptions s
             WHERE s.channel_id = $1 AND s.source = $2 AND {IN_FORCE}""",  # noqa: S608 - constants
        channel_id,
        source,
    )
    return count
