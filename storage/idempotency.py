"""Answers of requests that carried an Idempotency-Key.

A key is taken in the transaction of the change itself: a second request with the same key waits
for the first to commit, then sees its answer. A person's keys are forgotten after a day, when
they next use one.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from storage.database import Connection

KEPT_S = 86_400.0


@dataclass(frozen=True)
class RepeatKey:
    """A key, unique per person."""

    user_id: uuid.UUID
    key: str


@dataclass(frozen=True)
class KeptAnswer:
    """The first answer: the request's SHA-256, the status code and the JSON body."""

    request_hash: bytes
    status: int
    body: bytes


async def take_key(
    connection: Connection, key: RepeatKey, request_hash: bytes
) -> KeptAnswer | None:
    """Claim the key for this transaction; return the kept answer when it was used before.

    Waits for a running request with the same key, at most the transaction's lock_timeout.
    """
    await connection.execute(
        "DELETE FROM idempotency_keys"
        " WHERE user_id = $1 AND created_at < clock_timestamp() - $2 * interval '1 second'",
        key.user_id,
        KEPT_S,
    )
    taken = await connection.fetchval(
        "INSERT INTO idempotency_keys (user_id, key, request_hash) VALUES ($1, $2, $3)"
        " ON CONFLICT (user_id, key) DO NOTHING RETURNING true",
        key.user_id,
        key.key,
        request_hash,
    )
    if taken:
        return None
    row = await connection.fetchrow(
        "SELECT request_hash, status, body FROM idempotency_keys WHERE user_id = $1 AND key = $2",
        key.user_id,
        key.key,
    )
    assert row is not None, "a key that conflicts exists"
    assert row["status"] is not None, "a key commits with its answer"
    return KeptAnswer(row["request_hash"], row["status"], row["body"])


async def keep_answer(connection: Connection, key: RepeatKey, answer: KeptAnswer) -> None:
    """Remember the answer given under a key taken in this transaction."""
    await connection.execute(
        "UPDATE idempotency_keys SET status = $3, body = $4 WHERE user_id = $1 AND key = $2",
        key.user_id,
        key.key,
        answer.status,
        answer.body,
    )
