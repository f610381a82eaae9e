"""Sessions and their refresh tokens. A token is stored as its SHA-256, never as itself.

A refresh token is used once: `spend_refresh_token` says whether it was fresh. A spent one that
comes back means that two parties hold it; the caller then revokes the whole session.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec

from storage.database import Connection, read_row, read_rows

REVOKED_CHANNEL = "session_revoked"
SPENT_KEPT_DAYS = 7
ENDED_KEPT_DAYS = 30
USER_AGENT_CHARS_MAX = 200


class SessionRow(msgspec.Struct, frozen=True):
    """One login on one device."""

    id: uuid.UUID
    user_id: uuid.UUID
    user_agent: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class RefreshTokenRow(msgspec.Struct, frozen=True):
    """A refresh token that was given out once; `used_at` None: still fresh."""

    session_id: uuid.UUID
    used_at: datetime | None


COLUMNS = "id, user_id, user_agent, created_at, last_used_at, expires_at, revoked_at"


async def add_session(connection: Connection, session: SessionRow) -> None:
    """Insert a session."""
    await connection.execute(
        "INSERT INTO sessions (id, user_id, user_agent, created_at, last_used_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        session.id,
        session.user_id,
        session.user_agent[:USER_AGENT_CHARS_MAX],
        session.created_at,
        session.last_used_at,
        session.expires_at,
    )


async def forget_ended_sessions(connection: Connection, user_id: uuid.UUID, now: datetime) -> None:
    """Remove the person's sessions that ended long ago, with their tokens."""
    await connection.execute(
        "DELETE FROM sessions WHERE user_id = $1"
        " AND least(expires_at, revoked_at) < $2::timestamptz - $3 * interval '1 day'",
        user_id,
        now,
        ENDED_KEPT_DAYS,
    )


async def find_session(connection: Connection, session_id: uuid.UUID) -> SessionRow | None:
    """Return the session and lock its row until the transaction ends."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM sessions WHERE id = $1 FOR UPDATE",  # noqa: S608  # constant
        session_id,
    )
    return None if row is None else read_row(SessionRow, row)


async def list_sessions(
    connection: Connection, user_id: uuid.UUID, now: datetime
) -> list[SessionRow]:
    """Return the person's living sessions, newest first, at most 100."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM sessions"  # noqa: S608  # constant column names
        " WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2"
        " ORDER BY created_at DESC, id DESC LIMIT 100",
        user_id,
        now,
    )
    return read_rows(SessionRow, rows)


async def is_living(connection: Connection, session_id: uuid.UUID, now: datetime) -> bool:
    """Whether a session has neither ended nor been ended."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM sessions"
        " WHERE id = $1 AND revoked_at IS NULL AND expires_at > $2)",
        session_id,
        now,
    )
    return found


async def touch_session(
    connection: Connection, session_id: uuid.UUID, *, used_at: datetime, expires_at: datetime
) -> None:
    """Note that the session was used and prolong it."""
    await connection.execute(
        "UPDATE sessions SET last_used_at = $2, expires_at = $3 WHERE id = $1",
        session_id,
        used_at,
        expires_at,
    )


async def revoke_session(
    connection: Connection, session_id: uuid.UUID, *, why: str
) -> uuid.UUID | None:
    """End a session, tell every process at commit; return whose, None if it had ended already."""
    user_id: uuid.UUID | None = await connection.fetchval(
        "UPDATE sessions SET revoked_at = clock_timestamp(), revoked_why = $2"
        " WHERE id = $1 AND revoked_at IS NULL RETURNING user_id",
        session_id,
        why,
    )
    if user_id is not None:
        await connection.execute("SELECT pg_notify($1, $2)", REVOKED_CHANNEL, str(session_id))
    return user_id


async def revoke_sessions(
    connection: Connection, user_id: uuid.UUID, *, why: str, keep: uuid.UUID | None = None
) -> list[uuid.UUID]:
    """End all living sessions of a person but `keep`, tell every process at commit; return them."""
    rows = await connection.fetch(
        "UPDATE sessions SET revoked_at = clock_timestamp(), revoked_why = $2"
        " WHERE user_id = $1 AND revoked_at IS NULL AND id IS DISTINCT FROM $3::uuid"
        " RETURNING id, pg_notify($4, id::text)",
        user_id,
        why,
        keep,
        REVOKED_CHANNEL,
    )
    return [row["id"] for row in rows]


async def list_revoked_sessions(connection: Connection, within_s: float) -> set[uuid.UUID]:
    """Return the sessions revoked in the last so many seconds."""
    rows = await connection.fetch(
        "SELECT id FROM sessions WHERE revoked_at > clock_timestamp() - $1 * interval '1 second'",
        within_s,
    )
    return {row["id"] for row in rows}


async def add_refresh_token(
    connection: Connection, token_hash: bytes, session_id: uuid.UUID, now: datetime
) -> None:
    """Record a refresh token that is about to be given out."""
    await connection.execute(
        "INSERT INTO refresh_tokens (token_hash, session_id, created_at) VALUES ($1, $2, $3)",
        token_hash,
        session_id,
        now,
    )


async def find_refresh_token(connection: Connection, token_hash: bytes) -> RefreshTokenRow | None:
    """Return what is known of a refresh token, and lock it until the transaction ends."""
    row = await connection.fetchrow(
        "SELECT session_id, used_at FROM refresh_tokens WHERE token_hash = $1 FOR UPDATE",
        token_hash,
    )
    return None if row is None else read_row(RefreshTokenRow, row)


async def has_spent_after(connection: Connection, session_id: uuid.UUID, moment: datetime) -> bool:
    """Whether a refresh token of the session was used later than `moment`."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = $1 AND used_at > $2)",
        session_id,
        moment,
    )
    return found


async def spend_refresh_token(connection: Connection, token_hash: bytes, now: datetime) -> None:
    """Mark a refresh token as used, and forget those of its session that were used long ago."""
    session_id = await connection.fetchval(
        "UPDATE refresh_tokens SET used_at = $2 WHERE token_hash = $1 RETURNING session_id",
        token_hash,
        now,
    )
    await connection.execute(
        "DELETE FROM refresh_tokens WHERE session_id = $1"
        " AND used_at < $2::timestamptz - $3 * interval '1 day'",
        session_id,
        now,
        SPENT_KEPT_DAYS,
    )
